"""Runway: a date where the pace says one, and otherwise why there is none."""

from __future__ import annotations

from budget_desks import NOW, budget
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Balance, BalanceKey
from tollkeeper.domain.runway import RunwayReason
from tollkeeper.services.runway import Burn, runway_of

DAY = 86_400_000_000
MONTHLY = WindowRule(WindowKind.MONTH)


def balance(posted: int, limit: int = 3_000, window: WindowRule = MONTHLY) -> Balance:
    around = window.around(NOW)
    return Balance(BalanceKey("b1", "", around.start_us), around.end_us, posted, 0, 0, limit)


def test_a_pace_that_ends_before_the_window_is_a_breach_with_its_date() -> None:
    start_us = MONTHLY.around(NOW).start_us
    found = runway_of(budget(window=MONTHLY), balance(1_000), start_us + 5 * DAY)
    assert (found.spent_at_us, found.reason) == (start_us + 15 * DAY, RunwayReason.KNOWN)
    assert found.per_day == 200
    assert found.is_breach
    assert found.at_end == 6_000


def test_what_was_burnt_lately_decides_when_it_is_known() -> None:
    start_us = MONTHLY.around(NOW).start_us
    found = runway_of(
        budget(window=MONTHLY), balance(1_000), start_us + 5 * DAY, Burn(100, 2 * DAY)
    )
    assert found.spent_at_us == start_us + 45 * DAY
    assert not found.is_breach


def test_a_window_that_has_hardly_begun_says_that_there_is_not_enough_history() -> None:
    start_us = MONTHLY.around(NOW).start_us
    found = runway_of(budget(window=MONTHLY), balance(1_000), start_us + DAY - 1)
    assert (found.spent_at_us, found.reason) == (None, RunwayReason.NOT_ENOUGH_HISTORY)
    assert found.per_day is None
    young = budget(window=MONTHLY, since_us=start_us + 4 * DAY)
    found = runway_of(young, balance(1_000), start_us + 5 * DAY - 1)
    assert found.reason is RunwayReason.NOT_ENOUGH_HISTORY


def test_what_is_spent_or_stands_still_has_no_date() -> None:
    start_us = MONTHLY.around(NOW).start_us
    late_us = start_us + 5 * DAY
    assert runway_of(budget(window=MONTHLY), balance(3_000), late_us).reason is RunwayReason.SPENT
    idle = runway_of(budget(window=MONTHLY), balance(0), late_us)
    assert (idle.reason, idle.is_breach) == (RunwayReason.NOTHING_SPENT, False)


def test_a_budget_without_end_has_a_date_and_no_breach() -> None:
    lifetime = budget(since_us=NOW)
    row = Balance(BalanceKey("b1", "", 0), lifetime.window.around(NOW).end_us, 10, 0, 0, 100)
    found = runway_of(lifetime, row, NOW + 10 * DAY)
    assert found.spent_at_us == NOW + 100 * DAY
    assert (found.is_breach, found.at_end) == (False, None)
    slow = runway_of(lifetime, row._replace(limit=4 * 10**18), NOW + 10 * DAY)
    assert slow.reason is RunwayReason.BEYOND
