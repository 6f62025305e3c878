"""Seats are counted by what their use is worth, and no few of them are told apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.seat_value import seat_value, standing_of

DOLLAR = 10**9
PLAN = SeatPlan("Team", "anthropic", 30, 100 * DOLLAR)


def test_where_a_seat_stands() -> None:
    found = [standing_of(each * DOLLAR, 100 * DOLLAR) for each in (0, 24, 25, 99, 100)]
    assert found == ["light", "light", "better_on_api", "better_on_api", "worth_it"]


def test_small_parts_are_put_together() -> None:
    worth, light = [200 * DOLLAR] * 12, [DOLLAR] * 2
    assert seat_value(PLAN, worth, 5).parts == {"not_worth_it": 18, "worth_it": 12}
    assert seat_value(PLAN, [200 * DOLLAR] * 4, 5).parts == {}
    found = seat_value(PLAN, [*worth, *light, *[50 * DOLLAR] * 6], 5)
    assert found.parts == {"idle": 10, "used_below_price": 8, "worth_it": 12}
    assert found.value_nanos == (12 * 200 + 2 + 6 * 50) * DOLLAR
    assert seat_value(PLAN, [*worth, *light], 5).parts == {"not_worth_it": 18, "worth_it": 12}


@given(st.lists(st.integers(0, 300 * DOLLAR), max_size=60), st.integers(2, 8))
def test_every_part_is_large_enough_and_all_seats_are_there(
    values: list[int], group_min: int
) -> None:
    found = seat_value(PLAN, values, group_min)
    assert all(count >= group_min for count in found.parts.values())
    assert (found.value_nanos is None) == (not found.parts)
    if found.parts:
        assert sum(found.parts.values()) == max(PLAN.seats, len(values))
