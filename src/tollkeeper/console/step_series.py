"""A metric over time: its series as bars or lines, and the table of the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from tollkeeper.console import metrics
from tollkeeper.console.charts.axes import DayLabel, day_labels, step_axis, value_axis
from tollkeeper.console.charts.lines import lines
from tollkeeper.console.charts.stacked_bars import Series, StackedBars, stacked_bars
from tollkeeper.console.links import Links
from tollkeeper.console.series import Cost, Day, Picture
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.measures import Value
from tollkeeper.reports.steps import Step

_LABELS: Final = 10
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class StepSeries(NamedTuple):
    """One colour of the chart: its values by step, and links to what they are of."""

    name: str
    slot: int
    values: tuple[Value, ...]
    links: Links


@dataclass(frozen=True, slots=True)
class StepChart:
    """A metric over time. ``stacked`` tells that the values of series add up.

    ``starts`` are the local times at which the steps begin, ``running`` is the index of the one
    that is not over. ``table`` has the same values in words, one row for each step.
    """

    metric: str
    grain: str
    starts: tuple[datetime, ...]
    running: int | None
    series: tuple[StepSeries, ...]
    stacked: bool
    table: tuple[Day, ...]

    @property
    def picture(self) -> Picture:
        """Draw it."""
        drawn = self._drawn()
        texts = [metrics.axis_text(self.metric, value) for value in drawn.axis]
        return Picture(drawn.svg, value_axis(texts), step_axis(self._labels(), len(self.starts)))

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to draw."""
        return not any(value for each in self.series for value in each.values)

    def _drawn(self) -> StackedBars:
        series = [Series(each.slot, tuple(map(_decimal, each.values))) for each in self.series]
        if self.stacked:
            return stacked_bars(series, len(self.starts), self.running)
        return lines(series, len(self.starts))

    def _labels(self) -> Sequence[DayLabel]:
        if self.grain == "day":
            return day_labels([start.date() for start in self.starts])
        count = len(self.starts)
        every = -(-count // _LABELS)
        chosen = range((count - 1) % every, count, every)
        return [
            DayLabel(place, _short_name(self.starts[place], self.grain), wide=number % 3 != 0)
            for number, place in enumerate(reversed(chosen))
        ]


def step_chart(
    metric: str,
    grain: str,
    steps: Sequence[Step],
    running: int | None,
    series: Sequence[StepSeries],
    whole: tuple[Sequence[Value], Links],
    *,
    stacked: bool,
) -> StepChart:
    """Make the chart. ``whole`` has the values of everything by step, and links to it."""
    totals, links = whole
    zone = zones.zone_info(links.zone)
    starts = tuple(zones.local_time(step.start_us, zone) for step in steps)
    rows = [tuple(each.values[index] for each in series) for index in range(len(steps))]
    texts = metrics.column(metric, [*(value for row in rows for value in row), *totals])
    width = len(series)
    table = tuple(
        Day(
            name=_name(starts[index], grain) + (" (so far)" if index == running else ""),
            href=_within(links, step),
            costs=tuple(
                Cost(texts[index * width + place], _within(each.links, step), bool(value))
                for place, (each, value) in enumerate(zip(series, rows[index], strict=True))
            ),
            total=texts[len(rows) * width + index],
            total_full=metrics.full(metric, totals[index]),
        )
        for index, step in enumerate(steps)
    )
    return StepChart(metric, grain, starts, running, tuple(series), stacked, table)


def _within(links: Links, step: Step) -> str:
    return links.between(step.start_us, max(step.end_us, step.start_us + 1)).calls()


def _name(start: datetime, grain: str) -> str:
    """Name a step in a table; an hour with its offset, since one can come twice."""
    day = formatting.day(start.date())
    if grain == "hour":
        return f"{day}, {start:%H:%M} {start.tzname()}"
    if grain == "day":
        return f"{_WEEKDAYS[start.weekday()]}, {day}"
    return f"Week of {day}" if grain == "week" else f"{day.partition(' ')[0]} {start.year}"


def _short_name(start: datetime, grain: str) -> str:
    day = formatting.day(start.date())
    if grain == "hour":
        return f"{start:%H:%M}" if start.hour else day
    if grain == "month":
        return day.partition(" ")[0] + (f" {start.year}" if start.month == 1 else "")
    return day


def _decimal(value: Value) -> Decimal | None:
    return None if value is None else Decimal(value)
