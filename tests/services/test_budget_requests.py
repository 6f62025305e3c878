"""Asking for more of a budget, and deciding about it: who may what, once, and how long."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_desks import DAILY, DOLLAR, LIFETIME, budget
from stores import DAY, NOW, SECOND, Folder, add_person, issue_key, open_folder
from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_raises import Overdraft, RaiseKind, RequestState
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import LIMIT_MAX, Budget, BudgetScope, Mode, Unit
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.domain.file_budgets import FILE
from tollkeeper.services import budget_requests as service
from tollkeeper.services import overdrafts
from tollkeeper.services.budget_requests import Given, Wanted
from tollkeeper.services.keys import OPERATOR, Issuer, issuer_of_key, issuer_of_user
from tollkeeper.services.raise_words import amount_of, last_day_of, until_of

ORG = budget("b-org", 100 * DOLLAR, window=DAILY)
EACH_USER = budget("b-users", 5 * DOLLAR, scope=BudgetScope.USER, each=True, window=DAILY)
CORE = budget("b-core", 50 * DOLLAR, scope=BudgetScope.TEAM, match="core", window=DAILY)
EACH_KEY = budget("b-keys", 5 * DOLLAR, scope=BudgetScope.KEY, each=True, window=DAILY)
MODELS = budget("b-opus", 5 * DOLLAR, scope=BudgetScope.MODEL, match="*opus*", window=DAILY)
WATCHED = budget("b-watched", DOLLAR, mode=Mode.OBSERVE)


class Company:
    """A store with budgets, and people who ask and decide."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.store = folder, folder.store
        self.store.set_org_name("Acme")
        people = {
            "alice": ("core", Role.MEMBER),
            "lena": ("core", Role.LEAD),
            "mallory": ("other", Role.MEMBER),
            "olga": ("other", Role.LEAD),
            "fred": ("", Role.FINANCE),
            "audrey": ("", Role.AUDITOR),
            "root": ("", Role.ADMIN),
            "ruth": ("", Role.ADMIN),
        }
        self.who: dict[str, Issuer] = {}
        self.ids: dict[str, str] = {}
        for name, (team, role) in people.items():
            user = add_person(self.store, f"{name}@acme.com", team, role)
            self.who[name], self.ids[name] = issuer_of_user(user), user.user_id
        for each in (ORG, EACH_USER, CORE, EACH_KEY, MODELS, WATCHED):
            self.store.add_budget(each, NOW, "test")

    def wanted(self, of: Budget = ORG, entity: str = "", **fields: object) -> Wanted:
        usual = Wanted(of.budget_id, entity, 20 * DOLLAR, NOW + DAY, "a release")
        return usual._replace(**fields)  # type: ignore[arg-type]

    def ask(
        self, name: str, of: Budget = ORG, entity: str = "", once: str = "", **fields: object
    ) -> str:
        wanted = self.wanted(of, entity, **fields)
        asked = service.ask(self.store, self.folder.vault, wanted, self.who[name], NOW, once)
        return asked.request.request_id

    def approve(self, name: str, request_id: str, **fields: object) -> object:
        given = Given(10 * DOLLAR, NOW + DAY, "", "page")._replace(**fields)  # type: ignore[arg-type]
        return service.approve(self.store, request_id, given, self.who[name], NOW + SECOND)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    folder = open_folder(tmp_path / "data")
    yield Company(folder)
    folder.store.close()


# ------------------------------------------------------------------ asking


def test_who_was_refused_asks_and_somebody_is_told(company: Company) -> None:
    request_id = company.ask("alice")
    (asked,) = company.store.budget_requests()
    assert asked.request.request_id == request_id
    assert (asked.request.asked_by, asked.request.amount) == ("alice@acme.com", 20 * DOLLAR)
    (told,) = company.store.untold(10)
    assert told.event == "budget.requested"
    assert told.title == "alice@acme.com asks for 20 USD more of budget b-org"
    token = service.link_token(company.folder.vault, request_id)
    assert told.path == f"/budgets/requests/{request_id}?t={token}"
    assert "a release" in told.text


def test_the_same_request_may_be_sent_again(company: Company) -> None:
    first = company.ask("alice", once="form-1")
    assert company.ask("alice", once="form-1") == first
    assert len(company.store.untold(10)) == 1
    with pytest.raises(Conflict, match="another request"):
        company.ask("alice", once="form-1", amount=DOLLAR)
    assert company.ask("mallory", once="form-1") != first, "another person's form is another"


