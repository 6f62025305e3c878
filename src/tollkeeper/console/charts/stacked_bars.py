"""Stacked bars over days: one path for each series, so that a colour is a CSS class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Final, NamedTuple

from markupsafe import Markup

from tollkeeper.console.charts.scale import ticks

HEIGHT: Final = 1_000
DAY_WIDTH: Final = 100
DENSE_DAYS: Final = 60
_BAR: Final = (14, 72)  # where a bar begins within its day, and how wide it is
_DENSE_BAR: Final = (6, 88)

Amount = Decimal | None


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the stack, the lowest first. ``slot`` is its place in the palette.

    ``values`` has one amount for each day. What is unknown (None) or below zero has no
    height; the table beside the chart tells it.
    """

    slot: int
    values: Sequence[Amount]


class Expected(NamedTuple):
    """What a day to come will cost, with its range, None where there is none."""

    amount: Decimal
    low: Amount
    high: Amount


@dataclass(frozen=True, slots=True)
class StackedBars:
    """The picture, and the axis that belongs beside it (from the top down, 0 last)."""

    svg: Markup
    axis: tuple[Decimal, ...]


def stacked_bars(
    series: Sequence[Series],
    days: int,
    partial_day: int | None,
    ahead: Sequence[Expected] = (),
) -> StackedBars:
    """Draw the stack. The picture stretches to any size: one unit is 1/1000 of its height.

    ``partial_day`` is the index of the day that still runs; it is drawn by paths of its own
    (class ``partial``), so that CSS can fade it without veiling the grid. ``ahead`` is what is
    expected: the first of it of the last day, on top of what is there, then of days after it.
    """
    heights = [[drawn(value) for value in each.values] for each in series]
    totals = [sum(column) for column in zip(*heights, strict=True)] if heights else []
    floors = [totals[-1] if totals and not place else Decimal(0) for place in range(len(ahead))]
    highest = [
        floor + (each.high or each.amount) for floor, each in zip(floors, ahead, strict=True)
    ]
    axis = ticks(Decimal(max([*totals, *highest], default=0)))
    width = days + max(0, len(ahead) - 1)
    is_dense = width > DENSE_DAYS
    upper = tops(heights, axis[-1])
    paths = []
    for index, each in enumerate(series):
        floor = upper[index - 1] if index else [0] * days
        for partial in (False, True):
            chosen = [day for day in range(days) if (day == partial_day) is partial]
            path = _path(floor, upper[index], chosen, dense=is_dense)
            if path:
                mark = " partial" if partial else ""
                paths.append(f'<path class="bar s{each.slot}{mark}" d="{path}"/>')
    if ahead:
        paths += _ahead(ahead, floors, days - 1, axis[-1], dense=is_dense)
    dense = ' class="dense"' if is_dense else ""
    return StackedBars(
        Markup(  # noqa: S704 - numbers only
            f'<svg{dense} viewBox="0 0 {width * DAY_WIDTH} {HEIGHT}" preserveAspectRatio="none"'
            f' aria-hidden="true" focusable="false">{_grid(len(axis) - 1, width)}{"".join(paths)}'
            f'<rect class="cursor" x="-{DAY_WIDTH}" width="{DAY_WIDTH}" height="{HEIGHT}"/></svg>'
        ),
        tuple(reversed(axis)),
    )


def drawn(value: Amount) -> Decimal:
    """Give the height of an amount: none for what is unknown or below zero."""
    return Decimal(0) if value is None or value < 0 else value


def tops(heights: Sequence[Sequence[Decimal]], top: Decimal) -> list[list[int]]:
    """Give the upper edge of each series on each day, in units above the axis.

    Edges are rounded, not heights: the pieces of a bar meet, and the bar is as high as its sum.
    """
    sums = zip(*(accumulate(column) for column in zip(*heights, strict=True)), strict=True)
    return [[round(edge * HEIGHT / top) for edge in row] for row in sums]


def _path(floor: Sequence[int], top: Sequence[int], days: Sequence[int], *, dense: bool) -> str:
    start, width = _DENSE_BAR if dense else _BAR
    return "".join(
        f"M{day * DAY_WIDTH + start} {HEIGHT - floor[day]}h{width}v-{height}h-{width}z"
        for day in days
        if (height := top[day] - floor[day])
    )


def _ahead(
    ahead: Sequence[Expected],
    floors: Sequence[Decimal],
    first: int,
    top: Decimal,
    *,
    dense: bool,
) -> list[str]:
    """Draw what is expected as bars of their own, and within each its range as a narrow one."""
    start, width = _DENSE_BAR if dense else _BAR
    bars, ranges = [], []
    for place, (each, floor) in enumerate(zip(ahead, floors, strict=True)):
        left = (first + place) * DAY_WIDTH + start
        edges = (Decimal(0), each.amount, each.low or Decimal(0), each.high or Decimal(0))
        bottom, upper, low, high = (round((floor + edge) * HEIGHT / top) for edge in edges)
        bars.append(_box(left, width, bottom, upper))
        ranges.append(_box(left + width * 3 // 8, width // 4, low, high))
    drawn_as = (("ahead", "".join(bars)), ("range", "".join(ranges)))
    return [f'<path class="{name}" d="{path}"/>' for name, path in drawn_as if path]


def _box(left: int, width: int, bottom: int, top: int) -> str:
    height = top - bottom
    return f"M{left} {HEIGHT - bottom}h{width}v-{height}h-{width}z" if height > 0 else ""


def _grid(steps: int, days: int) -> str:
    lines = (HEIGHT - round(HEIGHT * step / steps) for step in range(1, steps + 1))
    return "".join(f'<path class="grid" d="M0 {y}H{days * DAY_WIDTH}"/>' for y in lines)
