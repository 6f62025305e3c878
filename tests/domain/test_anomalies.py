"""Rules that compare with what is usual: what they find, and when they cannot tell."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.anomalies import (
    DAY_US,
    HOUR_US,
    HourSums,
    Latency,
    ToolUse,
    error_rate,
    is_like,
    latency,
    median,
    new_tool,
    spend_day,
    spend_hour,
)

DOLLAR = 10**9
NOW = 1_790_000_000_000_000


@given(st.lists(st.integers(0, 10**18), min_size=1))
def test_the_median_is_the_librarys_rounded_down(values: list[int]) -> None:
    ordered = sorted(values)
    half = len(ordered) // 2
    exact = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
    assert median(values) == exact
    assert abs(median(values) - statistics.median(values)) <= max(1, 10**18 * 1e-15)


def test_an_hour_is_unusual_that_is_many_deviations_above_its_like() -> None:
    like = [8 * DOLLAR, 9 * DOLLAR, 10 * DOLLAR, 10 * DOLLAR, 11 * DOLLAR, 12 * DOLLAR]
    found = spend_hour(16 * DOLLAR, like, deviations=6, min_usd=1)
    assert (found.is_hit, found.limit) == (False, 16 * DOLLAR)
    assert spend_hour(16 * DOLLAR + 1, like, deviations=6, min_usd=1).is_hit


def test_hours_that_are_all_alike_differ_by_a_tenth_all_the_same() -> None:
    found = spend_hour(16 * DOLLAR, [10 * DOLLAR] * 20, deviations=6, min_usd=1)
    assert (found.is_hit, found.limit) == (False, 16 * DOLLAR)


def test_little_money_is_never_unusual() -> None:
    assert not spend_hour(DOLLAR, [0] * 20, deviations=6, min_usd=1).is_hit
    assert spend_hour(DOLLAR + 1, [0] * 20, deviations=6, min_usd=1).is_hit
    assert not spend_day(DOLLAR, [0] * 20, min_usd=1).is_hit


def test_not_enough_history_is_an_answer() -> None:
    assert spend_hour(10**15, [1] * 5, 6, 1).missing == "not enough history: 5 of 6 like hours"
    assert spend_day(10**15, [1] * 6, 1).missing == "not enough history: 6 of 7 full days"
    usual = HourSums(0, 199, 0)
    assert "199 of 200" in error_rate(HourSums(0, 50, 50), usual).missing
    assert "19 of 20" in error_rate(HourSums(0, 19, 19), HourSums(0, 1_000, 0)).missing
    assert "0 of 300" in latency(Latency(9_000, 50), Latency(None, 0)).missing
    assert "10 of 30" in latency(Latency(9_000, 10), Latency(100, 1_000)).missing


def test_a_day_is_unusual_that_is_more_than_twice_the_average() -> None:
    days = [10 * DOLLAR] * 7
    assert not spend_day(20 * DOLLAR, days, 1).is_hit
    assert spend_day(20 * DOLLAR + 1, days, 1).is_hit


@pytest.mark.parametrize(
    ("errors", "usual_errors", "is_hit"),
    [(20, 0, False), (21, 0, True), (21, 100, False), (31, 100, True)],
)
def test_errors_are_unusual_above_a_fifth_and_three_times_the_usual(
    errors: int, usual_errors: int, *, is_hit: bool
) -> None:
    found = error_rate(HourSums(0, 100, errors), HourSums(0, 1_000, usual_errors))
    assert found.is_hit is is_hit


def test_answers_are_slow_at_twice_the_usual_and_a_second_more() -> None:
    usual = Latency(400, 1_000)
    assert not latency(Latency(1_400, 100), usual).is_hit
    assert latency(Latency(1_401, 100), usual).is_hit
    assert not latency(Latency(8_000, 100), Latency(4_000, 1_000)).is_hit


def test_a_new_tool_is_told_of_a_key_that_has_long_been_in_use() -> None:
    use = ToolUse("k1", "laptop", "curl", NOW - 1, NOW - 10 * DAY_US, 500)
    assert new_tool(use, NOW).is_hit
    assert not new_tool(use, NOW + HOUR_US).is_hit
    assert "not enough history" in new_tool(use._replace(calls_before=3), NOW).missing
    young = use._replace(key_since_us=NOW - DAY_US)
    assert "not enough history" in new_tool(young, NOW).missing


def test_hours_are_alike_on_working_days_and_on_weekends() -> None:
    assert is_like(0, 9, 4, 9)
    assert is_like(5, 9, 6, 9)
    assert not is_like(4, 9, 5, 9)
    assert not is_like(0, 9, 0, 10)
