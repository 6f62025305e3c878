"""The section ``alerts``: read, or refused with file, line and remedy, and no secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.config.alert_options import AlertSettings
from tollkeeper.domain.errors import ConfigError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def load(folder: Path, text: str) -> AlertSettings:
    file = folder / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {"HOOK_SECRET": SECRET}).alerts


def test_channels_are_read_and_named(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
alerts:
  allow_private: [hooks.internal, 10.0.0.5]
  digest_at: "07:30"
  off: [latency_p95]
  notify:
    - slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops
    - {url: "mailtos://bot:hunter2@mail.acme.com?to=cfo@acme.com", name: finance, digest: daily}
  webhooks:
    - {url: "https://hooks.acme.com/t0ken", secret: "${HOOK_SECRET}", events: [budget.*]}
    - {url: "http://hooks.internal:8080/x", secret: "${HOOK_SECRET}", recoveries: false}
""",
    )
    assert [(each.name, each.kind) for each in found.channels] == [
        ("slack-1", "Slack"),
        ("finance", "Mail"),
        ("webhook-1", "Webhook"),
        ("webhook-2", "Webhook"),
    ]
    slack, finance, first, second = found.channels
    assert finance.is_digest
    assert first.wants("budget.threshold")
    assert not first.wants("anomaly.error_rate")
    assert not second.wants("budget.recovered", is_recovery=True)
    assert slack.wants("anything")
    assert (found.digest_minute, found.off) == (450, frozenset({"latency_p95"}))
    assert "hunter2" not in repr(found)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("entry", "line", "says"),
    [
        ('notify: ["nosuch://t0ken-secret/x"]', 2, "no service"),
        ('notify: ["json://hooks.acme.com/t0ken"]', 2, "webhooks"),
        ('notify: ["mailtos://u:t0ken@127.0.0.1"]', 2, "inside"),
        ('notify: ["syslog://x"]', 2, "no service"),
        ('notify: [{url: "slack://t0ken", nmae: x}]', 2, "no such option"),
        ('webhooks: [{url: "https://h.acme.com/t0ken"}]', 2, "secret"),
        ('webhooks: [{url: "https://h.acme.com/t0ken", secret: ""}]', 2, "openssl"),
        ('webhooks: [{url: "https://h.acme.com/t0ken", secret: "t0ken-short"}]', 2, "whsec_"),
        ('webhooks: [{url: "http://h.acme.com/t0ken", secret: "${HOOK_SECRET}"}]', 2, "https"),
        ('webhooks: [{url: "https://10.0.0.1/t0ken", secret: "${HOOK_SECRET}"}]', 2, "inside"),
        ('webhooks: [{url: "https://a@h.acme.com/", secret: "${HOOK_SECRET}"}]', 2, "user"),
        ('webhooks:\n    - {url: "https://2130706433/", secret: "${HOOK_SECRET}"}', 3, "number"),
        ("allow_private: [http://x/]", 2, "host"),
        ("digest_at: noon", 2, "08:00"),
        ("off: [everything]", 2, "spend_hour"),
        ('notify: [{url: "slack://a/b/c", name: "Ä B"}]', 2, "small letters"),
        ('notify: [{url: "slack://a/b/c", events: ["<x>"]}]', 2, "patterns"),
        ('notify: [{url: "slack://a/b", name: x}, {url: "slack://a/c", name: x}]', 2, "two"),
        ("min_usd: -1", 2, "0"),
    ],
)
def test_a_fault_names_file_and_line_and_shows_no_secret(
    tmp_path: Path, entry: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"alerts:\n  {entry}\n")
    text = str(caught.value)
    assert f"tollkeeper.yaml:{line}: " in text
    assert says in text
    assert "t0ken" not in text
    assert SECRET not in text
