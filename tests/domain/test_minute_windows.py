"""A sliding minute against a plain list of what was taken: never more, and hardly ever less."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.minute_windows import (
    GRAIN_NS,
    MINUTE_NS,
    MinuteWindow,
    Taking,
    whole_seconds,
)

SECOND_NS = 1_000_000_000
STEPS = st.one_of(
    st.integers(0, 2 * GRAIN_NS),
    st.integers(0, 2 * MINUTE_NS),
    st.sampled_from((GRAIN_NS, GRAIN_NS - 1, MINUTE_NS, MINUTE_NS - 1, MINUTE_NS + 1)),
)
TRIES = st.lists(st.tuples(STEPS, st.integers(1, 12)), max_size=80)


def tried(window: MinuteWindow, amount: int, limit: int, now_ns: int) -> bool:
    """Take an amount if it fits, as a gate does."""
    if now_ns >= window.due_ns:
        window.forget(now_ns)
    if window.taken + min(amount, limit) > limit:
        return False
    window.take(min(amount, limit), now_ns)
    return True


@settings(max_examples=400, deadline=None)
@given(TRIES, st.integers(1, 12))
def test_no_minute_has_more_than_the_limit_and_nothing_that_fits_is_refused(
    tries: list[tuple[int, int]], limit: int
) -> None:
    window = MinuteWindow()
    taken: list[tuple[int, int]] = []
    times = accumulate(step for step, _ in tries)
    for now_ns, (_, wanted) in zip(times, tries, strict=True):
        amount = min(wanted, limit)
        within = sum(it for at_ns, it in taken if at_ns > now_ns - MINUTE_NS)
        within_more = sum(it for at_ns, it in taken if at_ns > now_ns - MINUTE_NS - GRAIN_NS)
        if tried(window, wanted, limit, now_ns):
            assert within + amount <= limit, "a minute has more than the limit"
            taken.append((now_ns, amount))
        else:
            assert within_more + amount > limit, "what fits was refused"
            wait_ns = window.wait_ns(wanted, limit, now_ns)
            assert 0 < wait_ns <= MINUTE_NS
            assert not tried(window, wanted, limit, now_ns + wait_ns - 1)
            assert tried(window, wanted, limit, now_ns + wait_ns)
            taken.append((now_ns + wait_ns, amount))
            return


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(1, 9), st.integers(0, 9), STEPS), max_size=40))
def test_what_is_given_back_counts_no_more_and_nothing_counts_for_ever(
    calls: list[tuple[int, int, int, int]],
) -> None:
    window, now_ns = MinuteWindow(), 0
    for step_ns, amount, back, late_ns in calls:
        now_ns += step_ns
        window.forget(now_ns)
        taking = window.take(amount, now_ns)
        now_ns += late_ns
        window.forget(now_ns)
        before = window.taken
        window.give_back(taking, min(back, amount))
        counted = 0 if late_ns >= MINUTE_NS else min(back, amount)
        assert window.taken == before - counted
        assert window.taken >= 0
    window.forget(now_ns + MINUTE_NS)
    assert window.taken == 0
    assert window.reset_ns(now_ns + MINUTE_NS) == 0


def test_a_busy_window_stays_small() -> None:
    window = MinuteWindow()
    for number in range(200_000):
        now_ns = number * 1_000_000
        window.forget(now_ns)
        window.take(1, now_ns)
    assert len(window._takings) <= 2 * 60 + 2
    assert 60_000 <= window.taken <= 60_500


def test_what_was_used_beyond_a_limit_is_over_after_a_minute() -> None:
    window = MinuteWindow()
    window.take(1_000_000, 0)
    assert window.wait_ns(1, 10, SECOND_NS) == MINUTE_NS - SECOND_NS
    window.forget(MINUTE_NS)
    assert tried(window, 1, 10, MINUTE_NS)


def test_the_oldest_part_that_is_enough_decides_how_long_to_wait() -> None:
    window = MinuteWindow()
    for second in range(6):
        window.take(10, second * SECOND_NS)
    now_ns = 10 * SECOND_NS
    assert window.wait_ns(0, 60, now_ns) == 0
    assert window.wait_ns(10, 60, now_ns) == MINUTE_NS - 10 * SECOND_NS
    assert window.wait_ns(25, 60, now_ns) == MINUTE_NS - 8 * SECOND_NS
    assert window.wait_ns(1_000, 60, now_ns) == MINUTE_NS - 5 * SECOND_NS
    assert window.reset_ns(now_ns) == MINUTE_NS - 5 * SECOND_NS


@pytest.mark.parametrize(
    ("duration_ns", "seconds"), [(0, 0), (1, 1), (SECOND_NS, 1), (SECOND_NS + 1, 2)]
)
def test_seconds_are_rounded_up(duration_ns: int, seconds: int) -> None:
    assert whole_seconds(duration_ns) == seconds


def test_a_taking_whose_minute_is_over_cannot_be_given_back() -> None:
    window = MinuteWindow()
    old = window.take(5, 0)
    window.forget(MINUTE_NS)
    window.take(3, MINUTE_NS)
    window.give_back(old, 5)
    assert window.taken == 3
    assert isinstance(old, Taking)