def test_nobody_asks_twice_while_they_wait(company: Company) -> None:
    request_id = company.ask("alice")
    with pytest.raises(Conflict, match="asked already"):
        company.ask("alice")
    company.ask("mallory")
    company.approve("root", request_id)
    company.ask("alice")


@pytest.mark.parametrize(
    ("name", "of", "entity", "may"),
    [
        ("alice", ORG, "", True),
        ("alice", MODELS, "", True),
        ("alice", CORE, "", True),
        ("mallory", CORE, "", False),
        ("alice", EACH_USER, "alice", True),
        ("mallory", EACH_USER, "alice", False),
        ("lena", EACH_USER, "alice", True),
        ("olga", EACH_USER, "alice", False),
        ("fred", EACH_USER, "alice", True),
        ("audrey", EACH_USER, "alice", False),
        ("audrey", ORG, "", True),
    ],
)
def test_about_what_somebody_may_ask(
    company: Company, name: str, of: Budget, entity: str, may: bool
) -> None:
    entity = company.ids.get(entity, entity)
    if may:
        assert company.ask(name, of, entity)
    else:
        with pytest.raises(NotFound, match="no budget"):
            company.ask(name, of, entity)


def test_a_key_asks_for_itself_and_its_person_for_it(company: Company) -> None:
    key = issue_key(company.folder, "alice@acme.com").record.key
    company.who["key"] = issuer_of_key(key)
    company.ask("key", EACH_KEY, key.key_id)
    company.ask("alice", EACH_KEY, key.key_id)
    with pytest.raises(NotFound):
        company.ask("mallory", EACH_KEY, key.key_id)


def test_what_cannot_be_asked(company: Company) -> None:
    for fields, reason in (
        ({"amount": 0}, "more than nothing"),
        ({"amount": LIMIT_MAX}, "no limit is above"),
        ({"until_us": NOW}, "in the future"),
        ({"until_us": NOW + 400 * DAY}, "within a year"),
        ({"reason": " \n "}, "a reason"),
        ({"reason": "x" * 1_001}, "a reason"),
    ):
        with pytest.raises(BadRequest, match=reason):
            company.ask("alice", **fields)
    with pytest.raises(BadRequest, match="everybody together"):
        company.ask("alice", ORG, "alice")
    with pytest.raises(BadRequest, match="each value apart"):
        company.ask("root", EACH_USER)
    with pytest.raises(BadRequest, match="refuses nobody"):
        company.ask("alice", WATCHED)
    with pytest.raises(NotFound):
        company.ask("alice", budget("nobody's"))
    ended = budget("b-ended", DOLLAR, until_us=NOW)
    company.store.add_budget(ended, NOW, "test")
    with pytest.raises(Conflict, match="has ended"):
        company.ask("alice", ended)
    assert company.store.budget_requests() == []


@pytest.mark.parametrize("text", ["\0", "\udc80", "x" * 2_000, "a\nb"])
def test_what_no_store_can_look_for_is_not_there(company: Company, text: str) -> None:
    for of in (EACH_USER, EACH_KEY):
        with pytest.raises(NotFound):
            company.ask("alice", of, text)
    with pytest.raises(NotFound):
        company.approve("root", text)
    with pytest.raises(BadRequest, match="a note"):
        company.approve("root", company.ask("alice"), note=text)


# ------------------------------------------------------------------ deciding


def test_what_is_approved_raises_the_limit_for_that_time(company: Company) -> None:
    request_id = company.ask("alice", EACH_USER, company.ids["alice"])
    company.approve("root", request_id, amount=7 * DOLLAR, until_us=NOW + 2 * DAY)
    (given,) = company.store.budget_raises()
    assert (given.budget_id, given.entity) == ("b-users", company.ids["alice"])
    assert (given.amount, given.kind) == (7 * DOLLAR, RaiseKind.APPROVED)
    assert (given.from_us, given.until_us) == (NOW + SECOND, NOW + 2 * DAY)
    assert (given.request_id, given.made_by) == (request_id, "root@acme.com")
    assert company.store.untold(10)[-1].event == "budget.approved"
    (asked,) = company.store.budget_requests()
    assert asked.state(NOW) is RequestState.APPROVED


@pytest.mark.parametrize(
    ("name", "may"),
    [
        *(("root", True), ("fred", True), ("lena", True)),
        *(("alice", False), ("audrey", False), ("olga", False), ("mallory", False)),
    ],
)
def test_who_may_decide_about_a_person_of_a_team(company: Company, name: str, may: bool) -> None:
    request_id = company.ask("alice", EACH_USER, company.ids["alice"])
    if may:
        company.approve(name, request_id)
        return
    with pytest.raises((NotAllowed, NotFound)):
        company.approve(name, request_id)
    with pytest.raises((NotAllowed, NotFound)):
        service.decline(company.store, request_id, "", company.who[name], NOW, "page")
    assert company.store.budget_raises() == []


