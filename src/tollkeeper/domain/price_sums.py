"""What the calls of one price cost together: sums of quantities priced at once, exactly.

Calls that were priced under the same plan and in the same segment of it differ by nothing but
their counts, so their cost is the cost of the summed counts. It stays exact here, in price
units, and is rounded once by whoever adds several such sums up: each call's own cost was
rounded to whole nano-dollars, so both differ by half a nano-dollar a call at most.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tollkeeper.domain.money import PRICE_UNITS_PER_NANO, nanos_of_price_units
from tollkeeper.domain.price_plan import PricePlan
from tollkeeper.domain.usage import MEASURES


class Summed(NamedTuple):
    """An exact cost in price units; None where it is not known, and ``reason`` says why."""

    units: int | None
    reason: str = ""


def sum_price(
    plan: PricePlan, prompt_tokens: int, quantities: Mapping[str, int], requests: int
) -> Summed:
    """Price what ``requests`` calls used together.

    ``prompt_tokens`` is the prompt of any one of them: all lie in the same segment. Counts may
    be negative, where they take back what was booked.
    """
    if plan.reason:
        return Summed(None, plan.reason)
    weights = plan.weights[bisect_left(plan.thresholds, prompt_tokens)]
    total = plan.fee * requests
    for name, count in quantities.items():
        if name in weights:
            total += weights[name] * count
        elif count and name not in MEASURES:
            return Summed(None, f"unknown_dimension:{name}")
    return Summed(total * (PRICE_UNITS_PER_NANO // plan.per_nano))


def piece_price(plan: PricePlan, prompt_tokens: int, quantity: str) -> int | None:
    """Give what one piece of a quantity costs in price units; None where no price is known."""
    if plan.reason:
        return None
    weight = plan.weights[bisect_left(plan.thresholds, prompt_tokens)].get(quantity)
    return None if weight is None else weight * (PRICE_UNITS_PER_NANO // plan.per_nano)


def rounded_nanos(units: Iterable[int]) -> int:
    """Add exact amounts up and round once to whole nano-dollars."""
    return nanos_of_price_units(sum(units))
