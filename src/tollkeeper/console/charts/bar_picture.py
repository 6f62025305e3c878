"""Stacked bars as PNG: the heights of ``stacked_bars``, in pixels, on a ground of their own.

All of it are upright rectangles, so nothing has to be smoothed and no font is needed: what is
written beside the picture is text. The ground is white in the dark as well, since mail programs
turn the colours of a page round and those of a picture not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from tollkeeper.console.charts.png import Colour, png
from tollkeeper.console.charts.scale import ticks
from tollkeeper.console.charts.stacked_bars import HEIGHT, Series, drawn, tops

WIDTH: Final = 560
TALL: Final = 150
"""The size in pixels of a page; the picture has twice as many, for screens that show them."""

SWATCH: Final = 12
_SCALE: Final = 2
_WHITE: Final = 0
_GRID: Final = 1
_FIRST: Final = 2
_BAR: Final = (18, 64)  # where a bar begins within its day, and how wide it is, in hundredths
_GAP: Final = 2
_COLOURS: Final[tuple[Colour, ...]] = (
    (255, 255, 255),
    (228, 231, 236),
    # The palette of the pages in the light, by place.
    *((89, 91, 241), (228, 114, 6), (28, 96, 76), (200, 97, 174), (122, 158, 83)),
    *((102, 34, 190), (53, 152, 215), (149, 59, 23), (149, 75, 199), (84, 100, 122)),
)


class BarPicture(NamedTuple):
    """The picture, and the amount at its upper edge."""

    png: bytes
    top: Decimal


class _Piece(NamedTuple):
    """One rectangle, in pixels; ``low`` and ``high`` count from above."""

    left: int
    right: int
    high: int
    low: int
    colour: int


def bar_picture(series: Sequence[Series], days: int) -> BarPicture:
    """Draw the stack of each day, the first series lowest, with a line at each step."""
    heights = [[drawn(value) for value in each.values] for each in series]
    totals = [sum(column) for column in zip(*heights, strict=True)] if heights else []
    axis = ticks(Decimal(max(totals, default=0)))
    upper = tops(heights, axis[-1]) if heights else []
    pieces = [*_grid(len(axis) - 1), *_bars(series, upper, days)]
    return BarPicture(png(WIDTH * _SCALE, _rows(pieces), _COLOURS), axis[-1])


def swatch(slot: int) -> bytes:
    """Draw the colour of a place of the palette, with a white edge all around."""
    size, edge = SWATCH * _SCALE, _SCALE
    inner = size - 2 * edge
    blank = bytes([_WHITE]) * size
    side = bytes([_WHITE]) * edge
    row = side + bytes([_FIRST + slot]) * inner + side
    return png(size, [(blank, edge), (row, inner), (blank, edge)], _COLOURS)


def _grid(steps: int) -> Iterator[_Piece]:
    for step in range(steps + 1):
        high = min(TALL * _SCALE - 1, TALL * _SCALE * step // steps)
        yield _Piece(0, WIDTH * _SCALE, high, high + 1, _GRID)


def _bars(series: Sequence[Series], upper: Sequence[Sequence[int]], days: int) -> Iterator[_Piece]:
    tall = TALL * _SCALE
    day_width = WIDTH * _SCALE // days
    start, width = (day_width * part // 100 for part in _BAR)
    for day in range(days):
        left = day * day_width + start
        low = tall
        for index, each in enumerate(series):
            high = tall - round(upper[index][day] * tall / HEIGHT)
            if high < low:
                # A thin gap sets what is stacked apart, unless nothing else would be left.
                gap = _GAP if low < tall and low - high > 2 * _GAP else 0
                yield _Piece(left, left + width, high, low - gap, _FIRST + each.slot)
                if gap:
                    yield _Piece(left, left + width, low - gap, low, _WHITE)
                low = high


def _rows(pieces: Sequence[_Piece]) -> Iterator[tuple[bytes, int]]:
    """Give the rows between each two edges, which are all alike."""
    edges = sorted({0, TALL * _SCALE} | {at for each in pieces for at in (each.high, each.low)})
    for high, low in pairwise(edges):
        row = bytearray([_WHITE]) * (WIDTH * _SCALE)
        for each in pieces:
            if each.high <= high < each.low:
                row[each.left : each.right] = bytes([each.colour]) * (each.right - each.left)
        yield bytes(row), low - high
