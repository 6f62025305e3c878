"""A sparkline: the shape of a series in the height of a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from markupsafe import Markup

WIDTH: Final = 96
HEIGHT: Final = 24
POINTS_MAX: Final = 48
_EDGE: Final = 3
_SCALE: Final = 10  # coordinates are whole tenths of a pixel


def sparkline(values: Sequence[Decimal | None]) -> Markup:
    """Draw a line from the left to a dot on the right; empty for fewer than two values.

    The line starts at zero, so that a flat series looks flat. What is unknown counts as
    nothing. More values than there is room for are added up in equal groups.
    """
    points = _grouped([Decimal(0) if value is None or value < 0 else value for value in values])
    if len(points) < 2:
        return Markup()
    largest = max(points) or Decimal(1)
    right, low = (WIDTH - _EDGE) * _SCALE, (HEIGHT - _EDGE) * _SCALE
    span = right - _EDGE * _SCALE
    places = [
        (
            _EDGE * _SCALE + span * index // (len(points) - 1),
            low - round(point * (low - _EDGE * _SCALE) / largest),
        )
        for index, point in enumerate(points)
    ]
    line = " ".join(f"{x} {y}" for x, y in places)
    return Markup(  # noqa: S704 - numbers only
        f'<svg class="spark" viewBox="0 0 {WIDTH * _SCALE} {HEIGHT * _SCALE}" width="{WIDTH}"'
        f' height="{HEIGHT}" aria-hidden="true" focusable="false">'
        f'<path class="area" d="M{_EDGE * _SCALE} {low}L{line}V{low}z"/>'
        f'<path class="line" d="M{line}"/>'
        f'<circle cx="{places[-1][0]}" cy="{places[-1][1]}" r="18"/></svg>'
    )


def _grouped(values: Sequence[Decimal]) -> list[Decimal]:
    """Add up runs of equal length, the last ones whole, so that at most so many are left."""
    size = -(-len(values) // POINTS_MAX)
    if size <= 1:
        return list(values)
    first = len(values) % size  # an incomplete run would look like a fall or a rise: leave it out
    return [
        sum(values[start : start + size], Decimal(0)) for start in range(first, len(values), size)
    ]
