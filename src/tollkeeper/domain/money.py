"""Money as whole nano-dollars, and the only place that rounds.

One nano-dollar is 1e-9 USD. Amounts are plain ``int``; a ``Decimal`` appears only
where people or engines read them, a ``float`` never.

Prices are finer than money: a price of one quantity is an integer of *price units*,
1e-30 / 9 USD each. Every published price is a whole number of them (the 9 makes
per-hour prices, which are divided by 3600, terminate), so a cost is an exact integer
until it is rounded here, once, half to even.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from fractions import Fraction
from functools import reduce

NANOS_PER_USD = 10**9
PRICE_UNITS_PER_USD = 9 * 10**30
PRICE_UNITS_PER_NANO = PRICE_UNITS_PER_USD // NANOS_PER_USD
PRICE_EXPONENT_MAX = 30
"""No price is a number of more digits before its point, or begins further behind it."""

EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])
"""Amounts are added and taken off in it: all their digits stay, however large they are."""


def nanos_of_price_units(units: int, per_nano: int = PRICE_UNITS_PER_NANO) -> int:
    """Round an exact cost to whole nano-dollars, half to even.

    ``per_nano`` tells how many units make a nano-dollar, where they are larger ones.
    """
    nanos, rest = divmod(units, per_nano)
    rest += rest
    if rest > per_nano or (rest == per_nano and nanos & 1):
        nanos += 1
    return nanos


def price_units(price_usd: str, per: int = 1) -> int:
    """Give the price of one quantity in price units, exactly.

    ``price_usd`` is a decimal string for ``per`` quantities ("2.50" per 1,000,000).
    Raises ValueError for anything that is not a finite decimal of zero or more, and
    for a price that is finer than a price unit.
    """
    try:
        price = Decimal(price_usd)
    except InvalidOperation:
        raise ValueError(f"not a decimal number: {price_usd!r}") from None
    if not price.is_finite() or price < 0:
        raise ValueError(f"a price is zero or more: {price_usd!r}")
    exact = Fraction(price) * PRICE_UNITS_PER_USD / per
    if exact.denominator != 1:
        raise ValueError(f"finer than a price unit: {price_usd!r} per {per}")
    return exact.numerator


def plain_price(typed: object) -> str | None:
    """Write a price that somebody typed, in USD, without an exponent: "4e-1" is "0.4".

    None for what is no price: no number, not finite, below zero, or absurdly large or small.
    """
    if isinstance(typed, bool):
        return None
    try:
        price = Decimal(str(typed).strip())
    except InvalidOperation:
        return None
    if not price.is_finite() or price < 0 or abs(price.adjusted()) > PRICE_EXPONENT_MAX:
        return None
    return format(price, "f")


def usd(nanos: int) -> Decimal:
    """Give an amount in USD with exactly nine decimals."""
    return Decimal(nanos).scaleb(-9, EXACT)


def usd_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Add up amounts to the last digit, however large they are."""
    return reduce(EXACT.add, amounts, Decimal(0))


def usd_text(nanos: int) -> str:
    """Write an amount as a plain decimal string in USD: ``"0.000052000"``."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS_PER_USD)
    return f"{sign}{whole}.{rest:09d}"


def nanos_of_usd(amount: str | Decimal | int) -> int:
    """Read a USD amount. Raises ValueError if it is not a whole number of nano-dollars."""
    try:
        nanos = Decimal(amount).scaleb(9, EXACT)
    except (DecimalException, TypeError):
        raise ValueError(f"not an amount: {amount!r}") from None
    if not nanos.is_finite() or nanos != nanos.to_integral_value():
        raise ValueError(f"not a whole number of nano-dollars: {amount!r}")
    return int(nanos)
