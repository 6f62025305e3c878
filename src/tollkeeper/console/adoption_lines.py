"""Adoption as the page writes it: tiles, weeks, teams, cohorts. What is hidden says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console.charts.heat_map import heat_map, level_of
from tollkeeper.console.charts.share_bar import share_bar
from tollkeeper.domain import seat_value as seats
from tollkeeper.domain.adoption import FLOWS, Cohort, Figures
from tollkeeper.domain.money import usd
from tollkeeper.domain.seat_value import SeatValue
from tollkeeper.domain.small_groups import OTHERS
from tollkeeper.reports import formatting
from tollkeeper.reports.adoption_answers import daily_average, share_of, stickiness

HIDDEN: Final = "hidden"
_TOOLS: Final = {"1": "One tool", "2": "Two tools", "2+": "Two or more", "3+": "Three or more"}
_STANDINGS: Final = {
    seats.IDLE: "idle",
    seats.LIGHT: "light",
    seats.BETTER_ON_API: "better on the API",
    seats.WORTH_IT: "worth it",
    seats.IDLE_OR_LIGHT: "idle or light",
    seats.BELOW: "used for less than they cost",
    seats.NOT_WORTH_IT: "not worth it",
}
FLOW_WORDS: Final[Mapping[str, str]] = {
    "new": "New",
    "retained": "Retained",
    "returning": "Returning",
    "lapsed": "Lapsed",
    "joined": "New or back",
    "kept": "Not new",
}


class Tile(NamedTuple):
    """One figure. ``detail`` stands below it, ``meaning`` says how it is computed."""

    name: str
    text: str
    detail: str
    meaning: str


class PartLine(NamedTuple):
    """One part of the active people."""

    name: str
    people: str
    share: str
    bar: Markup


class PlanValueLine(NamedTuple):
    """A flat-rate plan's last month. ``parts`` are texts such as ``12 idle``."""

    name: str
    seats: str
    month: str
    value: str
    parts: tuple[str, ...]


class TeamLine(NamedTuple):
    """A team in the last week, or all. ``href`` is "" where there is nothing more to see."""

    name: str
    href: str
    people: str
    active: str
    share: str
    bar: Markup
    monthly: str
    average: str
    sticky: str
    repeated: str


class WeekLine(NamedTuple):
    """One week of a team, or of all. ``flow`` has a text for each of the columns."""

    week: str
    people: str
    active: str
    share: str
    bar: Markup
    monthly: str
    flow: tuple[str, ...]


class CohortCell(NamedTuple):
    """Who of a cohort came in a week: ``42%``. ``level`` is its shade, 0 for none."""

    text: str
    people: str
    level: int


class CohortLine(NamedTuple):
    """One cohort."""

    week: str
    size: str
    cells: tuple[CohortCell, ...]


class CohortMap(NamedTuple):
    """The picture and its table; ``columns`` counts the weeks after the first."""

    svg: Markup
    lines: tuple[CohortLine, ...]
    columns: int


def counted(number: int | None) -> str:
    """Write how many people, or that it is hidden."""
    return HIDDEN if number is None else formatting.count_full(number)


def shared(part: Decimal | None) -> str:
    """Write a share, or that it is hidden."""
    return HIDDEN if part is None else formatting.share(part)


def average_text(average: Decimal | None) -> str:
    """Write an average number of people with one decimal."""
    return HIDDEN if average is None else f"{average:,.1f}"


