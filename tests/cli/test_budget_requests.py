"""``tollkeeper budgets requests``, ``approve``, ``decline`` and ``overdraft``."""

from __future__ import annotations

from pathlib import Path

import pytest

import stores
from budget_desks import DAILY, DOLLAR, budget
from command_line import CommandLine
from tollkeeper import clock
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.services import budget_requests
from tollkeeper.services.budget_requests import Wanted
from tollkeeper.services.keys import issuer_of_user

USERS = budget("b-users", 5 * DOLLAR, name="Each", scope=BudgetScope.USER, each=True, window=DAILY)


class Desk:
    """A data folder with a budget of each person, a command line, and Alice who asks."""

    def __init__(self, root: Path) -> None:
        self.run = CommandLine(root)
        self._root = root
        folder = stores.open_folder(root)
        folder.store.set_org_name("Acme")
        self.alice = stores.add_person(folder.store)
        folder.store.add_budget(USERS, clock.now_us(), "test")
        folder.store.close()

    def ask(self) -> str:
        folder, now_us = stores.open_folder(self._root), clock.now_us()
        wanted = Wanted("b-users", self.alice.user_id, 2 * DOLLAR, now_us + stores.DAY, "a release")
        who = issuer_of_user(self.alice)
        asked = budget_requests.ask(folder.store, folder.vault, wanted, who, now_us)
        folder.store.close()
        return asked.request.request_id


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path / "data")


def test_a_request_is_listed_and_approved(desk: Desk) -> None:
    run = desk.run
    assert "Nobody waits" in run("budgets", "requests").out
    request_id = desk.ask()
    shown = run("budgets", "requests").out
    for text in (request_id, "Each", "$2.00", "alice@acme.com", "a release", "asked"):
        assert text in shown
    done = run(
        "budgets", "approve", request_id, "--amount", "1.50", "--note", "ok", "--json"
    ).json()
    assert (done["state"], done["decision"]["amount"]) == ("approved", "1.50 USD")
    assert (done["decision"]["by"], done["decision"]["via"]) == ("command line", "command line")
    assert run("budgets", "requests", "--json").json() == []
    (listed,) = run("budgets", "requests", "--all", "--json").json()
    assert listed == done
    late = run("budgets", "decline", request_id)
    assert (late.code, late.out) == (1, "")
    assert "command line has approved it meanwhile" in late.err


def test_what_was_asked_for_is_given_if_nothing_else_is_said(desk: Desk) -> None:
    said = desk.run("budgets", "approve", desk.ask())
    assert said.out.startswith("Approved: $2.00 more of Each until 20")


def test_a_request_is_declined(desk: Desk) -> None:
    request_id = desk.ask()
    assert desk.run("budgets", "decline", request_id).out == "Declined: $2.00 more of Each.\n"
    assert desk.run("budgets", "approve", request_id).code == 1


def test_what_cannot_be_given_ends_in_one_line(desk: Desk) -> None:
    request_id = desk.ask()
    for words in (
        ("approve", "unknown"),
        ("approve", request_id, "--amount", "5 tokens"),
        ("approve", request_id, "--amount", "-1"),
        ("approve", request_id, "--until", "2020-01-01"),
        ("decline", "unknown"),
        ("overdraft", "Each"),
        ("overdraft", "Each", "--for", "nobody@acme.com"),
        ("overdraft", "Each", "--allow", "200%"),
        ("overdraft", "unknown"),
    ):
        said = desk.run("budgets", *words)
        assert (said.code, said.out) == (1, ""), words
        assert len(said.err.splitlines()) == 1, words


def test_an_overdraft_is_allowed_and_taken(desk: Desk) -> None:
    run = desk.run
    said = run("budgets", "overdraft", "Each", "--allow", "20%")
    assert said.out == "The owner of Each may take: 20%.\n"
    taken = run("budgets", "overdraft", "Each", "--for", "alice@acme.com", "--json").json()
    assert (taken["amount"], taken["kind"], taken["for"]) == (
        "1 USD",
        "overdraft",
        desk.alice.user_id,
    )
    again = run("budgets", "overdraft", "Each", "--for", "alice@acme.com")
    assert again.out.startswith("Took $1.00 until ")
    assert run("budgets", "overdraft", "Each", "--allow", "none").code == 0


def test_what_was_given_is_listed_and_taken_back(desk: Desk) -> None:
    run = desk.run
    assert "Nothing has raised Each for a time." in run("budgets", "raises", "Each").out
    run("budgets", "approve", desk.ask(), "--amount", "1.50")
    (given,) = run("budgets", "raises", "Each", "--json").json()
    assert (given["amount"], given["ended"]) == ("1.50 USD", None)
    shown = run("budgets", "raises", "Each").out
    for text in (given["id"], "alice@acme.com", "$1.50", "command line", "counts"):
        assert text in shown
    assert run("budgets", "end-raise", given["id"], "--note", "done").out == (
        "Taken back: $1.50 more of Each.\n"
    )
    (ended,) = run("budgets", "raises", "Each", "--json").json()
    assert (ended["ended"]["by"], ended["ended"]["note"]) == ("command line", "done")
    assert "taken back by command line" in run("budgets", "raises", "Each").out
    gone = run("budgets", "end-raise", "unknown")
    assert gone.code != 0
    assert "there is no raise 'unknown'" in gone.err
