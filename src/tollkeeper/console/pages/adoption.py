"""Adoption: are the tools used, and do people stay with them? Nobody is named or ranked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from tollkeeper.console import adoption_lines as lines
from tollkeeper.console.adoption_lines import (
    CohortMap,
    PartLine,
    PlanValueLine,
    TeamLine,
    Tile,
    WeekLine,
)
from tollkeeper.console.early import stands
from tollkeeper.console.links import Links
from tollkeeper.console.rendering import address
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.adoption import DAYS_IN_WEEK, Figures
from tollkeeper.reports import formatting
from tollkeeper.reports.adoption import Adoption, seen_by
from tollkeeper.reports.adoption_answers import COLUMNS, adoption_document, adoption_rows
from tollkeeper.reports.seat_values import seat_values

PATH = "/adoption"
_NO_TEAM = "No team"


@dataclass(frozen=True, slots=True)
class AdoptionPage:
    """The last complete week of one team or of all, the weeks before it, and every team.

    ``team`` is None for the company; ``teams`` are those that may be chosen, by name.
    ``too_small`` tells that nothing can be shown of so few ``people``; ``plans`` says what the
    seats of flat-rate plans are worth. ``tools_href`` leads to the tools of one team.
    """

    template: ClassVar[str] = "adoption.html"
    found: Adoption
    team: str | None
    team_name: str
    teams: tuple[str, ...]
    sees_all: bool
    when: str
    people: int
    too_small: bool
    tiles: tuple[Tile, ...]
    weeks: tuple[WeekLine, ...]
    flows: tuple[str, ...]
    lines: tuple[TeamLine, ...]
    tools: tuple[PartLine, ...]
    main_tools: tuple[PartLine, ...]
    cohorts: CohortMap | None
    plans: tuple[PlanValueLine, ...]
    csv_href: str
    tools_href: str

    def document(self) -> Mapping[str, Any]:
        """Give what the API answers."""
        return adoption_document(self.found)

    def table(self) -> Table:
        """Give every week and team as rows."""
        return Table("adoption", COLUMNS, adoption_rows(self.found))


def adoption(console: Console, viewer: Viewer, query: Query) -> AdoptionPage:
    """Answer ``GET /adoption``. A lead sees the own team, a choice of one team is a part."""
    counted = console.adoption.publication(console.now_us())
    seen = seen_by(viewer.scope, counted, console.adoption.zone)
    names = sorted(seen.weeks[-1].teams)
    sees_all = seen.weeks[-1].company is not None
    team = query.get("team") or None
    if team is None and not sees_all:
        team = names[0] if names else None
    with_plans = sees_all and team is None
    found = seen.of_team(team) if team is not None else seen
    stands(AdoptionPage, console.ledger if with_plans else None)
    weeks = [
        week.company if team is None else week.teams.get(team, Figures(0)) for week in found.weeks
    ]
    known = [each or Figures(0) for each in weeks]
    last, first_day = known[-1], found.weeks[-1].first_day
    flows = lines.flow_columns(known)
    return AdoptionPage(
        found=found,
        team=team,
        team_name="Everybody" if team is None else team,
        teams=tuple(name for name in names if name),
        sees_all=sees_all,
        when=formatting.days(first_day, first_day + timedelta(days=DAYS_IN_WEEK - 1)),
        people=last.people,
        too_small=last.people < 2 * found.group_min,
        tiles=lines.tiles_of(last),
        weeks=tuple(
            lines.week_line(week.first_day, figures, flows)
            for week, figures in zip(reversed(found.weeks), reversed(known), strict=True)
        ),
        flows=tuple(lines.FLOW_WORDS[name] for name in flows),
        lines=_team_lines(found) if team is None else (),
        tools=lines.tool_parts(last),
        main_tools=lines.main_tool_parts(found.weeks[-1].main_tools),
        cohorts=lines.cohort_map(found.cohorts),
        plans=_plans(console) if with_plans else (),
        csv_href=address(PATH, {"team": team, "format": "csv"}),
        tools_href=_tools_of(team, console.adoption.zone) if team else "",
    )


def _tools_of(team: str, zone: str) -> str:
    """Give the address of what a team's tools were asked, week by week: Explore has no people."""
    links = Links({"period": "90d"}, zone).narrowed("team", team)
    return links.explore(metric="requests", group_by="tool", grain="week")


def _team_lines(found: Adoption) -> tuple[TeamLine, ...]:
    """Give the teams by name: no order says which one is better."""
    return tuple(
        lines.team_line(name or _NO_TEAM, figures, address(PATH, {"team": name}) if name else "")
        for name, figures in sorted(found.weeks[-1].teams.items())
    )


def _plans(console: Console) -> tuple[PlanValueLine, ...]:
    """Give the plans' last month; of the company only, as plans are."""
    counts = console.adoption
    found = seat_values(
        *(console.ledger, console.org, console.terms().seat_plans),
        *(counts.zone, counts.group_min, console.now_us()),
    )
    return tuple(map(lines.plan_value_line, found))