def tiles_of(found: Figures) -> tuple[Tile, ...]:
    """Give the figures of one week."""
    average = daily_average(found)
    active = counted(found.active)
    per_person = None
    if found.sessions is not None and found.active:
        per_person = Decimal(found.sessions) / found.active
    return (
        Tile(
            "Active this week",
            shared(share_of(found.active, found.people)),
            f"{active} of {formatting.count_full(found.people)} people",
            "People with a call at least that was not refused, out of those with an account.",
        ),
        Tile(
            "On an average day",
            average_text(average),
            "people, all seven days counted",
            "Each day's people, added up and divided by seven.",
        ),
        Tile(
            "In four weeks",
            counted(found.monthly),
            f"of {formatting.count_full(found.people)} people",
            "People with a call in the four weeks that end with this one.",
        ),
        Tile(
            "Stickiness",
            shared(stickiness(found)),
            "average day out of four weeks",
            "The people of an average day out of those of four weeks. Somebody who works five days"
            " a week with it comes to 71%.",
        ),
        Tile(
            "On two days or more",
            shared(share_of(found.repeated, found.active)),
            f"{counted(found.repeated)} of {active} active",
            "Out of the active people, those with calls on two days of the week at least.",
        ),
        Tile(
            "Sessions a person",
            average_text(per_person),
            f"{counted(found.sessions)} sessions",
            "Sessions that tools named, by tool, over the active people. Calls outside sessions"
            " count as use, not as sessions.",
        ),
    )


def team_line(name: str, found: Figures, href: str) -> TeamLine:
    """Give one team of the last week."""
    rate = share_of(found.active, found.people)
    return TeamLine(
        name,
        href,
        formatting.count_full(found.people),
        counted(found.active),
        shared(rate),
        share_bar(rate),
        counted(found.monthly),
        average_text(daily_average(found)),
        shared(stickiness(found)),
        shared(share_of(found.repeated, found.active)),
    )


def flow_columns(weeks: Sequence[Figures]) -> tuple[str, ...]:
    """Give the flows that any week shows."""
    return tuple(name for name in FLOWS if any(name in each.flow for each in weeks))


def week_line(first: date, found: Figures, flows: Sequence[str]) -> WeekLine:
    """Give one week."""
    rate = share_of(found.active, found.people)
    return WeekLine(
        formatting.day(first),
        formatting.count_full(found.people),
        counted(found.active),
        shared(rate),
        share_bar(rate),
        counted(found.monthly),
        tuple(counted(found.flow.get(name)) for name in flows),
    )


def tool_parts(found: Figures) -> tuple[PartLine, ...]:
    """Say how many tools the active people used."""
    return _parts({_TOOLS[name]: count for name, count in found.tools.items()})


def main_tool_parts(counts: Mapping[str, int]) -> tuple[PartLine, ...]:
    """Say which tool the active people used most, the most used one first."""
    named = {
        "Other tools" if name == OTHERS else name or "Not named": count
        for name, count in sorted(counts.items(), key=lambda it: (it[0] == OTHERS, -it[1], it[0]))
    }
    return _parts(named)


def plan_value_line(found: SeatValue) -> PlanValueLine:
    """Set a plan's price beside what its use would have cost."""
    plan, value = found.plan, found.value_nanos
    return PlanValueLine(
        plan.name,
        counted(plan.seats),
        formatting.money(usd(plan.month_nanos)),
        HIDDEN if value is None else formatting.money(usd(value)),
        tuple(f"{counted(count)} {_STANDINGS[name]}" for name, count in found.parts.items()),
    )


def _parts(counts: Mapping[str, int]) -> tuple[PartLine, ...]:
    whole = sum(counts.values())
    found = []
    for name, count in counts.items():
        share = share_of(count, whole)
        found.append(PartLine(name, counted(count), shared(share), share_bar(share)))
    return tuple(found)


def cohort_map(cohorts: Sequence[tuple[date, Cohort]]) -> CohortMap | None:
    """Draw who of each week's new people came again; None where no cohort is large enough."""
    shown = [
        (first, cohort) for first, cohort in cohorts if cohort.size is not None and cohort.active
    ]
    columns = max((len(cohort.active) for _, cohort in shown), default=0)
    if not columns:
        return None
    shares = [[share_of(each, cohort.size) for each in cohort.active] for _, cohort in shown]
    lines = tuple(
        CohortLine(
            formatting.day(first),
            counted(cohort.size),
            tuple(
                CohortCell(shared(share), counted(active), 0 if share is None else level_of(share))
                for share, active in zip(row, cohort.active, strict=True)
            ),
        )
        for (first, cohort), row in zip(shown, shares, strict=True)
    )
    return CohortMap(heat_map(shares, columns), lines, columns)
