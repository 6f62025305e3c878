"""The chart of daily costs: its series, its colours, and the table of the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console.charts.axes import day_axis, money_axis
from tollkeeper.console.charts.stacked_bars import Expected, Series, stacked_bars
from tollkeeper.console.colours import OTHER
from tollkeeper.console.links import Links, value_of
from tollkeeper.reports import formatting
from tollkeeper.reports.forecast import DayAhead, MonthForecast
from tollkeeper.reports.overview import SERIES, Overview

_AHEAD_FROM_DAYS: Final = 7
"""So few days say too little for a chart that goes on into the days to come."""

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Amount = Decimal | None


@dataclass(frozen=True, slots=True)
class NamedSeries:
    """One colour of the chart with its name."""

    name: str
    slot: int
    values: tuple[Amount, ...]


class Picture(NamedTuple):
    """The chart as markup: the bars, and both axes."""

    bars: Markup
    amounts: Markup
    days: Markup


class Cost(NamedTuple):
    """One amount of the chart's table, and the calls behind it."""

    text: str
    href: str
    is_something: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One row of the chart's table. ``costs`` belong to the series, in their order."""

    name: str
    href: str
    costs: tuple[Cost, ...]
    total: str
    total_full: str


class AheadLine(NamedTuple):
    """One row of what is expected; ``range`` is "" where there is no range."""

    name: str
    amount: str
    range: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Daily costs, stacked. ``partial_day`` is the index of the day that still runs.

    ``table`` has the same amounts in words, one row for each day; all have one precision.
    ``ahead`` is what the rest of today and the days of the month that are left will add, empty
    where that is not known, or would be more than there is of the past.
    """

    days: tuple[date, ...]
    partial_day: int | None
    series: tuple[NamedSeries, ...]
    table: tuple[Day, ...]
    ahead: tuple[DayAhead, ...] = ()

    @property
    def stack(self) -> tuple[Series, ...]:
        """Give the series as the picture takes them."""
        return tuple(Series(each.slot, each.values) for each in self.series)

    @property
    def picture(self) -> Picture:
        """Draw it."""
        expected = [Expected(each.usd, each.low_usd, each.high_usd) for each in self.ahead]
        drawn = stacked_bars(self.stack, len(self.days), self.partial_day, expected)
        days = [*self.days, *(each.day for each in self.ahead[1:])]
        return Picture(drawn.svg, money_axis(drawn.axis), day_axis(days))

    @property
    def ahead_table(self) -> tuple[AheadLine, ...]:
        """Write what is expected, one row for each day."""
        bounds = [each.usd for each in self.ahead]
        bounds += [
            edge
            for each in self.ahead
            for edge in (each.low_usd, each.high_usd)
            if edge is not None
        ]
        texts = dict(zip(bounds, formatting.money_column(bounds), strict=True))
        return tuple(
            AheadLine(
                _day_name(each.day) + (", the rest" if not place else ""),
                texts[each.usd],
                f"{texts[each.low_usd]} to {texts[each.high_usd]}"
                if each.low_usd is not None and each.high_usd is not None
                else "",
            )
            for place, each in enumerate(self.ahead)
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to draw."""
        return not any(value for each in self.series for value in each.values)


def chart_of(
    found: Overview,
    labels: Sequence[str],
    slots: Sequence[int],
    links: Links,
    expected: MonthForecast,
) -> Chart:
    """Give the chart of an overview; ``labels`` and ``slots`` belong to its first parts."""
    name = found.question.dimension
    ahead = _ahead(found, expected)
    days = found.days[: found.days.index(ahead[0].day) + 1] if ahead else found.days
    narrowed = [links.narrowed(name, value_of(part.key)) for part in found.parts[:SERIES]]
    shown = zip(labels, slots, found.parts[:SERIES], strict=False)
    series = [NamedSeries(label, slot, part.by_day[: len(days)]) for label, slot, part in shown]
    if found.other is not None:
        narrowed.append(links)
        series.append(NamedSeries("Other", OTHER, found.other.by_day[: len(days)]))
    return Chart(
        days,
        found.partial_day,
        tuple(series),
        _table(days, found.partial_day, series, (*narrowed, links)),
        ahead,
    )


def _ahead(found: Overview, expected: MonthForecast) -> tuple[DayAhead, ...]:
    """Give what is expected, where the chart has today and room for it, or is of the month.

    Days to come that are in the period itself are among these, or there are none.
    """
    days, ahead = found.days, expected.days
    if not ahead or ahead[0].day not in days or days[-1] > ahead[-1].day:
        return ()
    known = days.index(ahead[0].day) + 1
    is_month = found.question.period.name == "month"
    return ahead if is_month or known >= max(_AHEAD_FROM_DAYS, len(ahead) - 1) else ()


def _table(
    days: Sequence[date],
    partial_day: int | None,
    series: Sequence[NamedSeries],
    links: Sequence[Links],
) -> tuple[Day, ...]:
    """Write the amounts. ``links`` has one for each series, and one for the totals."""
    rows = [tuple(each.values[index] for each in series) for index in range(len(days))]
    totals = [_total(row) for row in rows]
    flat = [amount for row in rows for amount in row]
    texts = formatting.money_column([*flat, *totals])
    width = len(series)
    return tuple(
        Day(
            name=_day_name(day) + (" (so far)" if index == partial_day else ""),
            href=_within(links[-1], day),
            costs=tuple(
                Cost(texts[index * width + column], _within(each, day), bool(amount))
                for column, (each, amount) in enumerate(zip(links, rows[index], strict=False))
            ),
            total=texts[len(flat) + index],
            total_full=formatting.money_full(totals[index]),
        )
        for index, day in enumerate(days)
    )


def _within(links: Links, day: date) -> str:
    return links.during(**{"from": day.isoformat(), "to": day.isoformat()}).calls()


def _total(row: Sequence[Amount]) -> Amount:
    """Add up what is known; None when nothing is, though something was used."""
    known = [amount for amount in row if amount is not None]
    if not known:
        return None if row else Decimal(0)
    return sum(known, Decimal(0))


def _day_name(day: date) -> str:
    return f"{_WEEKDAYS[day.weekday()]}, {formatting.day(day)}"
