"""``tollkeeper keys``."""

from __future__ import annotations

from pathlib import Path

import pytest

import stores
from command_line import CommandLine
from stores import DAY
from tollkeeper.clock import now_us
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind
from tollkeeper.services import keys

ALICE = ("--user", "alice@acme.com", "--team", "core", "--name", "laptop")


@pytest.fixture
def run(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")


def test_a_key_is_issued_with_its_owner_and_printed_once(run: CommandLine) -> None:
    made = run("keys", "issue", *ALICE, "--create", "--json").json()
    parts = key_tokens.parse(made["key"])
    assert parts is not None
    assert made["id"] == parts.key_id
    assert (made["user"], made["team"], made["name"]) == ("alice@acme.com", "core", "laptop")
    listed = run("keys", "list", "--json").json()
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    folder = stores.open_folder(run.data)
    key = keys.verify_stored(made["key"], folder.store, folder.vault, now_us(), KeyKind.VIRTUAL)
    folder.store.close()
    assert (key.team, key.user_name) == ("core", "alice@acme.com")


def test_without_create_an_unknown_owner_is_an_error_that_says_so(run: CommandLine) -> None:
    assert run("teams", "add", "core").code == 0
    ended = run("keys", "issue", *ALICE, "--json")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "there is no user 'alice@acme.com'" in ended.err
    assert "--create" in ended.err
    assert "tollkeeper users add" in ended.err
    assert run("users", "add", "alice@acme.com").code == 0
    assert run("keys", "issue", *ALICE).code == 0
    ended = run("keys", "issue", "--team", "search", "--name", "x")
    assert "there is no team 'search'; add it with: tollkeeper teams add" in ended.err


def test_create_adds_nothing_when_the_key_is_refused(run: CommandLine) -> None:
    run("teams", "add", "core")
    ended = run(
        "keys", "issue", "--user", "alice@acme.com", "--team", "new", "--name", "\t", "--create"
    )
    assert ended.code == 1
    assert "the key's name is empty" in ended.err
    assert run("users", "list", "--json").json() == []
    assert [team["name"] for team in run("teams", "list", "--json").json()] == ["core"]


def test_a_management_key_needs_no_owner(run: CommandLine) -> None:
    made = run("keys", "issue", "--role", "admin", "--name", "ci", "--create", "--json").json()
    assert made["key"].startswith("tk_admin_")
    assert (made["role"], made["user"], made["team"]) == ("admin", None, None)


def test_every_option_reaches_the_key(run: CommandLine) -> None:
    made = run(
        *("keys", "issue", *ALICE, "--create", "--json"),
        *("--model", "gpt-*", "--model", "claude-*", "--provider", "openai"),
        *("--tag", "feature=chat", "--tag", "note=a=b", "--expires", "90d"),
    ).json()
    assert made["models"] == ["gpt-*", "claude-*"]
    assert made["providers"] == ["openai"]
    assert made["tags"] == {"feature": "chat", "note": "a=b"}
    folder = stores.open_folder(run.data)
    record = folder.store.key(made["id"])
    folder.store.close()
    assert record is not None
    assert record.key.expires_at_us == record.created_at_us + 90 * DAY
    assert made["expires_at"].endswith("Z")


def test_an_expiry_can_be_a_day_which_counts_to_its_end(run: CommandLine) -> None:
    made = run("keys", "issue", *ALICE, "--create", "--json", "--expires", "2099-01-31").json()
    assert made["expires_at"] == "2099-01-31T23:59:59Z"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--name", "x"], "name an owner"),
        (["--user", "alice@acme.com"], "Missing option"),
        ([*ALICE, "--expires", "soon"], "90d"),
        ([*ALICE, "--expires", "2027-02-31"], "90d"),
        ([*ALICE, "--tag", "novalue"], "KEY=VALUE"),
        ([*ALICE, "--role", "root"], "root"),
        ([*ALICE, "--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_ends_with_two_and_touches_nothing(
    run: CommandLine, wrong: list[str], says: str
) -> None:
    ended = run("keys", "issue", "--create", *wrong)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert not run.data.exists()


def test_what_is_refused_ends_with_one_line_and_one(run: CommandLine) -> None:
    for wrong in (
        ["--user", "not an address", "--name", "x"],
        [*ALICE, "--expires", "2020-01-01"],
        [*ALICE, "--name", "x" * 300],
    ):
        ended = run("keys", "issue", "--create", *wrong)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("tollkeeper: ")
        assert ended.err.count("\n") == 1


def test_the_list_is_a_table_with_whole_ids(run: CommandLine) -> None:
    assert "tollkeeper serve" in run("keys", "list").err
    run("teams", "add", "core")
    assert "No keys yet" in run("keys", "list").out
    ids = [
        run("keys", "issue", *ALICE[:-1], f"laptop {n}" * 8, "--create", "--json").json()["id"]
        for n in range(3)
    ]
    table = run("keys", "list").out
    for key_id in ids:
        assert f" {key_id} " in table
    assert "alice@acme.com" in table
    assert "never" in table


def test_the_list_can_be_narrowed(run: CommandLine) -> None:
    alice = run("keys", "issue", *ALICE, "--create", "--json").json()["id"]
    team = run("keys", "issue", "--team", "core", "--name", "bot", "--json").json()["id"]
    other = run("keys", "issue", "--team", "search", "--name", "bot", "--create", "--json").json()[
        "id"
    ]
    run("keys", "revoke", team)

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in run("keys", "list", "--json", *options).json()]

    assert ids() == [alice, team, other]
    assert ids("--user", "ALICE@acme.com") == [alice]
    assert ids("--team", "Core") == [alice, team]
    assert ids("--active") == [alice, other]
    assert run("keys", "list", "--user", "nobody@acme.com").code == 1


def test_a_key_is_revoked_by_its_id_or_pasted_whole(run: CommandLine) -> None:
    made = [run("keys", "issue", *ALICE, "--create", "--json").json() for _ in range(2)]
    ended = run("keys", "revoke", made[0]["id"])
    assert ended.out == f"Revoked key {made[0]['id']} (laptop).\n"
    assert "has been revoked since" in run("keys", "revoke", made[0]["id"]).out
    revoked = run("keys", "revoke", made[1]["key"], "--json").json()
    assert (revoked["id"], revoked["state"]) == (made[1]["id"], "revoked")
    assert {row["state"] for row in run("keys", "list", "--json").json()} == {"revoked"}


@pytest.mark.parametrize("wrong", ["nobody00", "", "tk_live_AAAAAAAA_short", "\udcff", "x" * 500])
def test_a_key_that_is_not_there_cannot_be_revoked(run: CommandLine, wrong: str) -> None:
    run("teams", "add", "core")
    ended = run("keys", "revoke", wrong)
    assert ended.code == 1
    assert ended.err.count("\n") == 1


def test_a_state_says_why_a_key_does_not_work(run: CommandLine) -> None:
    made = run("keys", "issue", *ALICE, "--create", "--json").json()
    run("teams", "deactivate", "core")
    assert run("keys", "list", "--json").json()[0]["state"] == "off"
    assert " off " in run("keys", "list").out
    run("teams", "activate", "core")
    assert run("keys", "list", "--json").json()[0]["state"] == "active"
    run("keys", "revoke", made["id"])
    assert run("keys", "list", "--json").json()[0]["state"] == "revoked"


def test_a_key_is_rotated_and_says_until_when_the_old_secret_works(run: CommandLine) -> None:
    made = run("keys", "issue", *ALICE, "--create", "--json").json()
    again = run("keys", "rotate", made["id"], "--overlap", "7d", "--json").json()
    assert again["id"] == made["id"]
    assert again["key"] != made["key"]
    assert again["rotated_by"] == "command line"
    told = run("keys", "rotate", made["key"], "--overlap", "0")
    assert told.code == 0
    assert "tk_live_" in told.out
    assert "The secret before stops working within a second." in told.out
    told = run("keys", "rotate", made["id"])
    assert "The secret before works until " in told.out
    ended = run("keys", "rotate", made["id"])
    assert ended.code == 1
    assert "two secrets of it work until" in ended.err
    for overlap, code in (("8d", 1), ("soon", 2), ("-1", 2)):
        assert run("keys", "rotate", made["id"], f"--overlap={overlap}").code == code
    assert run("keys", "rotate", "nothing1").code == 1
    assert run("keys", "rotate", made["key"][:-3]).code == 1


def test_a_key_is_bound_to_networks(run: CommandLine) -> None:
    made = run(
        "keys", "issue", *ALICE, "--create", "--network", "10.0.0.0/8", "--network", "::1", "--json"
    ).json()
    assert made["networks"] == ["10.0.0.0/8", "::1/128"]
    told = run("keys", "issue", *ALICE, "--network", "10.0.0.0/8")
    assert "Only from: 10.0.0.0/8\n" in told.out
    ended = run("keys", "issue", *ALICE, "--network", "10.0.0.1/8")
    assert ended.code == 1
    assert "not a network: '10.0.0.1/8'" in ended.err


def test_a_key_has_a_budget_of_its_own_and_the_list_says_what_is_left(run: CommandLine) -> None:
    told = run("keys", "issue", *ALICE, "--create", "--budget", "50/month")
    assert "May spend: 50 USD a month\n" in told.out
    (key,) = run("keys", "list", "--json").json()
    assert [(each["unit"], each["limit"]) for each in key["budgets"]] == [("usd", "50.000000000")]
    assert "50 of 50 USD" in run("keys", "list").out
    (budget,) = run("budgets", "list", "--json").json()
    assert (budget["match"], budget["mode"]) == (key["id"], "hard")
    ended = run("keys", "issue", *ALICE, "--budget", "much")
    assert ended.code == 2
    assert "like 5000 USD" in ended.err
    run("keys", "rotate", key["id"])
    (again,) = run("keys", "list", "--json").json()
    assert again["budgets"] == key["budgets"]


def test_a_key_is_changed_in_what_is_named(run: CommandLine) -> None:
    made = run("keys", "issue", *ALICE, "--create", "--json").json()
    limits = ("--model", "gpt-*", "--network", "10.0.0.0/8", "--tag", "app=chat", "--expires", "9d")
    row = run("keys", "change", made["id"], "--name", "desktop", *limits, "--json").json()
    assert (row["name"], row["models"], row["networks"]) == ("desktop", ["gpt-*"], ["10.0.0.0/8"])
    assert (row["tags"], row["providers"]) == ({"app": "chat"}, [])
    told = run("keys", "change", made["key"], "--model", "", "--tag", "", "--expires", "never")
    assert told.out.splitlines() == [
        f"Key {made['id']} (desktop) from now on:",
        "Models: all",
        "Providers: all",
        "Only from: 10.0.0.0/8",
        "Tags: none",
        "Expires: never",
    ]
    assert run("keys", "change", made["id"]).code == 2
    assert (
        "the key would have expired"
        in run("keys", "change", made["id"], "--expires", "2001-01-01").err
    )
    assert run("keys", "change", "nothing1", "--name", "x").code == 1
    run("keys", "revoke", made["id"])
    ended = run("keys", "change", made["id"], "--name", "x")
    assert (ended.code, "only a key that works" in ended.err) == (1, True)
