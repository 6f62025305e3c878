"""What every budget authority must do: hold exactly what there is, and resolve it exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_desks import (
    CENT,
    DAILY,
    DOLLAR,
    NOW,
    SECOND,
    Opener,
    budget,
    charge,
    file_authority,
    memory_authority,
    only,
    server_authority,
)
from postgres_cluster import shared
from stores import open_folder
from tollkeeper.bootstrap import open_budget_authority
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Amounts, Budget, BudgetScope, Mode, Unit
from tollkeeper.domain.leases import LEASE_US, LeaseRequest, LeaseState, slice_of
from tollkeeper.ports import DataFolder
from tollkeeper.storage.store.budget_authority import SqlBudgetAuthority
from tollkeeper.storage.store.postgres_budgets import PostgresBudgetAuthority
from tollkeeper.storage.store.sqlite_budgets import SqliteBudgetAuthority

DAY = 86_400 * SECOND


@pytest.fixture(params=["sqlite", "sqlite-in-memory", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    made: list[SqliteBudgetAuthority | PostgresBudgetAuthority] = []

    def open_with(budgets: Iterable[Budget]) -> SqlBudgetAuthority:
        if request.param == "sqlite":
            made.append(file_authority(tmp_path / str(len(made)), budgets))
        elif request.param == "postgresql":
            made.append(server_authority(shared().new_database(), budgets))
        else:
            made.append(memory_authority(budgets))
        return made[-1]

    yield open_with
    for each in made:
        each.close()


def usd(nanos: int) -> Amounts:
    return Amounts(nanos, 0, 1)


def lease(each: Budget, state: LeaseState | None = None, **fields: int) -> LeaseRequest:
    where = charge(each, 0)
    epoch = state.epoch if state else 0
    usual = {"epoch": epoch, "spent": 0, "held": 0}
    return LeaseRequest(where.key, where.window_end_us, **usual | fields)


# --------------------------------------------------------------------- holds


def test_a_hold_becomes_what_was_spent_exactly_once(opened: Opener) -> None:
    cap = budget()
    authority = opened([cap])
    assert authority.hold("e1", "g1", [charge(cap, 30 * CENT)], NOW) is None
    row = only(authority.balances())
    assert (row.posted, row.held, row.left) == (0, 30 * CENT, 470 * CENT)
    assert authority.settle("e1", usd(12 * CENT), NOW)
    assert not authority.settle("e1", usd(12 * CENT), NOW)
    assert not authority.void("e1", "g1", [charge(cap, 30 * CENT)], NOW)
    row = only(authority.balances())
    assert (row.posted, row.held) == (12 * CENT, 0)


def test_a_hold_that_is_sent_twice_is_one(opened: Opener) -> None:
    cap = budget()
    authority = opened([cap])
    for _ in range(3):
        assert authority.hold("e1", "g1", [charge(cap, DOLLAR)], NOW) is None
    assert only(authority.balances()).held == DOLLAR


def test_an_ended_hold_is_not_made_again(opened: Opener) -> None:
    cap = budget()
    authority = opened([cap])
    authority.void("late", "g1", [charge(cap, DOLLAR)], NOW)
    with pytest.raises(ValueError, match="ended"):
        authority.hold("late", "g1", [charge(cap, DOLLAR)], NOW)
    authority.hold("e1", "g1", [charge(cap, DOLLAR)], NOW)
    authority.settle("e1", usd(CENT), NOW)
    with pytest.raises(ValueError, match="ended"):
        authority.hold("e1", "g1", [charge(cap, DOLLAR)], NOW)
    assert only(authority.balances()).posted == CENT


def test_an_unknown_cost_is_taken_to_be_what_was_held(opened: Opener) -> None:
    cap, tokens = budget("b1"), budget("b2", 1_000, unit=Unit.TOKENS)
    authority = opened([cap, tokens])
    both = [charge(cap, DOLLAR), charge(tokens, 300)]
    authority.hold("e1", "g1", both, NOW)
    authority.hold("e2", "g1", both, NOW)
    authority.settle("e1", None, NOW)
    authority.settle("e2", Amounts(None, 100), NOW)
    assert [row.posted for row in authority.balances()] == [2 * DOLLAR, 400]


def test_what_does_not_fit_is_held_nowhere(opened: Opener) -> None:
    wide, narrow = budget("a-wide", 100 * DOLLAR), budget("b-narrow", DOLLAR)
    authority = opened([wide, narrow])
    wanted = [charge(narrow, 60 * CENT), charge(wide, 60 * CENT)]
    assert authority.hold("e1", "g1", wanted, NOW) is None
    shortage = authority.hold("e2", "g1", wanted, NOW)
    assert shortage is not None
    assert shortage.key.budget_id == "b-narrow"
    assert (shortage.amount, shortage.posted, shortage.held) == (60 * CENT, 0, 60 * CENT)
    assert shortage.limit == DOLLAR
    assert [row.held for row in authority.balances()] == [60 * CENT, 60 * CENT]
    assert not authority.settle("e2", usd(60 * CENT), NOW)


def test_the_last_unit_fits_and_one_more_does_not(opened: Opener) -> None:
    cap = budget(limit=100)
    authority = opened([cap])
    assert authority.hold("e1", "g1", [charge(cap, 99)], NOW) is None
    assert authority.hold("e2", "g1", [charge(cap, 2)], NOW) is not None
    assert authority.hold("e3", "g1", [charge(cap, 1)], NOW) is None
    assert authority.hold("e4", "g1", [charge(cap, 1)], NOW) is not None


def test_a_limit_of_nothing_lets_only_what_is_free_through(opened: Opener) -> None:
    cap = budget(limit=0)
    authority = opened([cap])
    assert authority.hold("e1", "g1", [charge(cap, 0)], NOW) is None
    assert authority.hold("e2", "g1", [charge(cap, 1)], NOW) is not None


def test_one_that_observes_counts_and_never_refuses(opened: Opener) -> None:
    cap = budget(limit=10, mode=Mode.OBSERVE)
    authority = opened([cap])
    for number in range(5):
        assert authority.hold(f"e{number}", "g1", [charge(cap, 9)], NOW) is None
        authority.settle(f"e{number}", usd(9), NOW)
    row = only(authority.balances())
    assert (row.posted, row.limit, row.left) == (45, 10, -35)


def test_a_lowered_limit_refuses_at_once_and_keeps_what_is_held(
    tmp_path: Path, store_url: str
) -> None:
    cap = budget()
    store = open_folder(tmp_path, store_url).store
    store.add_budget(cap, NOW, "test")
    authority = open_budget_authority(DataFolder(tmp_path, store_url))
    assert authority.hold("e1", "g1", [charge(cap, 3 * DOLLAR)], NOW) is None
    assert store.change_budget(cap._replace(limit=DOLLAR, version=2))
    assert only(authority.balances()).left == -2 * DOLLAR
    assert authority.hold("e2", "g1", [charge(cap, 1)], NOW) is not None
    authority.settle("e1", usd(2 * DOLLAR), NOW)
    assert authority.hold("e2", "g1", [charge(cap, 1)], NOW) is not None
    assert store.change_budget(cap._replace(limit=3 * DOLLAR, version=3))
    assert authority.hold("e3", "g1", [charge(cap, DOLLAR)], NOW) is None
    store.close()
    authority.close()


def test_windows_have_rows_of_their_own_and_a_hold_stays_in_its_window(opened: Opener) -> None:
    cap = budget(limit=DOLLAR, window=DAILY)
    authority = opened([cap])
    today, tomorrow = charge(cap, DOLLAR), charge(cap, DOLLAR, at_us=NOW + DAY)
    assert today.key != tomorrow.key
    assert authority.hold("e1", "g1", [today], NOW) is None
    assert authority.hold("e2", "g1", [today], NOW) is not None
    assert authority.hold("e3", "g1", [tomorrow], NOW + DAY) is None
    authority.settle("e1", usd(70 * CENT), NOW + DAY)
    first, second = authority.balances()
    assert (first.key, first.posted, first.held) == (today.key, 70 * CENT, 0)
    assert (second.key, second.posted, second.held) == (tomorrow.key, 0, DOLLAR)


def test_each_value_has_a_balance_of_its_own(opened: Opener) -> None:
    cap = budget(limit=DOLLAR, scope=BudgetScope.END_CUSTOMER, each=True)
    authority = opened([cap])
    for customer in ("ann", "ben"):
        one = [charge(cap, DOLLAR, customer)]
        assert authority.hold(f"{customer}-1", "g1", one, NOW) is None
        assert authority.hold(f"{customer}-2", "g1", one, NOW) is not None
    assert [row.key.entity for row in authority.balances("b1")] == ["ann", "ben"]
    assert authority.balances("another") == []


# --------------------------------------------------------------------- rolling over


def test_what_is_left_rolls_over_once_and_no_further_than_allowed(opened: Opener) -> None:
    cap = budget(limit=10, window=DAILY, rollover_max=4, since_us=NOW - 5 * DAY)
    authority = opened([cap])
    authority.hold("e1", "g1", [charge(cap, 8)], NOW)
    authority.settle("e1", usd(8), NOW)
    day, late = NOW + DAY, charge(cap, 1)
    first = authority.balances()[-1]
    assert first.limit == 14  # the day before, on which nobody called, left all of it
    assert authority.hold("e2", "g1", [charge(cap, 15, at_us=day)], day) is not None
    assert authority.hold("e3", "g1", [charge(cap, 14, at_us=day)], day) is None
    rows = {row.key.window_start_us: row.limit for row in authority.balances()}
    assert [rows[it] for it in sorted(rows)][1:] == [10, 14]
    # What rolled on is gone from the day before: of 14 there were 8 spent, and 4 went on.
    assert authority.hold("e4", "g1", [charge(cap, 3)], day) is not None
    assert authority.hold("e5", "g1", [late._replace(amount=2)], day) is None


def test_what_is_still_held_does_not_roll_over(opened: Opener) -> None:
    cap = budget(limit=10, window=DAILY, rollover_max=10, since_us=NOW)
    authority = opened([cap])
    authority.hold("e1", "g1", [charge(cap, 9)], NOW)
    authority.hold("e2", "g1", [charge(cap, 1, at_us=NOW + DAY)], NOW + DAY)
    authority.settle("e1", usd(0), NOW + DAY)
    assert [row.limit for row in authority.balances()] == [9, 11]


def test_a_new_budget_has_nothing_to_roll_over(opened: Opener) -> None:
    cap = budget(limit=10, window=DAILY, rollover_max=10, since_us=NOW)
    authority = opened([cap])
    authority.hold("e1", "g1", [charge(cap, 1)], NOW)
    assert only(authority.balances()).limit == 10


# --------------------------------------------------------------------- leases


def test_a_lease_is_held_until_it_is_spent_or_given_back(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    asked = lease(cap, amount=10 * CENT, wanted=100 * DOLLAR)
    (state,) = authority.exchange("g1", [asked], NOW).states
    assert state.granted == 5 * DOLLAR  # 5 % of what is left
    row = only(authority.balances())
    assert (row.posted, row.held, row.leased) == (0, 5 * DOLLAR, 5 * DOLLAR)
    said = lease(cap, state, spent=DOLLAR, held=10 * CENT, keep=4 * DOLLAR)
    (state,) = authority.exchange("g1", [said], NOW).states
    row = only(authority.balances())
    assert (state.granted, row.posted, row.held) == (5 * DOLLAR, DOLLAR, 4 * DOLLAR)
    said = lease(cap, state, spent=DOLLAR, held=10 * CENT)
    (state,) = authority.exchange("g1", [said], NOW).states
    row = only(authority.balances())
    assert state.granted == DOLLAR + 10 * CENT
    assert (row.posted, row.held) == (DOLLAR, 10 * CENT)


def test_what_arrives_twice_or_late_changes_nothing(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    first = lease(cap, amount=10 * CENT, wanted=100 * DOLLAR)
    (state,) = authority.exchange("g1", [first], NOW).states
    (again,) = authority.exchange("g1", [first], NOW).states
    assert again.granted == state.granted
    said = lease(cap, again, spent=2 * DOLLAR, held=0, keep=3 * DOLLAR)
    (state,) = authority.exchange("g1", [said], NOW).states
    for stale in (first, said, lease(cap, spent=DOLLAR)):
        (after,) = authority.exchange("g1", [stale], NOW).states
        assert (after.granted, after.spent) == (state.granted, 2 * DOLLAR)
    row = only(authority.balances())
    assert (row.posted, row.held) == (2 * DOLLAR, 3 * DOLLAR)


def test_leases_of_all_budgets_are_granted_together_or_not_at_all(opened: Opener) -> None:
    wide, narrow = budget("a-wide", 100 * DOLLAR), budget("b-narrow", CENT)
    authority = opened([wide, narrow])
    asked = [lease(it, amount=2 * CENT, wanted=DOLLAR) for it in (narrow, wide)]
    answer = authority.exchange("g1", asked, NOW)
    assert answer.shortage is not None
    assert (answer.shortage.key.budget_id, answer.shortage.limit) == ("b-narrow", CENT)
    assert [state.granted for state in answer.states] == [0, 0]
    assert [row.held for row in authority.balances()] == [0, 0]


def test_a_report_counts_although_nothing_is_granted(opened: Opener) -> None:
    cap = budget(limit=DOLLAR)
    authority = opened([cap])
    (state,) = authority.exchange("g1", [lease(cap, amount=DOLLAR, wanted=0)], NOW).states
    answer = authority.exchange("g1", [lease(cap, state, spent=DOLLAR, amount=1)], NOW)
    assert answer.shortage is not None
    row = only(authority.balances())
    assert (row.posted, row.held) == (DOLLAR, 0)


def test_when_little_is_left_each_call_is_granted_alone_and_slices_are_recalled(
    opened: Opener,
) -> None:
    cap = budget(limit=10 * DOLLAR)
    authority = opened([cap])
    (one,) = authority.exchange("g1", [lease(cap, amount=8 * DOLLAR)], NOW).states
    (two,) = authority.exchange("g2", [lease(cap, amount=CENT, wanted=DOLLAR)], NOW).states
    assert (one.granted, two.granted) == (8 * DOLLAR, CENT)
    assert two.recalled
    (one,) = authority.exchange("g1", [lease(cap, one, held=0)], NOW).states
    assert (one.granted, one.recalled) == (0, False)


def test_spending_more_than_was_held_is_booked_as_it_is(opened: Opener) -> None:
    cap = budget(limit=DOLLAR)
    authority = opened([cap])
    (state,) = authority.exchange("g1", [lease(cap, amount=DOLLAR)], NOW).states
    said = lease(cap, state, spent=3 * DOLLAR, held=50 * CENT)
    (state,) = authority.exchange("g1", [said], NOW).states
    row = only(authority.balances())
    assert (row.posted, row.held, row.left) == (3 * DOLLAR, 50 * CENT, -250 * CENT)


def test_a_lost_gateway_keeps_its_lease_until_its_journal_is_read(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    (state,) = authority.exchange("g1", [lease(cap, amount=DOLLAR, wanted=DOLLAR)], NOW).states
    authority.exchange("g1", [lease(cap, state, spent=20 * CENT, held=80 * CENT)], NOW)
    assert authority.expire(NOW + LEASE_US - 1) == []
    (lost,) = authority.expire(NOW + LEASE_US)
    assert (lost.gateway, lost.held) == ("g1", 80 * CENT)
    assert authority.expire(NOW + 2 * LEASE_US) == []
    assert only(authority.balances()).held == 80 * CENT
    key = charge(cap, 0).key
    assert authority.finish("g1", {key: 50 * CENT}, NOW + 3 * LEASE_US) == 1
    assert authority.finish("g1", {key: 50 * CENT}, NOW + 3 * LEASE_US) == 0
    row = only(authority.balances())
    assert (row.posted, row.held) == (50 * CENT, 0)


def test_what_a_gateway_said_is_spent_whatever_its_journal_has(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    (state,) = authority.exchange("g1", [lease(cap, amount=DOLLAR)], NOW).states
    authority.exchange("g1", [lease(cap, state, spent=70 * CENT, keep=30 * CENT)], NOW)
    authority.finish("g1", {charge(cap, 0).key: 50 * CENT}, NOW)
    row = only(authority.balances())
    assert (row.posted, row.held) == (70 * CENT, 0)


def test_a_gateway_that_was_taken_for_dead_gets_nothing_more(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    (state,) = authority.exchange("g1", [lease(cap, amount=DOLLAR)], NOW).states
    authority.finish("g1", {}, NOW)
    answer = authority.exchange("g1", [lease(cap, state, spent=CENT, amount=DOLLAR)], NOW)
    assert answer.states[0].closed
    row = only(authority.balances())
    assert (row.posted, row.held) == (CENT, 0)  # what it spent is spent


def test_what_arrives_from_an_ended_gateway_leases_and_holds_nothing(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    authority.finish("g1", {}, NOW)
    answer = authority.exchange("g1", [lease(cap, amount=DOLLAR, wanted=DOLLAR)], NOW)
    assert answer.states[0].closed
    with pytest.raises(ValueError, match="ended"):
        authority.hold("e1", "g1", [charge(cap, CENT)], NOW)
    assert only(authority.balances()).held == 0


def test_what_a_dead_gateway_spent_unseen_is_booked(opened: Opener) -> None:
    cap = budget(limit=CENT, mode=Mode.OBSERVE)
    authority = opened([cap])
    spent = {charge(cap, 0).key: DOLLAR, charge(budget("gone"), 0).key: DOLLAR}
    for _ in range(2):
        authority.finish("g1", spent, NOW)
    assert only(authority.balances()).posted == DOLLAR


def test_one_that_was_late_goes_on_when_it_is_heard_again(opened: Opener) -> None:
    cap = budget(limit=100 * DOLLAR)
    authority = opened([cap])
    (state,) = authority.exchange("g1", [lease(cap, amount=DOLLAR)], NOW).states
    authority.expire(NOW + LEASE_US)
    said = lease(cap, state, spent=CENT, keep=99 * CENT)
    (state,) = authority.exchange("g1", [said], NOW + LEASE_US).states
    assert (state.granted, state.closed) == (DOLLAR, False)
    assert authority.expire(NOW + LEASE_US + 1) == []


@given(
    st.integers(-(10**18), 10**18),
    st.integers(0, 10**18),
    st.integers(0, 10**12),
    st.integers(0, 10**18),
)
def test_a_slice_is_a_whole_number_of_calls_and_no_more_than_its_part(
    left: int, leased: int, amount: int, wanted: int
) -> None:
    size = slice_of(left, leased, amount, wanted)
    assert size >= amount
    if size > amount:
        assert left >= leased
        assert size <= min(left // 20, wanted)
        assert not amount or size % amount == 0


# --------------------------------------------------------------------- recount, forgetting


def test_a_row_is_set_right_only_if_it_is_as_it_was_seen(opened: Opener) -> None:
    cap = budget()
    authority = opened([cap])
    authority.hold("e1", "g1", [charge(cap, DOLLAR)], NOW)
    authority.settle("e1", usd(DOLLAR), NOW)
    key = charge(cap, 0).key
    assert not authority.correct(key, 0, 2 * DOLLAR)
    assert authority.correct(key, DOLLAR, 2 * DOLLAR)
    assert only(authority.balances()).posted == 2 * DOLLAR


def test_only_what_has_ended_is_forgotten(opened: Opener) -> None:
    cap = budget(window=DAILY)
    authority = opened([cap])
    for entry in ("e1", "e2", "e3"):
        authority.hold(entry, "g1", [charge(cap, CENT)], NOW)
    authority.settle("e1", usd(CENT), NOW)
    authority.void("e2", "g1", [charge(cap, CENT)], NOW + SECOND)
    authority.exchange("g1", [lease(cap, amount=CENT)], NOW)
    authority.finish("g1", {}, NOW + SECOND)
    assert authority.prune(NOW + SECOND) == 1
    assert authority.prune(NOW + 3 * DAY) == 3  # the other hold, the gateway and its lease
    assert authority.prune(NOW + 3 * DAY) == 0
    assert authority.settle("e3", usd(CENT), NOW)
    assert only(authority.balances()).posted == 2 * CENT


def test_the_budgets_come_back_as_they_were_given(opened: Opener) -> None:
    given_budgets = [
        budget("b1"),
        budget(
            "b2",
            7,
            scope=BudgetScope.TAG,
            tag="feature",
            match="*",
            each=True,
            unit=Unit.REQUESTS,
            window=WindowRule(WindowKind.YEAR, "Asia/Kolkata", 7, 4, 31),
            mode=Mode.OBSERVE,
            exempt_models=("*-free", "gemma*"),
            rollover_max=3,
            thresholds_bp=(5_000, 10_000),
            since_us=NOW,
            until_us=NOW + DAY,
            version=4,
        ),
    ]
    assert opened(given_budgets).budgets() == given_budgets


# --------------------------------------------------------------------- at once


def run_at_once(count: int, work: Callable[[int], bool]) -> int:
    """Let as many threads do the work at the same moment; count the successes."""
    gate = threading.Barrier(count)

    def one(number: int) -> bool:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(one, range(count)))


def test_of_a_thousand_at_once_exactly_fifty_find_room(opened: Opener) -> None:
    cap = budget(limit=5 * DOLLAR)
    authority = opened([cap])

    def hold(number: int) -> bool:
        return authority.hold(f"e{number}", "g1", [charge(cap, 10 * CENT)], NOW) is None

    assert run_at_once(1_000, hold) == 50
    assert only(authority.balances()).held == 5 * DOLLAR


def test_the_last_cent_goes_to_exactly_one(opened: Opener) -> None:
    cap = budget(limit=CENT)
    authority = opened([cap])

    def hold(number: int) -> bool:
        return authority.hold(f"e{number}", "g1", [charge(cap, CENT)], NOW) is None

    assert run_at_once(1_000, hold) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3 * 10**15), min_size=1, max_size=40))
def test_the_sum_of_many_small_costs_is_exact(costs: list[int]) -> None:
    cap = budget(limit=4 * 10**18)
    authority = memory_authority([cap])
    for number, cost in enumerate(costs):
        authority.hold(f"e{number}", "g1", [charge(cap, cost)], NOW)
        authority.settle(f"e{number}", usd(cost), NOW)
    assert only(authority.balances()).posted == sum(costs)
    authority.close()