def test_nobody_decides_about_their_own_but_an_admin(company: Company) -> None:
    for name in ("lena", "fred"):
        request_id = company.ask(name, CORE)
        with pytest.raises(NotAllowed, match="somebody else decides"):
            company.approve(name, request_id)
    company.approve("root", company.ask("root", ORG))
    company.approve("lena", company.ask("alice", CORE))


def test_a_lead_decides_about_nothing_beyond_the_team(company: Company) -> None:
    for of in (ORG, MODELS):
        with pytest.raises(NotFound):
            company.approve("lena", company.ask("alice", of))


def test_of_two_admins_the_second_is_told(company: Company) -> None:
    request_id = company.ask("alice")
    company.approve("root", request_id)
    company.approve("root", request_id)  # the same again, as when a button is pressed twice
    with pytest.raises(Conflict, match=r"root@acme\.com has approved it meanwhile"):
        company.approve("ruth", request_id)
    with pytest.raises(Conflict, match="has approved it"):
        company.approve("root", request_id, amount=DOLLAR)
    with pytest.raises(Conflict, match="has approved it"):
        service.decline(company.store, request_id, "no", company.who["ruth"], NOW, "page")
    assert len(company.store.budget_raises()) == 1


def test_what_is_declined_stays_so(company: Company) -> None:
    request_id = company.ask("alice")
    service.decline(company.store, request_id, "not now", company.who["root"], NOW, "link")
    with pytest.raises(Conflict, match="has declined it meanwhile"):
        company.approve("ruth", request_id)
    (asked,) = company.store.budget_requests()
    assert asked.decision is not None
    assert (asked.decision.note, asked.decision.via) == ("not now", "link")
    assert company.store.budget_raises() == []


def test_what_is_over_is_not_approved_any_more(company: Company) -> None:
    request_id = company.ask("alice", until_us=NOW + SECOND)
    with pytest.raises(Conflict, match="over"):
        company.approve("root", request_id)


def test_everybody_sees_their_own_and_what_they_decide_about(company: Company) -> None:
    company.ask("alice", EACH_USER, company.ids["alice"])
    company.ask("mallory")
    seen = {
        name: [asked.request.asked_by.partition("@")[0] for asked, _ in found]
        for name, who in company.who.items()
        if (found := service.requests_for(company.store, who)) is not None
    }
    assert seen == {
        "alice": ["alice"],
        "lena": ["alice"],
        "mallory": ["mallory"],
        "olga": [],
        "fred": ["mallory", "alice"],
        "audrey": ["mallory", "alice"],
        "root": ["mallory", "alice"],
        "ruth": ["mallory", "alice"],
    }


# ------------------------------------------------------------------ overdrafts


def test_an_overdraft_of_the_file_is_changed_there_only(company: Company) -> None:
    company.store.allow_overdraft(Overdraft("b-users", NOW, FILE, part_bp=1_000))
    with pytest.raises(Conflict, match=r"stands in tollkeeper\.yaml"):
        overdrafts.allow(company.store, "b-users", "none", OPERATOR, NOW + SECOND)
    company.store.allow_overdraft(Overdraft("b-users", NOW + 1, FILE))
    overdrafts.allow(company.store, "b-users", "20 %", OPERATOR, NOW + SECOND)


def test_an_owner_takes_an_overdraft_once_in_a_window(company: Company) -> None:
    store, alice, ids = company.store, company.who["alice"], company.ids
    with pytest.raises(BadRequest, match="allows no overdraft"):
        overdrafts.take(store, "b-users", ids["alice"], alice, NOW)
    overdrafts.allow(store, "b-users", "20 %", company.who["root"], NOW)
    offered = overdrafts.offer(store, EACH_USER, ids["alice"], alice, NOW)
    assert offered == overdrafts.Offer(DOLLAR)
    taken = overdrafts.take(store, "b-users", ids["alice"], alice, NOW)
    assert (taken.amount, taken.until_us) == (DOLLAR, DAILY.around(NOW).end_us)
    assert overdrafts.take(store, "b-users", ids["alice"], alice, NOW + SECOND) == taken
    with pytest.raises(Conflict, match="taken already"):
        overdrafts.take(store, "b-users", ids["alice"], company.who["root"], NOW)
    assert overdrafts.offer(store, EACH_USER, ids["alice"], alice, NOW).amount == 0
    again = overdrafts.take(store, "b-users", ids["alice"], alice, NOW + DAY)
    assert again.raise_id != taken.raise_id
    events = [told.event for told in store.untold(10)]
    assert events == ["budget.overdrawn"] * 2


