"""Requests for more of a budget: decided once, and counted in the limit while a raise lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from budget_desks import CENT, DAILY, DOLLAR, NOW, SECOND, budget, charge
from stores import Folder, open_folder
from tollkeeper.bootstrap import open_budget_authority
from tollkeeper.domain.budget_raises import (
    BudgetRaise,
    BudgetRequest,
    Decision,
    Overdraft,
    RaiseEnd,
    RaiseKind,
    RequestState,
)
from tollkeeper.domain.budgets import Budget, BudgetScope, Mode
from tollkeeper.domain.leases import LeaseRequest, LeaseState
from tollkeeper.storage.store.budget_authority import SqlBudgetAuthority

DAY = 86_400 * SECOND
CAP = budget("b1", 5 * DOLLAR, window=DAILY)
ENDS_US = DAILY.around(NOW).end_us


@pytest.fixture
def folder(tmp_path: Path, store_url: str) -> Iterator[Folder]:
    opened = open_folder(tmp_path / "data", store_url)
    opened.store.add_budget(CAP, NOW, "test")
    yield opened
    opened.store.close()


@pytest.fixture
def authority(folder: Folder) -> Iterator[SqlBudgetAuthority]:
    with closing(open_budget_authority(folder.data)) as opened:
        yield opened


def request(request_id: str = "r1", **fields: object) -> BudgetRequest:
    usual = BudgetRequest(
        request_id, "b1", "", 2 * DOLLAR, NOW + DAY, "a release", NOW, "alice@acme.com", "u-alice"
    )
    return usual._replace(**fields)  # type: ignore[arg-type]


def decision(request_id: str = "r1", *, approved: bool = True, by: str = "bob") -> Decision:
    amount = 2 * DOLLAR if approved else 0
    return Decision(request_id, approved, amount, NOW + DAY, "ok", NOW + SECOND, by, "page")


def lease_of(each: Budget, state: LeaseState | None = None, **fields: int) -> LeaseRequest:
    where = charge(each, 0)
    usual = {"epoch": state.epoch if state else 0, "spent": 0, "held": 0}
    return LeaseRequest(where.key, where.window_end_us, **usual | fields)


def raised(request_id: str = "r1", **fields: object) -> BudgetRaise:
    usual = BudgetRaise(
        f"raise-{request_id}",
        *("b1", "", 2 * DOLLAR, NOW, NOW + 3_600 * SECOND),
        *(RaiseKind.APPROVED, NOW, "bob", request_id),
    )
    return usual._replace(**fields)  # type: ignore[arg-type]


# ------------------------------------------------------------------ requests and decisions


def test_a_request_is_kept_as_it_was_asked(folder: Folder) -> None:
    store = folder.store
    assert store.budget_requests() == []
    assert store.budget_request("r1") is None
    store.add_budget_request(request())
    (asked,) = store.budget_requests()
    assert asked == store.budget_request("r1")
    assert (asked.request, asked.decision) == (request(), None)
    assert asked.state(NOW) is RequestState.ASKED
    assert asked.state(NOW + DAY) is RequestState.EXPIRED
    with pytest.raises(ValueError, match="refuses"):
        store.add_budget_request(request())
    with pytest.raises(ValueError, match="refuses"):
        store.add_budget_request(request("r2", budget_id="nobody's"))


def test_requests_are_listed_the_newest_first_and_those_to_decide_apart(folder: Folder) -> None:
    store = folder.store
    for number in range(3):
        store.add_budget_request(request(f"r{number}", asked_at_us=NOW + number))
    store.decide_budget_request(decision("r1", approved=False), None)
    assert [each.request.request_id for each in store.budget_requests()] == ["r2", "r1", "r0"]
    assert [it.request.request_id for it in store.budget_requests(undecided=True)] == ["r2", "r0"]
    assert len(store.budget_requests(most=1)) == 1


def test_who_decides_second_changes_nothing(folder: Folder) -> None:
    store = folder.store
    store.add_budget_request(request())
    assert store.decide_budget_request(decision(), raised())
    assert not store.decide_budget_request(decision(approved=False, by="carol"), None)
    assert not store.decide_budget_request(decision(by="carol"), raised(raise_id="another"))
    asked = store.budget_request("r1")
    assert asked is not None
    assert asked.decision == decision()
    assert asked.state(NOW + 2 * DAY) is RequestState.APPROVED
    assert store.budget_raises("b1") == [raised()]
    assert store.budget_raises("b2") == []
    with pytest.raises(LookupError):
        store.decide_budget_request(decision("unknown"), None)


def test_of_many_that_decide_at_once_one_has_done_it(folder: Folder) -> None:
    folder.store.add_budget_request(request())
    done: list[bool] = []

    def decide(number: int) -> None:
        given = raised(raise_id=f"raise-{number}")
        done.append(folder.store.decide_budget_request(decision(by=f"admin {number}"), given))

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 7 + [True]
    assert len(folder.store.budget_raises()) == 1


def test_an_overdraft_is_taken_once_in_a_window(folder: Folder) -> None:
    store = folder.store
    taken = raised("", kind=RaiseKind.OVERDRAFT, window_start_us=0)
    assert store.add_overdraft(taken._replace(raise_id="o1"))
    assert not store.add_overdraft(taken._replace(raise_id="o2"))
    assert store.add_overdraft(taken._replace(raise_id="o3", entity="somebody else"))
    assert store.add_overdraft(taken._replace(raise_id="o4", window_start_us=DAY))
    assert [each.raise_id for each in store.budget_raises()] == ["o1", "o3", "o4"]


def test_what_an_owner_may_take_is_what_was_said_last(folder: Folder) -> None:
    store = folder.store
    assert store.overdrafts() == []
    store.allow_overdraft(Overdraft("b1", NOW, "bob", amount=DOLLAR))
    store.allow_overdraft(Overdraft("b1", NOW + 1, "bob", part_bp=1_000))
    (allowed,) = store.overdrafts()
    assert allowed == Overdraft("b1", NOW + 1, "bob", part_bp=1_000)
    assert allowed.amount_of(5 * DOLLAR) == 50 * CENT


# ------------------------------------------------------------------ the limit


def give(folder: Folder, given: BudgetRaise) -> None:
    asked = request(given.request_id, budget_id=given.budget_id, entity=given.entity)
    folder.store.add_budget_request(asked)
    assert folder.store.decide_budget_request(decision(given.request_id), given)


def test_a_raise_counts_while_it_lasts(folder: Folder, authority: SqlBudgetAuthority) -> None:
    give(folder, raised(from_us=NOW + SECOND, until_us=NOW + 10 * SECOND))
    assert authority.hold("e1", "g1", [charge(CAP, 5 * DOLLAR)], NOW) is None
    for at_us, fits in (
        (NOW, False),
        (NOW + SECOND - 1, False),
        (NOW + SECOND, True),
        (NOW + 10 * SECOND - 1, True),
        (NOW + 10 * SECOND, False),
    ):
        short = authority.hold(f"e{at_us}", "g1", [charge(CAP, CENT)], at_us)
        assert (short is None) is fits, at_us
        if short is not None:
            assert short.limit == 5 * DOLLAR
    (row,) = folder.store.balances("b1", NOW + 5 * SECOND)
    assert (row.limit, row.held) == (7 * DOLLAR, 5 * DOLLAR + 2 * CENT)
    (row,) = folder.store.balances("b1", NOW + 10 * SECOND)
    assert row.limit == 5 * DOLLAR


def test_a_raise_is_for_its_own_row(folder: Folder, authority: SqlBudgetAuthority) -> None:
    each = budget("b2", DOLLAR, scope=BudgetScope.USER, each=True, window=DAILY)
    folder.store.add_budget(each, NOW, "test")
    give(folder, raised(budget_id="b2", entity="u-alice", amount=DOLLAR))
    assert authority.hold("e1", "g1", [charge(each, 2 * DOLLAR, "u-alice")], NOW) is None
    short = authority.hold("e2", "g1", [charge(each, 2 * DOLLAR, "u-bob")], NOW)
    assert short is not None
    assert short.limit == DOLLAR
    assert authority.hold("e3", "g1", [charge(CAP, 5 * DOLLAR)], NOW) is None
    assert authority.hold("e4", "g1", [charge(CAP, CENT)], NOW) is not None


def test_a_gateway_is_granted_what_a_raise_gives(
    folder: Folder, authority: SqlBudgetAuthority
) -> None:
    assert authority.exchange("g1", [lease_of(CAP, amount=5 * DOLLAR)], NOW).shortage is None
    refused = authority.exchange("g2", [lease_of(CAP, amount=DOLLAR)], NOW)
    assert refused.shortage is not None
    assert refused.shortage.limit == 5 * DOLLAR
    give(folder, raised(until_us=NOW + 10 * SECOND))
    asked = lease_of(CAP, refused.states[0], amount=DOLLAR)
    granted = authority.exchange("g2", [asked], NOW + SECOND)
    assert granted.shortage is None
    assert granted.states[0].granted == DOLLAR
    # When it ends, what is leased and not used is called back.
    state = granted.states[0]
    after = authority.exchange("g2", [lease_of(CAP, state, keep=DOLLAR)], NOW + 10 * SECOND)
    assert after.states[0].recalled
    (row,) = folder.store.balances("b1", NOW + 10 * SECOND)
    assert row.left == -DOLLAR


def ended(request_id: str = "r1", at_us: int = NOW + 10 * SECOND) -> RaiseEnd:
    return RaiseEnd(f"raise-{request_id}", at_us, "carol", "api", "the release is out")


def test_a_raise_that_is_taken_back_counts_no_more(
    folder: Folder, authority: SqlBudgetAuthority
) -> None:
    give(folder, raised())
    give(folder, raised("r2", amount=DOLLAR))
    (before,) = folder.store.budgets()
    revision = folder.store.revision()
    assert folder.store.end_budget_raise(ended())
    assert not folder.store.end_budget_raise(ended()._replace(ended_by="dora"))
    assert folder.store.budget_raises("b1") == [
        raised(ended=ended()),
        raised("r2", amount=DOLLAR),
    ]
    # A gateway sees by its version that the budget has changed, and asks anew.
    (after,) = folder.store.budgets()
    assert after == before._replace(version=before.version + 1)
    assert folder.store.revision() > revision
    assert authority.hold("e1", "g1", [charge(CAP, 6 * DOLLAR)], NOW + 10 * SECOND) is None
    short = authority.hold("e2", "g1", [charge(CAP, CENT)], NOW + 10 * SECOND)
    assert short is not None
    assert short.limit == 6 * DOLLAR
    # What counted before it was taken back is known for reports of that time.
    for at_us, limit in ((NOW + 10 * SECOND - 1, 8 * DOLLAR), (NOW + 10 * SECOND, 6 * DOLLAR)):
        (row,) = folder.store.balances("b1", at_us)
        assert row.limit == limit
        spent = folder.store.spent_row(row.key, at_us)
        assert spent is not None
        assert spent["limit"] == limit
    with pytest.raises(LookupError):
        folder.store.end_budget_raise(ended("unknown"))


def test_of_many_that_take_it_back_at_once_one_has_done_it(folder: Folder) -> None:
    give(folder, raised())
    done: list[bool] = []

    def end(number: int) -> None:
        done.append(folder.store.end_budget_raise(ended()._replace(ended_by=f"admin {number}")))

    threads = [threading.Thread(target=end, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 7 + [True]


def test_several_raises_add_up(folder: Folder, authority: SqlBudgetAuthority) -> None:
    give(folder, raised("r1"))
    give(folder, raised("r2", amount=DOLLAR))
    assert authority.hold("e1", "g1", [charge(CAP, 8 * DOLLAR)], NOW) is None
    assert authority.hold("e2", "g1", [charge(CAP, 1)], NOW) is not None


def test_what_was_given_for_a_time_does_not_roll_over(
    folder: Folder, authority: SqlBudgetAuthority
) -> None:
    today_us = DAILY.around(NOW).start_us
    rolling = budget("b2", 5 * DOLLAR, window=DAILY, rollover_max=5 * DOLLAR, since_us=today_us)
    folder.store.add_budget(rolling, NOW, "test")
    give(folder, raised(budget_id="b2", until_us=NOW + 3 * DAY))
    assert authority.hold("e1", "g1", [charge(rolling, 4 * DOLLAR)], NOW) is None
    tomorrow_us = ENDS_US + SECOND
    first = charge(rolling, CENT, at_us=tomorrow_us)
    assert authority.hold("e2", "g1", [first], tomorrow_us) is None
    (row,) = folder.store.balances("b2", tomorrow_us)
    assert row.limit == (5 + 2 + 1) * DOLLAR  # its own, what was given, and one left over


def test_a_budget_that_observes_has_no_limit_to_raise(
    folder: Folder, authority: SqlBudgetAuthority
) -> None:
    watched: Budget = budget("b2", 0, mode=Mode.OBSERVE)
    folder.store.add_budget(watched, NOW, "test")
    give(folder, raised(budget_id="b2", amount=4 * 10**18))
    assert authority.hold("e1", "g1", [charge(watched, 10**18)], NOW) is None
