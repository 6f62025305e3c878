"""A price plan: the prices of one model under fixed conditions, ready to be multiplied.

A plan holds one integer weight per quantity and long-context segment, so a cost is a sum of
products that is rounded once. Weights are in price units, or in the largest whole number of
them that divides all weights of the plan, which keeps the sums small. A plan says until when
it may be used.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import NamedTuple

from tollkeeper.domain.money import (
    PRICE_UNITS_PER_NANO,
    PRICE_UNITS_PER_USD,
    nanos_of_price_units,
    price_units,
)
from tollkeeper.domain.price_data import PER, REQUESTS
from tollkeeper.domain.usage import INPUT_TOKENS, MEASURES, Usage

_COST_DIGITS_MAX = 40
_INPUT = frozenset(INPUT_TOKENS)
_new = tuple.__new__  # half the time of calling the class, on every call that is made


class Priced(NamedTuple):
    """What a usage costs.

    ``nanos`` is None when the cost is not known; ``reason`` then says why in one word, with
    a detail behind a colon ("unknown_model", "unknown_tier:scale"). ``key`` names the price
    that was found and the rule that found it, for people.
    """

    nanos: int | None
    reason: str
    key: str


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of an explained cost: ``count`` x ``price`` / ``per`` = ``cost``, in USD.

    ``priced_as`` names the quantity whose price was applied. ``price`` and ``cost`` are None
    where no price is known. The costs are exact, except that one which never ends (a third
    of something) is written with forty decimals.
    """

    quantity: str
    count: int
    priced_as: str
    price: str | None
    per: int
    cost: str | None


class Rate(NamedTuple):
    """The price of one quantity: USD for ``PER[priced_as]`` pieces, and whose price it is."""

    price: Decimal
    priced_as: str


@dataclass(frozen=True, slots=True)
class PricePlan:
    """Prices from ``since_us`` to before ``until_us``; ``segments`` start above ``thresholds``
    in growing order.

    ``reason`` is set where no price applies at all. ``keys``, ``rates`` and ``weights`` have
    one element for each segment, one more than there are thresholds. ``per_nano`` units of
    the weights and of the ``fee`` make one nano-dollar.
    """

    since_us: int
    until_us: int
    keys: tuple[str, ...]
    reason: str = ""
    thresholds: tuple[int, ...] = ()
    rates: tuple[Mapping[str, Rate], ...] = ({},)
    weights: tuple[Mapping[str, int], ...] = ({},)
    fee: int = 0
    per_nano: int = PRICE_UNITS_PER_NANO

    def price(self, usage: Usage) -> Priced:
        """Price the quantities of a usage, without its components."""
        quantities, thresholds = usage.quantities, self.thresholds
        segment = 0
        if thresholds:
            prompt = 0
            for name in quantities:
                if name in _INPUT:
                    prompt += quantities[name]
            segment = bisect_left(thresholds, prompt)
        key = self.keys[segment]
        if self.reason or usage.fault:
            return Priced(None, self.reason or f"inconsistent_usage:{usage.fault}", key)
        weights = self.weights[segment]
        total = self.fee
        try:
            for name, count in quantities.items():
                if count < 0:
                    return Priced(None, f"inconsistent_usage:negative_{name}", key)
                total += weights[name] * count
        except KeyError:
            return self._partly_unpriced(usage, segment)
        per_nano = self.per_nano
        nanos = total if per_nano == 1 else nanos_of_price_units(total, per_nano)
        return _new(Priced, (nanos, "", key))

    def _partly_unpriced(self, usage: Usage, segment: int) -> Priced:
        """Name the quantity without a price; one that was not used does not matter.

        Nor does one that is only measured, where it is not what the price is for.
        """
        weights = self.weights[segment]
        used = {
            name: count
            for name, count in usage.quantities.items()
            if count and (name in weights or name not in MEASURES)
        }
        for name in used:
            if name not in weights:
                return Priced(None, f"unknown_dimension:{name}", self.keys[segment])
        return self.price(usage._replace(quantities=used))

    def explain(self, usage: Usage) -> list[PriceLine]:
        """Give one line for each quantity that was used, and one for a fee per request."""
        segment = self._segment(usage)
        priced = self.rates[segment]
        lines = [
            self._line(segment, name, count)
            for name, count in usage.quantities.items()
            if count and (name in priced or name not in MEASURES)
        ]
        if self.fee:
            lines.append(self._line(segment, REQUESTS, 1))
        return lines

    def _segment(self, usage: Usage) -> int:
        return bisect_left(self.thresholds, usage.prompt_tokens())

    def _line(self, segment: int, name: str, count: int) -> PriceLine:
        rate = self.rates[segment].get(name)
        if rate is None:
            return PriceLine(name, count, "", None, PER.get(name, 1), None)
        per = PER[rate.priced_as]
        cost = Fraction(rate.price) * count / per
        return PriceLine(name, count, rate.priced_as, plain(rate.price), per, _exact(cost))


def weights_of(
    rates: Sequence[Mapping[str, Rate]],
) -> tuple[tuple[Mapping[str, int], ...], int]:
    """Turn the prices of each segment into weights for one piece, and say how many are a nano.

    Raises ValueError for a price too fine.
    """
    weights = [
        {name: price_units(str(rate.price), PER[rate.priced_as]) for name, rate in each.items()}
        for each in rates
    ]
    unit = gcd(PRICE_UNITS_PER_NANO, *(weight for each in weights for weight in each.values()))
    shared = tuple({name: weight // unit for name, weight in each.items()} for each in weights)
    return shared, PRICE_UNITS_PER_NANO // unit


def plain(price: Decimal) -> str:
    """Write a price without an exponent, with at least two decimals."""
    text = f"{price.normalize():f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def _exact(cost: Fraction) -> str:
    """Write a cost with all its decimals, or forty of them if it never ends."""
    units = cost * PRICE_UNITS_PER_USD
    if units.denominator == 1 and units.numerator % 9 == 0:
        digits, value = 30, units.numerator // 9
    else:
        digits = _COST_DIGITS_MAX
        value = round(cost * 10**digits)  # half to even
    text = f"{value:0{digits + 1}d}"
    whole, decimals = text[:-digits], text[-digits:].rstrip("0")
    return f"{whole}.{decimals:0<2}"
