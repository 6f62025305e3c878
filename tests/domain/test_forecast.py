"""Where a month will end: exact where nothing varies, silent where nothing is known."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.forecast import (
    DAYS_MIN,
    ORIGINS_MIN,
    WILD_TIMES,
    Day,
    Forecast,
    State,
    forecast_of,
    rest_of,
)

WEEK = (100, 110, 120, 110, 90, 20, 10)
NANOS = 1_000_000


def regular(count: int, times: Sequence[float] = ()) -> list[Day]:
    """Days from a Monday on, each like the same day of any week, half of it by now."""
    return [
        Day(number % 7, round(cost), round(cost / 2))
        for number in range(count)
        for cost in (WEEK[number % 7] * NANOS * (times[number] if times else 1),)
    ]


def asked(days: Sequence[Day], days_left: int = 10, so_far: int = 0) -> Forecast:
    """Ask on the last of some days, of which half has passed."""
    *past, today = days
    found = forecast_of(past, today, so_far + today.early_nanos, days_left)
    require_days_that_add_up(found, days_left)
    return found


def require_days_that_add_up(found: Forecast, days_left: int) -> None:
    """What is expected of each day comes to the end of the month, and so does its range."""
    if found.state not in {State.KNOWN, State.NO_BAND}:
        assert found.days == ()
        return
    assert len(found.days) == days_left + 1
    assert found.so_far_nanos + sum(each.nanos for each in found.days) == found.end_nanos
    for each in found.days:
        assert each.nanos >= 0
        if found.state is State.NO_BAND:
            assert each.low_nanos is each.high_nanos is None
        else:
            assert 0 <= (each.low_nanos or 0) <= each.nanos + 1
            assert each.nanos - 1 <= (each.high_nanos or 0)
    for bound, name in ((found.low_nanos, "low_nanos"), (found.high_nanos, "high_nanos")):
        if bound is not None:
            assert found.so_far_nanos + sum(getattr(each, name) for each in found.days) == bound


def to_come(days: Sequence[Day], days_left: int) -> int:
    rest = days[-1].cost_nanos // 2
    return rest + sum(WEEK[(len(days) + ahead) % 7] * NANOS for ahead in range(days_left))


@pytest.mark.parametrize("days_left", [0, 1, 10, 30])
def test_weeks_that_are_all_alike_go_on_alike_and_leave_no_doubt(days_left: int) -> None:
    days = regular(90)
    found = asked(days, days_left, so_far=5)
    assert found.state is State.KNOWN
    end = 5 + days[-1].early_nanos + to_come(days, days_left)
    assert (found.end_nanos, found.low_nanos, found.high_nanos) == (end, end, end)
    assert found.missed_share == 0


@pytest.mark.parametrize("known", [0, 1, DAYS_MIN - 1])
def test_too_little_history_is_an_answer_and_no_number(known: int) -> None:
    found = asked(regular(known + 1), so_far=7)
    assert found.state is State.NOT_ENOUGH_HISTORY
    assert found.end_nanos is found.low_nanos is found.high_nanos is None
    assert (found.history_days, found.needed_days) == (known, DAYS_MIN)


def test_without_enough_tries_there_is_a_number_and_no_band() -> None:
    days_left = 5
    enough = DAYS_MIN + ORIGINS_MIN + days_left
    few = asked(regular(enough), days_left)
    assert (few.state, few.low_nanos, few.origins) == (State.NO_BAND, None, ORIGINS_MIN - 1)
    assert few.end_nanos is not None
    assert asked(regular(enough + 1), days_left).state is State.KNOWN


def test_where_nothing_is_spent_the_month_ends_where_it_is() -> None:
    idle = [Day(number % 7, 0, 0) for number in range(60)]
    found = asked(idle, so_far=11)
    assert (found.state, found.end_nanos, found.low_nanos) == (State.NOTHING_SPENT, 11, None)


def test_at_the_end_of_the_month_no_more_is_expected_than_came_at_such_an_hour() -> None:
    days = [day._replace(early_nanos=day.cost_nanos) for day in regular(60)]
    late = days[30]
    days[30] = late._replace(early_nanos=late.cost_nanos - 5)
    *past, today = days
    found = forecast_of(past, today, 100, 0)
    assert (found.state, found.end_nanos, found.low_nanos) == (State.KNOWN, 100, 100)
    assert found.high_nanos == 100
    assert found.missed_share is None


def test_a_day_that_ran_wild_counts_as_the_most_that_is_usual() -> None:
    usual, wild = regular(90), regular(90)
    wild[80] = wild[80]._replace(cost_nanos=wild[80].cost_nanos * 500)
    before, after = (rest_of(days, 0, 10) for days in (usual, wild))
    assert before < after < before * (1 + WILD_TIMES * 4 / 28)


def test_a_trend_goes_on_and_is_damped() -> None:
    weekly = 1.06
    days = regular(91, [weekly ** (number / 7) for number in range(91)])
    level = rest_of(regular(91), 0, 14)
    goes_on = level * weekly**13  # as much as the whole trend would come to, on the first day
    assert level * weekly**11 < rest_of(days, 0, 14) < goes_on * weekly**2


def test_the_band_is_as_wide_as_the_method_missed() -> None:
    widths = []
    for noise in (0.05, 0.4):
        dice = random.Random(3)
        days = regular(110, [dice.uniform(1 - noise, 1 + noise) for _ in range(110)])
        found = asked(days)
        assert found.low_nanos is not None
        assert found.high_nanos is not None
        widths.append(found.high_nanos - found.low_nanos)
    assert widths[1] > 4 * widths[0] > 0


days = st.lists(st.integers(0, 10**15), min_size=DAYS_MIN, max_size=70)


@settings(max_examples=30, deadline=None)
@given(days, st.integers(0, 30), st.integers(0, 10**15), st.integers(0, 6), st.floats(0, 1))
def test_whatever_the_past_was_the_answer_holds_together(
    costs: list[int], days_left: int, so_far: int, weekday: int, early: float
) -> None:
    past = [
        Day((weekday + number) % 7, cost, round(cost * early)) for number, cost in enumerate(costs)
    ]
    today = Day((weekday + len(past)) % 7, 0, 0)
    found = forecast_of(past, today, so_far, days_left)
    assert found.so_far_nanos == so_far
    assert type(found.end_nanos) is int
    assert found.end_nanos >= so_far
    if found.state is State.KNOWN:
        assert found.low_nanos is not None
        assert found.high_nanos is not None
        assert so_far <= found.low_nanos <= found.end_nanos <= found.high_nanos
    else:
        assert found.low_nanos is found.high_nanos is None
