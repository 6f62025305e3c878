"""Taking back what raised a budget: who may, once, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from budget_desks import DAILY, DOLLAR, budget
from stores import DAY, NOW, SECOND, Folder, add_person, open_folder
from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_raises import BudgetRaise
from tollkeeper.domain.budgets import LIMIT_MAX, BudgetScope
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.services import budget_requests, overdrafts, raise_ends
from tollkeeper.services.budget_requests import Given, Wanted
from tollkeeper.services.keys import OPERATOR, Issuer, issuer_of_user

EACH = budget("b-users", 5 * DOLLAR, name="Each", scope=BudgetScope.USER, each=True, window=DAILY)
LATER = NOW + 10 * SECOND
PEOPLE = {
    "alice": ("core", Role.MEMBER),
    "lena": ("core", Role.LEAD),
    "mallory": ("other", Role.MEMBER),
    "olga": ("other", Role.LEAD),
    "fred": ("", Role.FINANCE),
    "audrey": ("", Role.AUDITOR),
    "root": ("", Role.ADMIN),
}


class Company:
    """A store with a budget of each person, of which Alice was given 10 dollars more."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.store = folder, folder.store
        self.store.set_org_name("Acme")
        users = {
            name: add_person(self.store, f"{name}@acme.com", team, role)
            for name, (team, role) in PEOPLE.items()
        }
        self.who: dict[str, Issuer] = {name: issuer_of_user(it) for name, it in users.items()}
        self.alice = users["alice"].user_id
        self.store.add_budget(EACH, NOW, "test")
        wanted = Wanted("b-users", self.alice, 20 * DOLLAR, NOW + DAY, "a release")
        asked = budget_requests.ask(self.store, folder.vault, wanted, self.who["alice"], NOW)
        give = Given(10 * DOLLAR, NOW + DAY, "", "page")
        request_id = asked.request.request_id
        budget_requests.approve(self.store, request_id, give, self.who["root"], NOW)
        (self.given,) = self.store.budget_raises()

    def end(self, name: str, raise_id: str = "", note: str = "") -> BudgetRaise:
        raise_id = raise_id or self.given.raise_id
        who = self.who[name]
        return raise_ends.end(self.store, raise_id, note, who, LATER, "page")[0]


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    folder = open_folder(tmp_path / "data")
    yield Company(folder)
    folder.store.close()


def test_what_is_taken_back_counts_no_more_and_somebody_is_told(company: Company) -> None:
    ended = company.end("fred", note="the release is out")
    assert ended.ended is not None
    assert (ended.ended.ended_by, ended.ended.ended_at_us) == ("fred@acme.com", LATER)
    assert (ended.until_us, ended.ends_at_us) == (NOW + DAY, LATER)
    assert company.store.budget_raises() == [ended]
    told = company.store.untold(10)[-1]
    assert told.event == "budget.raise_ended"
    assert told.title == "fred@acme.com has taken back 10 USD more of Each"
    assert told.text == "It was given by root@acme.com. the release is out"
    assert told.path == f"/budgets/requests/{ended.request_id}"


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        *(("root", None), ("fred", None), ("lena", None)),
        *(("alice", NotAllowed), ("audrey", NotAllowed)),
        *(("olga", NotFound), ("mallory", NotFound)),
    ],
)
def test_who_may(company: Company, name: str, refusal: type[Exception] | None) -> None:
    may = raise_ends.may_end(company.store, company.given, EACH, company.who[name], LATER)
    seen = raise_ends.raises_for(company.store, EACH, company.who[name])
    assert (may, bool(seen)) == (refusal is None, refusal is not NotFound)
    if refusal is None:
        company.end(name)
        return
    with pytest.raises(refusal):
        company.end(name)
    assert company.store.budget_raises() == [company.given]


def test_done_again_it_is_done_and_who_comes_second_is_told(company: Company) -> None:
    assert company.end("root") == company.end("root", note="again")
    with pytest.raises(Conflict, match="has ended it meanwhile"):
        company.end("fred")
    assert [it.event for it in company.store.untold(10)].count("budget.raise_ended") == 1
    assert not raise_ends.may_end(company.store, company.end("root"), EACH, OPERATOR, LATER)


def test_what_cannot_be_ended(company: Company) -> None:
    with pytest.raises(NotFound, match="no raise"):
        company.end("root", "unknown")
    for note in ("x" * 1_001, "two\nlines"):
        with pytest.raises(BadRequest, match="one line"):
            company.end("root", note=note)
    with pytest.raises(Conflict, match="over already"):
        raise_ends.end(company.store, company.given.raise_id, "", OPERATOR, NOW + DAY, "api")


def test_an_overdraft_is_taken_back_and_not_taken_again(company: Company) -> None:
    overdrafts.allow(company.store, "b-users", "10%", OPERATOR, NOW)
    taken = overdrafts.take(company.store, "b-users", company.alice, company.who["alice"], NOW)
    company.end("lena", taken.raise_id)
    assert company.store.untold(10)[-1].path == "/budgets/requests"
    offered = overdrafts.offer(company.store, EACH, company.alice, company.who["alice"], LATER)
    assert offered.amount == 0


def test_what_was_taken_back_leaves_room_for_another(company: Company) -> None:
    """A limit has an upper bound, of which an ended raise takes nothing."""
    store, vault, who = company.store, company.folder.vault, company.who["alice"]
    most = Wanted("b-users", company.alice, LIMIT_MAX - 10 * DOLLAR, NOW + DAY, "all of it")
    with pytest.raises(BadRequest, match="no limit is above"):
        budget_requests.ask(store, vault, most, who, LATER)
    company.end("root")
    assert budget_requests.ask(store, vault, most, who, LATER).request.amount == most.amount
