"""The page Settings: how all is set up, for admins and auditors, without one secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consoles import RunningConsole, running_console
from tollkeeper import config
from tollkeeper.bootstrap.shown_settings import FollowedShownSettings
from tollkeeper.services import scim_tokens, secrets

SECRETS = {
    "OPENAI_KEY": "sk-canary-openai-0071",
    "OIDC_SECRET": "oidc-canary-secret-72",
    "MAIL_PASSWORD": "mail-canary-password-73",
    "HOOK_SECRET": "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktNzQ=",
    "METRICS_TOKEN": "metrics-canary-75",
    "STORED": "sk-canary-stored-0076",
}
FILE = """
public_url: https://llm.acme.com
timezone: Europe/Berlin
providers:
  openai: {api_key: "${OPENAI_KEY}"}
  anthropic: {}
  google: {}
sign_in:
  passwords: false
  oidc:
    - {name: okta, label: "Okta <b>", issuer: "https://acme.okta.com", client_id: x,
       client_secret: "${OIDC_SECRET}", groups: {admins: admin}, session_h: 9}
mail: {host: smtp.acme.com, from: t@acme.com, user: t, password: "${MAIL_PASSWORD}"}
alerts:
  notify:
    - {name: ops, url: "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops"}
metrics: {token: "${METRICS_TOKEN}"}
"""
PATH_SECRET = "TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    folder = tmp_path_factory.mktemp("settings")
    file = folder / "tollkeeper.yaml"
    file.write_text(FILE)
    with running_console(folder / "data") as made:
        kept = ("anthropic", "https://api.anthropic.com", SECRETS["STORED"])
        secrets.set_secret(made.store, made.vault, *kept, made.now_us)
        scim_tokens.make(made.store, made.vault, "okta", "root", made.now_us)
        shown = FollowedShownSettings(
            config.load(file, SECRETS), lambda: config.load(file, SECRETS), made.store, lambda: "9"
        )
        object.__setattr__(made.console, "settings", shown)
        yield made


def lines(running: RunningConsole) -> dict[str, str]:
    return {
        line.name: f"{line.value} {line.remedy}".strip()
        for section in running.console.settings().sections
        for line in section.lines
    }


def test_it_says_how_all_is_set_up(running: RunningConsole) -> None:
    found = lines(running)
    assert found["Address"] == "https://llm.acme.com"
    assert (found["Store"], found["Ledger"]) == ("SQLite", "DuckDB, in the data folder")
    assert "openai at api.openai.com, key in the configuration" in found["openai"]
    assert found["anthropic"].endswith("key in the store")
    assert found["google"].endswith("no key of ours tollkeeper providers set google")
    assert found["Passwords"] == "off"
    assert found["Single sign-on: Okta <b>"] == (
        "https://acme.okta.com, 1 rule for groups, sessions of 9 hours"
    )
    assert (found["People by SCIM"], found["Price book"]) == ("on, 1 token", "9")
    assert found["Mail server"] == "smtp.acme.com, port 587"
    assert found["Other people in reports"] == "under pseudonyms"
    assert "ops" in found


@pytest.mark.parametrize("target", ["/settings", "/settings?format=json"])
def test_no_secret_is_on_it(running: RunningConsole, target: str) -> None:
    reply = running.get(target, running.session("auditor"))
    assert reply.status == 200
    assert "smtp.acme.com" in reply.text
    for secret in (*SECRETS.values(), PATH_SECRET):
        assert secret not in reply.text
    assert "Okta <b>" not in reply.text or "json" in target


def test_a_fault_is_told_and_what_was_before_is_shown(
    running: RunningConsole, tmp_path: Path
) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(FILE)
    shown = FollowedShownSettings(
        config.load(file, SECRETS), lambda: config.load(file, SECRETS), running.store, lambda: "9"
    )
    file.write_text(FILE.replace("timezone: Europe/Berlin", "timezone: Mars/Base"))
    found = shown()
    assert "timezone" in found.fault
    assert found.file == str(file)
    assert ("Time zone", "Europe/Berlin", "") in found.sections[0].lines
