"""``tollkeeper budgets``: made, changed, listed, ended, and tried on the past."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stores
from budget_desks import CENT, DOLLAR
from command_line import CommandLine
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.clock import now_us
from tollkeeper.domain.budget_words import FILE_PREFIX, budget_of
from tollkeeper.ports import Position
from tollkeeper.storage.store.store import SqlStore

HOUR = 3_600_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stores.Folder:
    monkeypatch.chdir(tmp_path)
    opened = stores.open_folder(tmp_path / "data")
    opened.store.set_org_name("acme")
    stores.add_person(opened.store, "alice@acme.com", "core")
    return opened


@pytest.fixture
def run(folder: stores.Folder) -> CommandLine:
    folder.store.close()
    return CommandLine(folder.data.root)


def budgets_in(run: CommandLine) -> Any:
    return run("budgets", "list", "--json").json()


def test_a_budget_is_made_changed_and_ended(run: CommandLine) -> None:
    made = run(
        *("budgets", "set", "All of us", "--limit", "5000 USD", "--tz", "Europe/Berlin"),
        *("--alert-at", "50,90", "--rollover", "10%", "--exempt", "local/*, tiny", "--json"),
    ).json()
    assert (made["scope"], made["limit"], made["window"]) == ("org", "5000.000000000", "month")
    assert (made["timezone"], made["rollover"]) == ("Europe/Berlin", "500.000000000")
    assert (made["alert_at"], made["exempt_models"]) == (["50", "90"], ["local/*", "tiny"])
    changed = run("budgets", "set", "All of us", "--limit", "$6,000", "--mode", "observe", "--json")
    assert changed.json() == made | {
        "limit": "6000.000000000",
        "mode": "observe",
        "version": 2,
        "balances": changed.json()["balances"],
    }
    again = run(
        "budgets", "set", made["id"], "--limit", "7000 USD", "--window", "monthly", "--json"
    )
    assert (again.json()["id"], again.json()["version"]) == (made["id"], 3)
    shown = run("budgets", "list").out
    for text in ("All of us", "The organisation", "7,000 USD", "month", "observe"):
        assert text in shown
    ended = run("budgets", "rm", "All of us")
    assert ended.code == 0
    assert "Ended budget" in ended.out


def test_what_a_budget_counts_stays(run: CommandLine) -> None:
    run("budgets", "set", "b", "--scope", "each team", "--limit", "5 USD")
    for option, value in (("--scope", "org"), ("--window", "day"), ("--tz", "Asia/Tokyo")):
        refused = run("budgets", "set", "b", option, value)
        assert (refused.code, "never changes" in refused.err) == (1, True), refused
    assert run("budgets", "set", "b", "--scope", "each team", "--limit", "6 USD").code == 0
    (found,) = budgets_in(run)
    assert (found["version"], found["limit"]) == (2, "6.000000000")


def test_people_and_teams_are_named(run: CommandLine) -> None:
    made = run(
        *["budgets", "set", "a", "--scope", "user:alice@acme.com", "--limit", "$5", "--json"]
    ).json()
    assert made["match_name"] == "alice@acme.com"
    assert made["match"] != made["match_name"]
    assert "alice@acme.com" in run("budgets", "show", "a").out
    wrong = run(*["budgets", "set", "b", "--scope", "team:cor", "--limit", "$5"])
    assert (wrong.code, "there is no team 'cor'" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--limit -5USD", "0 or more"),
        ("--limit 1e400USD", "an amount and its unit"),
        ("--limit 5000", "an amount and its unit"),
        ("--limit 5000EUR", "an amount and its unit"),
        ("", "an amount and its unit"),
        ("--limit $5 --scope galaxy", "is one of org, team"),
        ("--limit $5 --window fortnight", "is one of hour, day"),
        ("--limit $5 --tz Mars/Base", "no IANA time zone"),
        ("--limit $5 --mode soft", "hard or observe"),
        ("--limit $5 --rollover $6", "at most the limit"),
        ("--limit $5 --alert-at many", "per cent"),
        ("--limit $5 --sizing big", "strict or balanced"),
        ("--limit $5 --since soon", "is a day like"),
    ],
)
def test_what_is_no_budget_is_wrong_usage(run: CommandLine, arguments: str, says: str) -> None:
    refused = run("budgets", "set", "b", *arguments.split())
    assert refused.code == 2
    assert says in " ".join(refused.err.replace("│", " ").split())
    assert budgets_in(run) == []


def test_a_budget_of_some_days(run: CommandLine) -> None:
    days = ("--tz", "Asia/Tokyo", "--since", "2099-12-01", "--until", "2099-12-31")
    made = run("budgets", "set", "season", "--limit", "5 USD", *days, "--json").json()
    assert (made["since"], made["until"]) == ("2099-11-30T15:00:00Z", "2099-12-31T15:00:00Z")
    assert made["state"] == "planned"
    refused = run("budgets", "set", "season", "--until", "2099-12-30")
    assert (refused.code, "is said when it is made" in refused.err) == (1, True)
    over = run("budgets", "set", "over", "--limit", "5 USD", "--until", "2020-12-31")
    assert (over.code, "ends" in over.err) == (1, True)


def test_a_limit_of_nothing_is_one(run: CommandLine) -> None:
    assert run("budgets", "set", "b", "--limit", "0 USD").code == 0


def test_a_prepaid_budget_is_paid_into(run: CommandLine) -> None:
    run("budgets", "set", "p", "--limit", "0 USD", "--window", "prepaid")
    paid = run("budgets", "top-up", "p", "$25.50")
    assert paid.code == 0
    assert "Paid 25.50 USD into budget" in paid.out
    assert run("budgets", "top-up", "p", "5 tokens").code == 2
    run("budgets", "set", "m", "--limit", "5 USD")
    refused = run("budgets", "top-up", "m", "$5")
    assert (refused.code, "prepaid" in refused.err) == (1, True)


def test_names_that_are_not_one(run: CommandLine) -> None:
    for command in ("show", "rm"):
        refused = run("budgets", command, "nothing")
        assert (refused.code, "there is no budget 'nothing'" in refused.err) == (1, True)
    assert "nothing is capped" in run("budgets", "list").out


def test_several_of_one_name_are_told_apart_by_their_ids(folder: stores.Folder) -> None:
    one = budget_of({"scope": "org", "limit": "5 USD", "name": "b"})
    for number in "12":
        folder.store.add_budget(one._replace(budget_id=f"b{number}"), now_us(), "test")
    folder.store.close()
    run = CommandLine(folder.data.root)
    assert "2 budgets are called 'b'" in run("budgets", "rm", "b").err
    assert run("budgets", "rm", "b1").code == 0


def test_budgets_of_the_file_are_changed_there(folder: stores.Folder) -> None:
    one = budget_of({"scope": "org", "limit": "5 USD", "name": "in the file"})
    store: SqlStore = folder.store
    store.add_budget(one._replace(budget_id=f"{FILE_PREFIX}1"), now_us(), "tollkeeper.yaml")
    store.close()
    run = CommandLine(folder.data.root)
    assert "Stands in    tollkeeper.yaml" in run("budgets", "show", "in the file").out
    refused = run("budgets", "set", "in the file", "--limit", "$6")
    assert (refused.code, "tollkeeper.yaml" in refused.err) == (1, True)


# ------------------------------------------------------------------ replay


@pytest.fixture
def spent(folder: stores.Folder) -> CommandLine:
    """A folder with three calls, of 60, 50 and 40 cents."""
    ledger, now = open_duckdb(folder.data.root), now_us()
    entries = [
        ledger_entry(started_at_us=now - (3 - number) * HOUR, cost_nanos=cents * CENT)
        for number, cents in enumerate((60, 50, 40))
    ]
    ledger.append(entries, Position("test", 1))
    ledger.close()
    folder.store.close()
    return CommandLine(folder.data.root)


def test_a_proposed_budget_is_tried(spent: CommandLine) -> None:
    arguments = ("budgets", "replay", "--limit", "1 USD", "--window", "lifetime")
    found = spent(*arguments, "--json").json()
    assert (found["calls"], found["refused_calls"]) == (3, 1)
    assert found["refused_amount"] == "0.500000000"
    assert [each["name"] for each in found["whom"]] == ["alice@acme.com"]
    shown = spent(*arguments)
    assert "It would have refused 1 call (0.50 USD) in 1 window." in shown.out
    assert "alice@acme.com" in shown.out
    assert budgets_in(spent) == []


def test_a_budget_that_is_there_is_tried(spent: CommandLine) -> None:
    spent("budgets", "set", "b", "--scope", "each user", "--limit", "0 USD", "--window", "lifetime")
    found = spent("budgets", "replay", "b", "--days", "90", "--json").json()
    assert (found["name"], found["refused_calls"]) == ("b", 3)
    assert "refused nothing" in spent("budgets", "replay", "--limit", f"{DOLLAR} USD").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("b", "--limit", "$5"), 2),
        (("nothing",), 1),
        (("--limit", "-5 USD"), 2),
        (("--scope", "each user"), 2),
        (("--limit", "$5", "--days", "0"), 2),
        (("--limit", "$5", "--scope", "tag:no key=x"), 2),
    ],
)
def test_what_cannot_be_tried_is_said(
    spent: CommandLine, arguments: tuple[str, ...], code: int
) -> None:
    assert spent("budgets", "replay", *arguments).code == code
