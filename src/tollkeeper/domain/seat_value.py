"""What the seats of a flat-rate plan are worth: the list value of their use, against the price.

Counted by how many people are where, never who. List value is what the same calls would have
cost by the token: nobody paid it, and it is added to nothing that was spent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.small_groups import is_safe

IDLE: Final = "idle"
LIGHT: Final = "light"
BETTER_ON_API: Final = "better_on_api"
WORTH_IT: Final = "worth_it"
IDLE_OR_LIGHT: Final = "idle_or_light"
BELOW: Final = "used_below_price"
NOT_WORTH_IT: Final = "not_worth_it"

LIGHT_BELOW: Final = 4
"""Use is light below one part in so many of the seat's price."""

_LEVELS: Final[Sequence[Mapping[str, str]]] = (
    {IDLE: IDLE, LIGHT: LIGHT, BETTER_ON_API: BETTER_ON_API, WORTH_IT: WORTH_IT},
    {IDLE: IDLE, LIGHT: BELOW, BETTER_ON_API: BELOW, WORTH_IT: WORTH_IT},
    {IDLE: IDLE_OR_LIGHT, LIGHT: IDLE_OR_LIGHT, BETTER_ON_API: BETTER_ON_API, WORTH_IT: WORTH_IT},
    {IDLE: NOT_WORTH_IT, LIGHT: NOT_WORTH_IT, BETTER_ON_API: NOT_WORTH_IT, WORTH_IT: WORTH_IT},
)


class SeatValue(NamedTuple):
    """A plan and its month. ``value_nanos`` is None and ``parts`` empty where they are hidden.

    ``parts`` counts seats, as finely as their numbers allow: every one is of enough people.
    """

    plan: SeatPlan
    value_nanos: int | None
    parts: Mapping[str, int]


def standing_of(value_nanos: int, seat_nanos: int) -> str:
    """Say where somebody who used a plan stands: below the price, calls by the token cost less."""
    if value_nanos >= seat_nanos:
        return WORTH_IT
    return LIGHT if value_nanos * LIGHT_BELOW < seat_nanos else BETTER_ON_API


def seat_value(plan: SeatPlan, values_nanos: Iterable[int], group_min: int) -> SeatValue:
    """Count the seats of a plan from the list value of each person's use in the month.

    Seats that nobody used are idle. Where more people used the plan than it has seats, all
    of them count.
    """
    used = list(values_nanos)
    counts = dict.fromkeys((IDLE, LIGHT, BETTER_ON_API, WORTH_IT), 0)
    counts[IDLE] = max(0, plan.seats - len(used))
    for value in used:
        counts[standing_of(value, plan.seat_nanos)] += 1
    for level in _LEVELS:
        parts = dict.fromkeys(level.values(), 0)
        for name, count in counts.items():
            parts[level[name]] += count
        if is_safe(parts.values(), group_min):
            return SeatValue(plan, sum(used), parts)
    return SeatValue(plan, None, {})
