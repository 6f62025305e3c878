"""``tollkeeper users``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import stores
from command_line import CommandLine
from hashers import CountingHasher
from tollkeeper.clock import now_us
from tollkeeper.domain.oidc import Identity
from tollkeeper.services import sign_in


@pytest.fixture
def run(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")


def test_a_person_is_added_moved_promoted_and_switched_off(run: CommandLine) -> None:
    assert run("users", "add", "boss@acme.com", "--role", "admin").code == 0
    added = run(
        *("users", "add", "alice@acme.com", "--name", "Alice", "--team", "core"),
        *("--create", "--json"),
    ).json()
    assert (added["email"], added["role"], added["team"]) == ("alice@acme.com", "member", "core")
    run("teams", "add", "search")
    assert run("users", "move", "alice@acme.com", "search").out.endswith("in team search.\n")
    assert run("users", "role", "alice@acme.com", "lead").out.endswith("is now lead.\n")
    run("keys", "issue", "--user", "alice@acme.com", "--name", "laptop")
    ended = run("users", "deactivate", "alice@acme.com")
    assert ended.out == "Switched off alice@acme.com and revoked 1 key.\n"
    listed = run("users", "list", "--json").json()
    assert [(u["email"], u["role"], u["team"], u["state"]) for u in listed] == [
        ("alice@acme.com", "lead", "search", "off"),
        ("boss@acme.com", "admin", None, "active"),
    ]
    table = run("users", "list").out
    assert "Alice" in table
    assert " off " in table
    assert run("users", "activate", "alice@acme.com").code == 0
    assert run("users", "move", "alice@acme.com", "").out.endswith("in no team.\n")


def test_a_link_signs_the_person_in_once(run: CommandLine) -> None:
    run("users", "add", "alice@acme.com")
    link = run(
        "users", "link", "alice@acme.com", "--url", "https://toll.acme.com/", "--json"
    ).json()
    assert link["url"] == "https://toll.acme.com" + link["path"]
    folder = stores.open_folder(run.data)
    token = link["path"].removeprefix(sign_in.LINK_PATH)
    signed_in = sign_in.sign_in(folder.store, folder.vault, token, now_us())
    folder.store.close()
    assert signed_in.user.email == "alice@acme.com"
    shown = run("users", "link", "alice@acme.com", "--url", "https://toll.acme.com").out
    assert shown.startswith(f"https://toll.acme.com{sign_in.LINK_PATH}")
    assert "Works once" in shown


@pytest.mark.parametrize(
    ("configuration", "address"),
    [
        ("", "http://localhost:4000/"),
        ("listen: {port: 4123, host: 0.0.0.0}", "http://localhost:4123/"),
        ("listen: {host: toll.internal}", "http://toll.internal:4000/"),
        ("public_url: https://toll.acme.com", "https://toll.acme.com/"),
    ],
)
def test_a_link_leads_to_the_configured_dashboard(
    run: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: str,
    address: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tollkeeper.yaml").write_text(configuration)
    run("users", "add", "alice@acme.com")
    link = run("users", "link", "alice@acme.com", "--json").json()
    assert link["url"] == address.rstrip("/") + link["path"]


def test_faults_are_told_in_one_line(run: CommandLine) -> None:
    assert run("users", "list").code == 1
    run("users", "add", "boss@acme.com", "--role", "admin")
    for arguments, says in (
        (["add", "BOSS@acme.com"], "there is a user 'boss@acme.com' already"),
        (["add", "nonsense"], "not an e-mail address"),
        (["add", "bob@acme.com", "--team", "nobody"], "there is no team 'nobody'"),
        (["deactivate", "boss@acme.com"], "last active admin"),
        (["role", "boss@acme.com", "member"], "last active admin"),
        (["move", "nobody@acme.com", ""], "there is no user"),
        (["link", "nobody@acme.com", "--url", "http://x"], "there is no user"),
    ):
        ended = run("users", *arguments)
        assert (ended.code, ended.out) == (1, ""), arguments
        assert says in ended.err
        assert ended.err.count("\n") == 1
    assert run("users", "role", "boss@acme.com", "king").code == 2


def test_a_password_is_set_after_a_link_and_ended(run: CommandLine) -> None:
    run("users", "add", "alice@acme.com")
    link = run("users", "password-link", "alice@acme.com", "--json").json()
    assert link["path"].startswith(sign_in.LINK_PATH)
    assert link["path"].endswith(sign_in.PASSWORD_STEP)
    assert [user["password"] for user in run("users", "list", "--json").json()] == [False]
    missing = run("users", "end-password", "alice@acme.com")
    assert missing.out == "There was no password, but ended the sessions of alice@acme.com.\n"
    folder = stores.open_folder(run.data)
    user = folder.store.user_with_email("alice@acme.com")
    assert user is not None
    folder.store.set_password(user.user_id, CountingHasher().hashed(b"secret"), now_us())
    folder.store.close()
    assert [user["password"] for user in run("users", "list", "--json").json()] == [True]
    ended = run("users", "end-password", "alice@acme.com")
    assert ended.out == "Ended the password of alice@acme.com.\n"
    assert [user["password"] for user in run("users", "list", "--json").json()] == [False]
    assert run("users", "end-password", "nobody@acme.com").code == 1


def test_by_what_people_sign_in_is_listed_and_may_be_forgotten(run: CommandLine) -> None:
    run("users", "add", "alice@acme.com")
    run("users", "add", "bob@acme.com")
    folder = stores.open_folder(run.data)
    alice = folder.store.user_with_email("alice@acme.com")
    assert alice is not None
    folder.store.set_password(alice.user_id, CountingHasher().hashed(b"secret"), now_us())
    folder.store.add_identity(Identity("https://acme.okta.com", "s-1", alice.user_id, "okta", 1, 1))
    folder.store.close()
    listed = run("users", "list", "--json").json()
    assert [user["providers"] for user in listed] == [["okta"], []]
    table = run("users", "list").out
    assert "okta, password" in table
    assert " link " in table
    assert run("users", "unbind", "alice@acme.com").out == (
        "Forgot who alice@acme.com is at the providers.\n"
    )
    assert run("users", "unbind", "alice@acme.com").out == (
        "There was nothing to forget of who alice@acme.com is at the providers.\n"
    )
    assert [user["providers"] for user in run("users", "list", "--json").json()] == [[], []]
    assert run("users", "unbind", "nobody@acme.com").code == 1


def test_somebody_is_invited_listed_and_uninvited(run: CommandLine) -> None:
    made = run("users", "invite", "new@acme.com", "--role", "lead", "--json").json()
    assert (made["state"], made["mailed"], made["team"]) == ("open", False, None)
    assert re.fullmatch(r"http://localhost:4000/join\?token=[\w-]{43}", made["url"])
    assert "new@acme.com" in run("users", "invitations").out
    off = run("users", "uninvite", made["id"], "--json").json()
    assert off["state"] == "revoked"
    said = run("users", "invite", "new@acme.com", "--mail").out
    assert "Not mailed: no mail server is configured" in said
    assert "/join?token=" in said


def test_a_table_of_people_is_tried_and_taken_over(run: CommandLine, tmp_path: Path) -> None:
    run("users", "add", "boss@acme.com", "--role", "admin")
    table = tmp_path / "people.csv"
    table.write_bytes("\ufeffemail;name;team\r\nalice@acme.com;Älice;core\r\n".encode())
    tried = run("users", "import", str(table), "--dry-run").out
    assert "+ team core" in tried
    assert "+ alice@acme.com: name 'Älice', role 'member', team 'core'" in tried
    assert "1 people would be added, 0 changed" in tried
    assert len(run("users", "list", "--json").json()) == 1
    done = run("users", "import", str(table), "--json").json()
    assert (done["done"], done["rows"], done["faults"]) == (True, 1, [])
    assert [user["team"] for user in run("users", "list", "--json").json()] == ["core", None]
    table.write_text("email,role\nx@acme.com,boss\n")
    failed = run("users", "import", str(table))
    assert failed.code == 1
    assert "line 2: 'boss' is no role" in failed.out


def test_scim_is_off_until_a_token_is_made(run: CommandLine) -> None:
    run("users", "add", "alice@acme.com")
    assert run("users", "scim-tokens").out.startswith("SCIM is off.")
    made = run("users", "scim-token", "okta", "--url", "https://toll.acme.com/", "--json").json()
    assert re.fullmatch(r"tk_scim_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}", made["token"])
    assert made["url"] == "https://toll.acme.com/scim/v2"
    shown = run("users", "scim-token", "entra", "--url", "https://toll.acme.com").out
    assert shown.startswith("tk_scim_")
    assert "Base URL: https://toll.acme.com/scim/v2" in shown
    ended = run("users", "scim-revoke", made["token"])  # a token that leaked, pasted whole
    assert ended.out == f"Revoked the SCIM token {made['id']} (okta).\n"
    listed = run("users", "scim-tokens", "--json").json()
    assert sorted((each["name"], each["state"]) for each in listed) == [
        ("entra", "active"),
        ("okta", "revoked"),
    ]
    assert made["token"] not in run("users", "scim-tokens").out
    assert run("users", "scim-revoke", "nothing").code == 1
