"""How failures slow somebody down: properties of the delays, and of the memory they take."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.console.attempts import (
    ADDRESS,
    FAILURES_MAX,
    PERSON,
    PERSON_AT_ADDRESS,
    Attempts,
    TooManyAttempts,
)
from tollkeeper.console.throttle import NAMES_MAX, Pace, Throttle

PACE = Pace(free=3, first_s=1.0, most_s=60.0, forget_s=600.0)
PACES = (ADDRESS, PERSON_AT_ADDRESS, PERSON, PACE)
pauses = st.floats(0, 2_000, allow_nan=False)


def through(throttle: Throttle, name: str, now_s: float) -> bool:
    """Try and fail, if there is no need to wait."""
    if throttle.wait_s(name, now_s) > 0:
        return False
    throttle.failed(name, now_s)
    return True


@pytest.mark.parametrize("pace", PACES)
def test_the_first_failures_are_free_and_then_each_doubles_the_delay(pace: Pace) -> None:
    throttle, now_s, delays = Throttle(pace), 0.0, []
    for _ in range(pace.free + 20):
        throttle.failed("a", now_s)
        delays.append(throttle.wait_s("a", now_s))
        now_s += delays[-1]
    assert delays[: pace.free - 1] == [0.0] * (pace.free - 1)
    grown = delays[pace.free - 1 :]
    assert grown[0] == pace.first_s
    assert all(b == min(2 * a, pace.most_s) for a, b in pairwise(grown))
    assert grown[-1] == pace.most_s


@pytest.mark.parametrize("pace", PACES)
def test_nobody_is_locked_out(pace: Pace) -> None:
    throttle = Throttle(pace)
    for _ in range(10_000):
        throttle.failed("a", 0.0)
    assert throttle.wait_s("a", 0.0) == pace.most_s <= 900
    assert throttle.wait_s("a", pace.most_s) == 0
    assert throttle.wait_s("b", 0.0) == 0


@given(st.sampled_from(PACES), st.lists(pauses, max_size=60))
def test_guesses_come_no_faster_than_the_pace(pace: Pace, between: list[float]) -> None:
    throttle, now_s = Throttle(pace), 0.0
    tries: list[float] = []
    for pause_s in between:
        now_s += pause_s
        if through(throttle, "a", now_s):
            tries.append(now_s)
    for at, first_s in enumerate(tries):
        later = [each for each in tries[at:] if each - first_s < pace.first_s]
        assert len(later) <= pace.free


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("ftv"), pauses), max_size=80))
def test_names_are_slowed_down_each_for_itself(steps: list[tuple[str, str, float]]) -> None:
    together, alone = Throttle(PACE), {name: Throttle(PACE) for name in "abcd"}
    now_s = 0.0
    for name, step, pause_s in steps:
        now_s += pause_s
        for each in (together, alone[name]):
            match step:
                case "f":
                    each.failed(name, now_s)
                case "t":
                    each.take_back(name, now_s)
                case _:
                    each.forgive(name)
        for other in "abcd":
            assert together.wait_s(other, now_s) == alone[other].wait_s(other, now_s)


@given(st.integers(0, 10), pauses)
def test_what_is_taken_back_was_never_counted(failures: int, pause_s: float) -> None:
    plain, taken = Throttle(PACE), Throttle(PACE)
    for throttle in (plain, taken):
        for _ in range(failures):
            throttle.failed("a", 0.0)
    taken.failed("a", pause_s)
    taken.take_back("a", pause_s)
    for _ in range(PACE.free - failures if pause_s < PACE.forget_s else PACE.free):
        assert through(taken, "a", pause_s + PACE.most_s)


def test_ever_new_names_make_nobody_elses_failures_forgotten() -> None:
    throttle = Throttle(PACE, names_max=50)
    for _ in range(6):
        throttle.failed("victim", 0.0)
    waits_s = throttle.wait_s("victim", 0.0)
    for number in range(5_000):
        throttle.failed(f"u{number}", 0.0)
        throttle.failed(f"u{number}", 0.0)
    assert throttle.wait_s("victim", 0.0) == waits_s > 0
    assert len(throttle) <= 100


def test_after_a_quiet_time_all_is_forgotten() -> None:
    throttle = Throttle(PACE)
    for _ in range(30):
        throttle.failed("a", 0.0)
    assert throttle.wait_s("a", PACE.forget_s) == 0
    throttle.failed("a", PACE.forget_s)
    assert throttle.wait_s("a", PACE.forget_s) == 0


@pytest.mark.parametrize("names", [11_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_memory_is_bounded_under_ever_new_names_and_addresses(names: int) -> None:
    attempts = Attempts()
    for number in range(names):
        address = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
        attempts.begin(f"u{number}@acme.com" + "x" * (number % 7), address, 0)
    assert len(attempts) <= 3 * 2 * NAMES_MAX


# ------------------------------------------------------------------ who is counted as one


def tries(attempts: Attempts, person: str, address: str, now_s: float = 0.0) -> bool:
    try:
        attempts.begin(person, address, now_s)
    except TooManyAttempts as refused:
        assert refused.retry_after_s is not None and refused.retry_after_s > 0
        return False
    return True


def test_of_many_tries_at_once_no_more_are_let_through_than_one_by_one() -> None:
    attempts = Attempts()
    assert sum(tries(attempts, "alice@acme.com", "203.0.113.9") for _ in range(1_000)) == 5


@pytest.mark.parametrize("name", ["ALICE@acme.com", " alice@acme.com ", "Alice@ACME.com"])
def test_a_person_is_one_however_their_address_is_written(name: str) -> None:
    attempts = Attempts()
    for _ in range(5):
        tries(attempts, "alice@acme.com", "203.0.113.9")
    assert not tries(attempts, name, "203.0.113.9")
    assert tries(attempts, name, "203.0.113.10")


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"], "2001:db8:1:3::1"),
        (["203.0.113.9", "::ffff:203.0.113.9"], "203.0.113.10"),
    ],
)
def test_a_subscriber_is_one(same: list[str], other: str) -> None:
    attempts = Attempts()
    let = [tries(attempts, f"u{n}@acme.com", same[n % 2]) for n in range(FAILURES_MAX + 1)]
    assert let == [True] * FAILURES_MAX + [False]
    assert tries(attempts, "u@acme.com", other)


def test_many_machines_on_one_person_are_slowed_down_and_never_for_long() -> None:
    attempts = Attempts()
    let = [tries(attempts, "alice@acme.com", f"198.51.{n}.1") for n in range(200)]
    assert sum(let) == PERSON.free
    assert not tries(attempts, "alice@acme.com", "203.0.113.9")
    assert tries(attempts, "alice@acme.com", "203.0.113.9", PERSON.most_s)


def test_who_signs_in_is_forgiven_but_their_address_is_not() -> None:
    attempts = Attempts()
    for number in range(FAILURES_MAX - 1):
        assert tries(attempts, f"u{number}@acme.com", "203.0.113.9")
    assert tries(attempts, "alice@acme.com", "203.0.113.9")
    attempts.succeeded("alice@acme.com", "203.0.113.9", 0.0)
    assert tries(attempts, "alice@acme.com", "203.0.113.9")
    assert not tries(attempts, "bob@acme.com", "203.0.113.9")


def test_links_and_passwords_are_counted_apart() -> None:
    attempts = Attempts()
    for number in range(100):
        tries(attempts, f"u{number}@acme.com", "203.0.113.9")
    attempts.require_few("203.0.113.9", 0.0)
    for _ in range(FAILURES_MAX):
        attempts.failed("203.0.113.9", 0.0)
    with pytest.raises(TooManyAttempts, match="try again in 4 seconds"):
        attempts.require_few("203.0.113.9", 0.0)
