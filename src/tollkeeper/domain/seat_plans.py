"""Flat-rate plans: what is paid by the seat or by the month, whatever is used.

Calls under a plan cost nothing by themselves; their list value says what the plan is worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

ANY = "*"


class SeatPlan(NamedTuple):
    """One plan. ``provider`` and ``team`` are globs; ``provider`` is the operator's name.

    ``seat_nanos`` is the price of one seat a month, in nano-dollars. ``covers_keys`` tells
    that calls with the operator's own key are under the plan as well (capacity that was
    bought); otherwise only calls with a caller's own login are.
    """

    name: str
    provider: str
    seats: int
    seat_nanos: int
    team: str = ANY
    covers_keys: bool = False

    @property
    def month_nanos(self) -> int:
        """Give what the plan costs each month, in nano-dollars."""
        return self.seats * self.seat_nanos


def plan_of(
    plans: Iterable[SeatPlan], provider: str, team: str, *, vendor_login: bool
) -> SeatPlan | None:
    """Give the first plan that covers a call, or None."""
    for plan in plans:
        if (
            (vendor_login or plan.covers_keys)
            and fnmatchcase(provider, plan.provider)
            and fnmatchcase(team, plan.team)
        ):
            return plan
    return None