@pytest.mark.parametrize(
    ("name", "of", "entity", "may"),
    [
        ("alice", EACH_USER, "alice", True),
        ("lena", EACH_USER, "alice", False),
        ("mallory", EACH_USER, "alice", False),
        ("root", EACH_USER, "alice", True),
        ("lena", CORE, "", True),
        ("alice", CORE, "", False),
        ("olga", CORE, "", False),
        ("alice", ORG, "", False),
        ("root", ORG, "", True),
    ],
)
def test_whose_a_budget_is(company: Company, name: str, of: Budget, entity: str, may: bool) -> None:
    entity, who = company.ids.get(entity, entity), company.who[name]
    overdrafts.allow(company.store, of.budget_id, "1 USD", OPERATOR, NOW)
    if may:
        assert overdrafts.take(company.store, of.budget_id, entity, who, NOW).amount == DOLLAR
    else:
        with pytest.raises((NotAllowed, NotFound)):
            overdrafts.take(company.store, of.budget_id, entity, who, NOW)


def test_only_an_admin_allows_overdrafts_and_takes_it_back(company: Company) -> None:
    for name in ("alice", "lena", "fred", "audrey"):
        with pytest.raises(NotAllowed):
            overdrafts.allow(company.store, "b-org", "10 %", company.who[name], NOW)
    overdrafts.allow(company.store, "b-org", "10 %", company.who["root"], NOW)
    overdrafts.allow(company.store, "b-org", "none", company.who["root"], NOW - SECOND)
    with pytest.raises(BadRequest, match="allows no overdraft"):
        overdrafts.take(company.store, "b-org", "", company.who["root"], NOW + 2)
    for typed in ("101 %", "-1 %", "5 tokens", "much"):
        with pytest.raises(BadRequest):
            overdrafts.allow(company.store, "b-org", typed, OPERATOR, NOW + 3)
    endless = budget("b-ever", DOLLAR, window=LIFETIME)
    company.store.add_budget(endless, NOW, "test")
    with pytest.raises(BadRequest, match="no windows"):
        overdrafts.allow(company.store, "b-ever", "10 %", OPERATOR, NOW)


# ------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        *(("20", 20 * DOLLAR), ("$20", 20 * DOLLAR), ("20 USD", 20 * DOLLAR)),
        *((" 0.5 ", DOLLAR // 2), ("$1,250.75", 1_250_750_000_000)),
    ],
)
def test_amounts_may_leave_out_their_unit(typed: str, amount: int) -> None:
    assert amount_of(typed, ORG) == amount


@pytest.mark.parametrize("typed", ["", "0", "-5", "5 tokens", "1e400", "five", "5 EUR", "\0"])
def test_what_is_no_amount_of_this_budget(typed: str) -> None:
    with pytest.raises(BadRequest):
        amount_of(typed, ORG)


def test_a_budget_of_tokens_is_asked_for_tokens() -> None:
    tokens = budget(unit=Unit.TOKENS, limit=100)
    assert amount_of("2000", tokens) == 2_000
    with pytest.raises(BadRequest, match="counts tokens, not usd"):
        amount_of("$5", tokens)


def test_a_day_is_whole_and_in_the_budgets_zone() -> None:
    monthly = budget(window=WindowRule(WindowKind.MONTH, "Europe/Berlin"))
    until_us = until_of("2026-09-30", monthly, NOW)
    assert until_us == until_of("", monthly, NOW) == monthly.window.around(NOW).end_us
    assert f"{last_day_of(until_us, monthly)}" == "2026-09-30"
    assert until_of("2026-10-01T00:00:00+02:00", monthly, NOW) == until_us
    assert until_of("", budget(window=LIFETIME), NOW) == NOW + 7 * DAY


@pytest.mark.parametrize(
    "typed", ["yesterday", "2026-09-30T10:00", "2020-01-01", "2030-01-01", "9999-12-31", "\0"]
)
def test_what_is_no_end(typed: str) -> None:
    with pytest.raises(BadRequest):
        until_of(typed, ORG, NOW)


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_typed_is_read_or_refused(amount: str, until: str) -> None:
    for read in (lambda: amount_of(amount, ORG), lambda: until_of(until, ORG, NOW)):
        with contextlib.suppress(BadRequest):
            assert read() > 0
