"""Axes: the round numbers that stand beside a chart."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

STEPS_MAX: Final = 4
_ROUND: Final = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))


def ticks(largest: Decimal) -> tuple[Decimal, ...]:
    """Give an axis from 0 to at least ``largest``: two to ``STEPS_MAX`` equal, round steps.

    The first tick is 0, the last one is the top of the chart. Where there is nothing to show
    (``largest`` is zero or less) the axis goes to 1.
    """
    if largest <= 0:
        return Decimal(0), Decimal(1)
    magnitude = Decimal(1).scaleb((largest / STEPS_MAX).adjusted())
    step = next(
        round_ * magnitude for round_ in _ROUND if round_ * magnitude * STEPS_MAX >= largest
    )
    count = max(2, int((largest / step).to_integral_value(ROUND_CEILING)))
    return tuple(step * number for number in range(count + 1))
