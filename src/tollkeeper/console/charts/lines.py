"""Lines over time, for values that do not add up: one for each series, with gaps where none is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from markupsafe import Markup

from tollkeeper.console.charts.scale import ticks
from tollkeeper.console.charts.stacked_bars import DAY_WIDTH, HEIGHT, Series, StackedBars


def lines(series: Sequence[Series], steps: int) -> StackedBars:
    """Draw the series in a picture that stretches to any size, as ``stacked_bars`` does.

    What is unknown (None) interrupts a line; a value without neighbours is a short dash.
    """
    known = [value for each in series for value in each.values if value is not None]
    axis = ticks(max(known, default=Decimal(0)))
    paths = "".join(
        f'<path class="bar line s{each.slot}" d="{path}"/>'
        for each in series
        if (path := _path(each.values, axis[-1]))
    )
    return StackedBars(
        Markup(  # noqa: S704 - numbers only
            f'<svg viewBox="0 0 {steps * DAY_WIDTH} {HEIGHT}" preserveAspectRatio="none"'
            f' aria-hidden="true" focusable="false">{_grid(len(axis) - 1, steps)}{paths}'
            f'<rect class="cursor" x="-{DAY_WIDTH}" width="{DAY_WIDTH}" height="{HEIGHT}"/></svg>'
        ),
        tuple(reversed(axis)),
    )


def _path(values: Sequence[Decimal | None], top: Decimal) -> str:
    pieces = []
    drawing = False
    for step, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        height = round(max(value, Decimal(0)) * HEIGHT / top)
        place = f"{step * DAY_WIDTH + DAY_WIDTH // 2} {HEIGHT - height}"
        alone = not drawing and (step + 1 == len(values) or values[step + 1] is None)
        pieces.append(f"{'L' if drawing else 'M'}{place}{'h12' if alone else ''}")
        drawing = True
    return "".join(pieces)


def _grid(ticks_above_zero: int, steps: int) -> str:
    heights = (
        HEIGHT - round(HEIGHT * tick / ticks_above_zero) for tick in range(1, ticks_above_zero + 1)
    )
    return "".join(f'<path class="grid" d="M0 {y}H{steps * DAY_WIDTH}"/>' for y in heights)
