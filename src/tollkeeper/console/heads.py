"""The head of a page about a stretch of time: whose calls, when, and under which filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.links import Choice, Links
from tollkeeper.domain.access import Viewer
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period

PERIODS: Final = (("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("month", "Month"))
MORE_PERIODS: Final = (("yesterday", "Yesterday"), ("last_month", "Last month"))
"""Periods that are asked for less often: they stand beside the fields for other dates."""


class Chip(NamedTuple):
    """A filter that is on. ``href`` is the view without it."""

    dimension: str
    values: str
    negated: bool
    href: str


@dataclass(frozen=True, slots=True)
class Head:
    """Whose calls, when, and what for.

    ``whose`` is a phrase ("All of acme"), ``when`` a stretch of days in ``zone``.
    ``periods`` are the usual ones, ``more`` others that have a name; ``custom`` names the period
    that is shown where it is none of the usual ones, "" else. It goes from ``first_day`` to
    ``last_day`` (ISO dates). ``chips`` are the filters that are on.
    ``fields`` are the hidden fields of a form that asks for another time.
    """

    whose: str
    when: str
    zone: str
    periods: tuple[Choice, ...]
    more: tuple[Choice, ...]
    custom: str
    first_day: str
    last_day: str
    chips: tuple[Chip, ...]
    clear_href: str
    fields: tuple[tuple[str, str], ...]


_ADDRESSES: Final = {
    "/calls": Links.calls,
    "/models": Links.models,
    "/explore": Links.explore,
    "/savings": Links.savings,
    "/why": Links.changes,
}


def head_of(
    viewer: Viewer, period: Period, links: Links, path: str, names: Iterable[tuple[str, str]] = ()
) -> Head:
    """Make the head of the page at ``path``. ``names`` maps ids in filters to what people read."""
    here = _ADDRESSES.get(path, Links.overview)
    known = dict(names)
    last_day = elapsed_day(period)

    def choices(named: Iterable[tuple[str, str]]) -> tuple[Choice, ...]:
        return tuple(
            Choice(text, here(links.during(period=name)), name == period.name)
            for name, text in named
        )

    return Head(
        whose=whose(viewer),
        when=formatting.days(period.first_day, last_day),
        zone=period.zone,
        periods=choices(PERIODS),
        more=choices(MORE_PERIODS),
        custom=""
        if period.name in dict(PERIODS)
        else dict(MORE_PERIODS).get(period.name, "Custom"),
        first_day=period.first_day.isoformat(),
        last_day=last_day.isoformat(),
        chips=tuple(_chip(each, known, here(_rest(links, each))) for each in links.filters),
        clear_href=here(replace(links, filters=())),
        fields=tuple(
            (name, value)
            for name, value in (*links.during().hidden_fields(), *links.also, ("by", links.by))
            if value and (name != "by" or path in {"/", "/why"})
        ),
    )


def whose(viewer: Viewer) -> str:
    """Say whose calls a viewer sees."""
    scope = viewer.scope
    if scope.user_id is not None:
        return "Your own calls"
    if scope.teams is not None:
        return f"Team {', '.join(sorted(scope.teams))}"
    return f"All of {scope.org}"


def elapsed_day(period: Period) -> date:
    """Give the last day of which something has elapsed."""
    last_us = max(period.start_us, period.until_us - 1)
    return zones.local_time(last_us, period.zone_info).date()


def label(dimension: str, value: str, names: dict[str, str]) -> str:
    """Give what people read for a value of a dimension."""
    if not value:
        return words.dimension(dimension).none
    if dimension == "basis":
        return words.basis(value).name
    if dimension == "outcome":
        return words.outcome(value).name
    if dimension == "weekday":
        return words.WEEKDAYS[int(value) - 1]
    if dimension == "hour_of_day":
        return f"{int(value):02d}:00"
    return names.get(value, value)


def _rest(links: Links, each: Filter) -> Links:
    return replace(links, filters=tuple(other for other in links.filters if other != each))


def _chip(each: Filter, names: dict[str, str], href: str) -> Chip:
    values = " or ".join(label(each.dimension, value, names) for value in each.values)
    return Chip(words.dimension(each.dimension).name, values, each.negated, href)
