"""The hours of the week, as Explore shows them: a heat map, and the table of the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from markupsafe import Markup

from tollkeeper.console import metrics, words
from tollkeeper.console.charts.heat_map import LEVELS, heat_map
from tollkeeper.console.explore_lines import addresses_of
from tollkeeper.console.links import Links
from tollkeeper.reports.explore import Explored
from tollkeeper.reports.filters import CLOCK


class Hour(NamedTuple):
    """One hour of one weekday."""

    text: str
    full: str
    href: str
    is_something: bool


@dataclass(frozen=True, slots=True)
class Week:
    """The hours of the week: the picture, and the table with a row for each hour."""

    svg: Markup
    rows: tuple[tuple[str, tuple[Hour, ...]], ...]
    most: str

    @property
    def levels(self) -> range:
        """Number the shades."""
        return range(1, LEVELS + 1)

    @property
    def days(self) -> tuple[str, ...]:
        """Name the columns of the table."""
        return words.WEEKDAYS


def week_of(found: Explored, links: Links) -> Week | None:
    """Give the hours of the week; None where nothing happened."""
    metric = found.question.metric
    known = [Decimal(value) for value in found.heat.values() if value is not None and value > 0]
    if not known:
        return None
    most = max(known)
    days, hours = (range(first, last + 1) for first, last in CLOCK.values())
    cells = {(day, hour): found.heat.get((day, hour)) for day in days for hour in hours}
    texts = dict(zip(cells, metrics.column(metric, cells.values()), strict=True))
    at = addresses_of(found, links).now
    told = [
        [f"{words.WEEKDAYS[day - 1]} {hour:02d}:00: {texts[day, hour]}" for hour in hours]
        for day in days
    ]
    shares = [
        [
            Decimal(value) / most if (value := cells[day, hour]) and value > 0 else None
            for hour in hours
        ]
        for day in days
    ]

    def hour_of(day: int, hour: int) -> Hour:
        value = cells[day, hour]
        full = metrics.full(metric, value)
        href = at.narrowed("weekday", str(day)).narrowed("hour_of_day", str(hour)).calls()
        shown = texts[day, hour] if (day, hour) in found.heat else ""
        return Hour(shown, full, href, bool(shown))

    rows = tuple((f"{hour:02d}:00", tuple(hour_of(day, hour) for day in days)) for hour in hours)
    largest = max((value for value in found.heat.values() if value is not None), key=Decimal)
    return Week(heat_map(shares, len(hours), told), rows, metrics.text(metric, largest))
