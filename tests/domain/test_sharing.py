"""Shared cost is split to the nano-dollar, and seats of plans over the people they are for."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.people import Membership
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.seat_shares import people_at, seats_of
from tollkeeper.domain.sharing import placed

WEIGHTS = st.dictionaries(st.text(max_size=3), st.integers(0, 10**15), max_size=9)


@given(st.integers(-(10**24), 10**24), WEIGHTS)
@settings(max_examples=60, deadline=None)
def test_parts_add_up_and_none_is_off_by_a_whole_nano(amount: int, weights: dict[str, int]) -> None:
    whole = sum(weights.values())
    if not whole:
        with pytest.raises(ValueError, match="nobody"):
            placed(amount, weights)
        return
    parts = placed(amount, weights)
    assert sum(parts.values()) == amount
    assert set(parts) == {name for name, weight in weights.items() if weight}
    for name, part in parts.items():
        assert abs(part - Fraction(amount * weights[name], whole)) < 1
    assert parts == placed(amount, dict(reversed(weights.items())))
    assert placed(-amount, weights) == {name: -part for name, part in parts.items()}


def test_what_is_left_over_goes_where_most_was_lost() -> None:
    assert placed(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert placed(-10, {"a": 1, "b": 1, "c": 1}) == {"a": -4, "b": -3, "c": -3}
    assert placed(5, {"a": 3, "b": 7}) == {"a": 2, "b": 3}  # 1.5 and 3.5: equals, by name
    assert placed(1, {"a": 1, "b": 9}) == {"a": 0, "b": 1}


def test_seats_follow_the_people_of_the_time() -> None:
    since, until, later = 100, 200, 300
    memberships = [
        Membership("u1", "core", since, None),
        Membership("u2", "core", since, until),
        Membership("u2", "search", until, None),
        Membership("u3", "search", later, None),
        Membership("u4", "", since, None),
    ]
    assert people_at(memberships, 150) == {"core": 2, "": 1}
    assert people_at(memberships, 250) == {"core": 1, "search": 1, "": 1}
    everybody = SeatPlan("max", "anthropic", 5, 100_000_000_001)
    (core, search) = seats_of([everybody], people_at(memberships, 300))
    assert [(each.team, each.people, each.seats) for each in (core, search)] == [
        ("core", 1, 2),
        ("search", 2, 3),
    ]
    assert core.cost_nanos + search.cost_nanos == everybody.month_nanos


def test_a_plan_of_one_team_is_that_teams_and_one_of_nobody_is_no_teams() -> None:
    own = SeatPlan("own", "openai", 3, 20, team="core")
    gone = SeatPlan("gone", "openai", 3, 20, team="x-*")
    (mine, nobodys) = seats_of([own, gone], {"search": 4, "": 1})
    assert (mine.team, mine.people, mine.cost_nanos) == ("core", 0, 60)
    assert (nobodys.team, nobodys.seats, nobodys.cost_nanos) == ("", 3, 60)
