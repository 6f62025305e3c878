"""The chart of daily costs: its series, its colours, and the table of the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from tollkeeper.console.charts.stacked_bars import Series
from tollkeeper.console.colours import OTHER
from tollkeeper.reports import formatting
from tollkeeper.reports.overview import SERIES, Overview

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Amount = Decimal | None


@dataclass(frozen=True, slots=True)
class NamedSeries:
    """One colour of the chart with its name."""

    name: str
    slot: int
    values: tuple[Amount, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """One row of the chart's table. ``costs`` belong to the series, in their order."""

    name: str
    costs: tuple[str, ...]
    total: str
    total_full: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Daily costs, stacked. ``partial_day`` is the index of the day that still runs.

    ``table`` has the same amounts in words, one row for each day; all have one precision.
    """

    days: tuple[date, ...]
    partial_day: int | None
    series: tuple[NamedSeries, ...]
    table: tuple[Day, ...]

    @property
    def stack(self) -> tuple[Series, ...]:
        """Give the series as the picture takes them."""
        return tuple(Series(each.slot, each.values) for each in self.series)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to draw."""
        return not any(value for each in self.series for value in each.values)


def chart_of(found: Overview, labels: Sequence[str], slots: Sequence[int]) -> Chart:
    """Give the chart of an overview; ``labels`` and ``slots`` belong to its first parts."""
    shown = zip(labels, slots, found.parts[:SERIES], strict=False)
    series = [NamedSeries(label, slot, part.by_day) for label, slot, part in shown]
    if found.other is not None:
        series.append(NamedSeries("Other", OTHER, found.other.by_day))
    return Chart(
        found.days,
        found.partial_day,
        tuple(series),
        _table(found.days, found.partial_day, series),
    )


def _table(
    days: Sequence[date], partial_day: int | None, series: Sequence[NamedSeries]
) -> tuple[Day, ...]:
    rows = [tuple(each.values[index] for each in series) for index in range(len(days))]
    totals = [_total(row) for row in rows]
    flat = [amount for row in rows for amount in row]
    texts = formatting.money_column([*flat, *totals])
    width = len(series)
    return tuple(
        Day(
            name=_day_name(day) + (" (so far)" if index == partial_day else ""),
            costs=tuple(texts[index * width : (index + 1) * width]),
            total=texts[len(flat) + index],
            total_full=formatting.money_full(totals[index]),
        )
        for index, day in enumerate(days)
    )


def _total(row: Sequence[Amount]) -> Amount:
    """Add up what is known; None when nothing is, though something was used."""
    known = [amount for amount in row if amount is not None]
    if not known:
        return None if row else Decimal(0)
    return sum(known, Decimal(0))


def _day_name(day: date) -> str:
    return f"{_WEEKDAYS[day.weekday()]}, {formatting.day(day)}"
