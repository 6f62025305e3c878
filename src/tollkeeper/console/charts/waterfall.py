"""A waterfall: how an amount gets from one level to another, one step for each line of a table.

Each step is a picture of its own, as wide as its column, and all have one scale: a bar from
where the step begins to where it ends, with a hairline where it began. So the table is the
chart, and reads well on a narrow screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from markupsafe import Markup

WIDTH: Final = 1_000
HEIGHT: Final = 100
_SMALLEST: Final = 6
_BAR: Final = (18, 64)  # where a bar begins from the top, and how high it is


def waterfall(steps: Sequence[Decimal]) -> list[Markup]:
    """Draw each step, beginning at the level where the one before has ended, and last their sum.

    The first begins at zero, which is the amount before; a step down goes to the left. What
    is there stays visible, however small it is.
    """
    levels = [Decimal(0)]
    for step in steps:
        levels.append(levels[-1] + step)
    low, high = min(levels), max(levels)
    span = high - low
    places = [round((level - low) * WIDTH / span) if span else 0 for level in levels]
    drawn = [
        _picture(places[index], places[index + 1], "up" if step > 0 else "down", zero=places[0])
        if step
        else _picture(places[index], places[index], "", zero=places[0])
        for index, step in enumerate(steps)
    ]
    return [*drawn, _picture(places[0], places[-1], "sum" if levels[-1] else "", zero=places[0])]


def _picture(start: int, end: int, kind: str, *, zero: int) -> Markup:
    left, right = min(start, end), max(start, end)
    if kind and right - left < _SMALLEST:
        left = min(left, WIDTH - _SMALLEST)
        right = left + _SMALLEST
    top, height = _BAR
    bar = (
        f'<rect class="{kind}" x="{left}" y="{top}" width="{right - left}" height="{height}"/>'
        if kind
        else ""
    )
    return Markup(  # noqa: S704 - numbers and classes of our own
        f'<svg class="fall" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
        f' aria-hidden="true" focusable="false"><path class="grid" d="M{zero} 0V{HEIGHT}"/>'
        f'<path class="from" d="M{start} 0V{top}"/>{bar}</svg>'
    )
