"""Seats of flat-rate plans by team: who is meant to have them, whatever anybody used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from tollkeeper.domain.people import Membership
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.sharing import placed
from tollkeeper.domain.statements import Seats

_GLOB: Final = frozenset("*?[")


def people_at(memberships: Iterable[Membership], at_us: int) -> dict[str, int]:
    """Count the people of each team at a moment; "" is who was in none."""
    return Counter(
        each.team
        for each in memberships
        if each.from_us <= at_us and (each.until_us is None or each.until_us > at_us)
    )


def seats_of(plans: Sequence[SeatPlan], people: Mapping[str, int]) -> tuple[Seats, ...]:
    """Split what each plan costs a month over the teams that it is for, by their people.

    A plan for one team is that team's. One whose teams have nobody belongs to no team.
    """
    found = []
    for plan in plans:
        if not _GLOB & set(plan.team):
            members = {plan.team: max(1, people.get(plan.team, 0))}
        else:
            members = {
                team: count
                for team, count in people.items()
                if team and count and fnmatchcase(team, plan.team)
            } or {"": 1}
        seats, costs = placed(plan.seats, members), placed(plan.month_nanos, members)
        found += [
            Seats(
                *(plan.name, plan.provider, team, people.get(team, 0)),
                *(seats[team], plan.seat_nanos, costs[team]),
            )
            for team in seats
        ]
    return tuple(found)
