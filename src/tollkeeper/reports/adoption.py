"""Adoption: one publication for the whole company, of which each viewer sees a part.

It has whole weeks only and no parameter that changes what is counted, so that no two answers
differ by a person or a day. See ``domain.adoption`` for what is hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tollkeeper.domain import adoption as domain
from tollkeeper.domain.access import Scope
from tollkeeper.domain.adoption import Cohort, Figures, Member, Publication, Use
from tollkeeper.domain.errors import NotAllowed
from tollkeeper.ports import Ledger, Membership
from tollkeeper.reports import adoption_queries as queries
from tollkeeper.reports import zones
from tollkeeper.reports.questions import BadQuestion, quoted
from tollkeeper.reports.selection import Selection

_WEEK_DAYS = 7
_MONDAY = 3  # day 0 was a Thursday


@dataclass(frozen=True, slots=True)
class WeekFigures:
    """One week for one viewer. ``company`` is None for whom it is not; teams are by name."""

    first_day: date
    company: Figures | None
    teams: Mapping[str, Figures]
    main_tools: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a viewer may see, the oldest week first.

    ``cohorts``, with the Mondays of their first weeks, are there where the company's figures are.
    """

    zone: str
    group_min: int
    weeks: tuple[WeekFigures, ...]
    cohorts: tuple[tuple[date, Cohort], ...]

    def of_team(self, team: str) -> Adoption:
        """Give the part about one team. Raises BadQuestion where it is not among those seen."""
        if not any(team in week.teams for week in self.weeks):
            raise BadQuestion("team", f"there is no team {quoted(team)} among those you may see")
        return Adoption(
            self.zone,
            self.group_min,
            tuple(
                WeekFigures(
                    week.first_day,
                    None,
                    {name: found for name, found in week.teams.items() if name == team},
                    {},
                )
                for week in self.weeks
            ),
            (),
        )


def seen_by(scope: Scope, found: Publication, zone: str) -> Adoption:
    """Give what a scope allows of a publication that was counted in this zone.

    Raises NotAllowed for the scope of a single person: nobody is counted alone.
    """
    if scope.user_id is not None:
        raise NotAllowed("adoption is of teams; your own use is on the page Me", code="no_team")
    everything = scope.teams is None
    return Adoption(
        zone,
        found.group_min,
        tuple(
            WeekFigures(
                _monday(week.week),
                week.company if everything else None,
                {
                    name: figures
                    for name, figures in week.teams.items()
                    if scope.teams is None or name in scope.teams
                },
                week.main_tools if everything else {},
            )
            for week in found.weeks
        ),
        tuple((_monday(each.week), each) for each in found.cohorts) if everything else (),
    )


def publication(
    ledger: Ledger,
    org: str,
    memberships: Iterable[Membership],
    zone: str,
    group_min: int,
    now_us: int,
) -> Publication:
    """Count the last complete weeks of the whole company. ``zone`` is the deployment's."""
    info = zones.zone_info(zone)
    this_week = week_at(now_us, zone)
    start_us, end_us = (
        zones.day_start(_monday(week), info)
        for week in (this_week - domain.WEEKS - domain.WEEKS_BEFORE, this_week)
    )
    offsets = zones.offsets(zone, start_us // 1_000_000, -(-end_us // 1_000_000))
    near, ever = Selection(Scope(org), start_us, end_us), Selection(Scope(org), None, end_us)
    values = near.values() | zones.offset_values(offsets)
    shape, changes = near.shape(), len(offsets.changes)
    with ledger.snapshot():
        uses = ledger.run(queries.by_person_and_week(ledger, shape, changes), values)
        firsts = ledger.run(queries.first_uses(ledger, ever.shape()), ever.values())
    return domain.publish(
        _uses(uses),
        {row["user"]: week_at(zones.epoch_us_of(row["first"]), zone) for row in firsts},
        [
            Member(
                each.user_id,
                each.team,
                week_at(each.from_us, zone),
                None if each.until_us is None else week_at(each.until_us, zone),
            )
            for each in memberships
        ],
        this_week - 1,
        group_min,
    )


def _uses(rows: Iterable[Mapping[str, Any]]) -> list[Use]:
    return [
        Use(
            row["user"],
            _week_of(row["week"]),
            row["team"],
            row["days"].bit_count(),
            row["sessions"],
            row["tools"],
            row["main_tool"],
        )
        for row in rows
    ]


def week_at(at_us: int, zone: str) -> int:
    """Number the week of a moment."""
    day = zones.local_time(at_us, zones.zone_info(zone)).date()
    return _week_of(zones.number_of(day))


def _week_of(day_number: int) -> int:
    """Number the weeks from the one that held day 0."""
    return (day_number + _MONDAY) // _WEEK_DAYS


def _monday(week: int) -> date:
    return zones.day_of(0) + timedelta(days=week * _WEEK_DAYS - _MONDAY)
