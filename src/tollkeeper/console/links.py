"""Addresses of our own pages: every number leads to its rows, and the address is the view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple

from tollkeeper.console.rendering import address
from tollkeeper.console.shared import Query
from tollkeeper.reports import zones
from tollkeeper.reports.filters import Filter, filters_text
from tollkeeper.reports.period import Period

_TIME: Final = ("period", "from", "to")


class Choice(NamedTuple):
    """One of several views to choose from. ``current`` is the one that is shown."""

    text: str
    href: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Links:
    """Makes addresses that keep a view's time, zone, filters and dimension.

    ``time`` holds ``period``, or ``from`` and ``to``; ``by`` is the overview's dimension, "" for
    the usual one; ``also`` is what else makes a view of Explore.
    """

    time: Mapping[str, str]
    zone: str
    filters: tuple[Filter, ...] = ()
    by: str = ""
    also: tuple[tuple[str, str], ...] = ()

    def during(self, **time: str) -> Links:
        """Give links for another time."""
        return replace(self, time=time)

    def within(self, period: Period) -> Links:
        """Give links for exactly what has elapsed of a period."""
        start, end = (
            zones.local_time(at_us, period.zone_info).isoformat(timespec="microseconds")
            for at_us in (period.start_us, period.until_us)
        )
        return replace(self, time={"from": start, "to": end})

    def between(self, start_us: int, end_us: int) -> Links:
        """Give links for the time between two moments, as days where it is made of days."""
        zone = zones.zone_info(self.zone)
        first, last = zones.local_time(start_us, zone), zones.local_time(end_us - 1, zone)
        after = last.date() + timedelta(days=1)
        if (
            zones.day_start(first.date(), zone) == start_us
            and zones.day_start(after, zone) == end_us
        ):
            return self.during(**{"from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"})
        start, end = (
            zones.local_time(at_us, zone).isoformat(timespec="microseconds")
            for at_us in (start_us, end_us)
        )
        return self.during(**{"from": start, "to": end})

    def narrowed(self, dimension: str, *values: str) -> Links:
        """Give links with one more filter; it takes the place of another of its dimension."""
        return replace(self, filters=(*without(self.filters, dimension), Filter(dimension, values)))

    def widened(self, dimension: str) -> Links:
        """Give links without the filters of a dimension."""
        return replace(self, filters=without(self.filters, dimension))

    def overview(self, by: str | None = None) -> str:
        """Give the address of the first page, by another dimension if one is named."""
        return address("/", self._query() | {"by": self.by if by is None else by})

    def explore(self, **changes: str | None) -> str:
        """Give the address of Explore, with other parameters where some are named."""
        return address("/explore", {**self._query(), **dict(self.also), **changes})

    def calls(self) -> str:
        """Give the address of the list of calls."""
        return address("/calls", self._query())

    def changes(self, by: str | None = None, **before: str) -> str:
        """Give the address of the page that says why a cost changed.

        ``before`` names another stretch than the one before: ``before_from``, ``before_to``.
        """
        named = {"by": self.by if by is None else by}
        return address("/why", self._query() | named | before)

    def savings(self) -> str:
        """Give the address of the page of what is wasted."""
        return address("/savings", self._query())

    def models(self) -> str:
        """Give the address of the models' page."""
        return address("/models", self._query())

    def calls_file(self) -> str:
        """Give the address of the list as a file of comma-separated values."""
        return address("/calls", self._query() | {"format": "csv"})

    def hidden_fields(self) -> tuple[tuple[str, str], ...]:
        """Give the view as fields of a form that asks for something else besides."""
        return tuple((name, value) for name, value in self._query().items() if value)

    def _query(self) -> dict[str, str]:
        filters = filters_text(self.filters)
        return {**self.time, "tz": self.zone, "filter": filters}


def without(filters: tuple[Filter, ...], dimension: str) -> tuple[Filter, ...]:
    """Give the filters but those of one dimension."""
    return tuple(each for each in filters if each.dimension != dimension)


def time_of(query: Query) -> dict[str, str]:
    """Give the part of a query that says which time is asked about."""
    return {name: query[name] for name in _TIME if query.get(name)}


def value_of(key: str | int | bool | None) -> str:
    """Write a dimension's value as a filter takes it; "" finds entries that have none."""
    if key is None:
        return ""
    return str(key).lower() if isinstance(key, bool) else str(key)
