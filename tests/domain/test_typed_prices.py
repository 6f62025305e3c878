"""What people type: a price in USD, a discount in per cent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.money import PRICE_EXPONENT_MAX, plain_price, price_units
from tollkeeper.domain.price_rules import basis_points_of


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("1.25", "1.25"),
        (" 4e-1 ", "0.4"),
        (0, "0"),
        (0.5, "0.5"),
        ("1E+3", "1000"),
        ("0.041666666666666664", "0.041666666666666664"),
    ],
)
def test_a_price_keeps_every_digit(typed: object, plain: str) -> None:
    assert plain_price(typed) == plain


@pytest.mark.parametrize(
    "typed",
    [
        *("", "free", "$1", "-1", "NaN", "Infinity", "1e31", "1e999999999", "1e-31", "1,5"),
        *(True, False, None, [1], {"usd": 1}, float("nan"), float("inf")),
    ],
)
def test_what_is_no_price_is_none(typed: object) -> None:
    assert plain_price(typed) is None


@given(st.decimals(0, 10**9, places=12))
def test_a_plain_price_is_the_same_number_and_can_be_used(price: Decimal) -> None:
    plain = plain_price(str(price))
    assert plain is not None
    assert Decimal(plain) == price
    assert "e" not in plain.lower()
    assert price_units(plain, 1_000_000) >= 0
    assert len(plain) <= 2 * PRICE_EXPONENT_MAX + 2


@pytest.mark.parametrize(
    ("typed", "points"),
    [
        *(("12.5%", 1250), (" 12.5 % ", 1250), ("0", 0), ("-5", -500), ("0.01%", 1)),
        *(("100", 10_000), ("12.345", None), ("", None), ("NaN", None), ("1e3", None)),
        *(("٣", None), ("1000%", None), ("5%%", None), ("5 percent", None)),
    ],
)
def test_a_discount_is_read_exactly_or_not_at_all(typed: str, points: int | None) -> None:
    assert basis_points_of(typed) == points
