"""Numbers as people read them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.reports import formatting as f

D = Decimal
amounts = st.decimals(
    min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False, places=9
)


@pytest.mark.parametrize(
    ("amount", "text", "tile", "exact", "full"),
    [
        (None, "—", "—", "—", "—"),
        ("0", "$0.00", "$0.00", "$0.00", "$0.00"),
        ("12216.483910274", "$12,216", "$12,216", "$12216.48", "$12,216.483910274"),
        ("184.27", "$184.27", "$184.27", "$184.27", "$184.27"),
        ("184.2", "$184.20", "$184.20", "$184.20", "$184.20"),
        ("0.042", "$0.042", "$0.042", "$0.042", "$0.042"),
        ("0.5", "$0.500", "$0.500", "$0.50", "$0.50"),
        ("0.000052", "<$0.01", "<$0.01", "$0.000052", "$0.000052"),
        ("0.000000001", "<$0.01", "<$0.01", "$0.000000001", "$0.000000001"),
        ("0.0123456", "$0.012", "$0.012", "$0.0123", "$0.0123456"),
        ("0.9996", "$1.00", "$1.00", "$1.00", "$0.9996"),
        ("999.996", "$1,000", "$1,000", "$1,000.00", "$999.996"),
        ("1240000", "$1,240,000", "$1.24M", "$1,240,000.00", "$1,240,000.00"),
        ("999999.6", "$1,000,000", "$1.00M", "$999,999.60", "$999,999.60"),
        ("-0.000052", "-<$0.01", "-<$0.01", "-$0.000052", "-$0.000052"),
        ("-12.4", "-$12.40", "-$12.40", "-$12.40", "-$12.40"),
        ("4183027000000", "$4,183,027,000,000", "$4.18T", "$4,183,027,000,000.00", None),
    ],
)
def test_money(amount: str | None, text: str, tile: str, exact: str, full: str | None) -> None:
    value = None if amount is None else D(amount)
    assert f.money(value) == text
    assert f.money_tile(value) == tile
    assert f.money_exact(value).replace(",", "") == exact.replace(",", "")
    if full is not None:
        assert f.money_full(value) == full


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0"),
        ("0.5", "$0.5"),
        ("0.0001", "$0.0001"),
        ("0.0000025", "$0.0000025"),
        ("0.00002", "$0.00002"),
        ("0.000000001", "$0.000000001"),
        ("200", "$200"),
        ("800", "$800"),
        ("1200", "$1.2K"),
        ("2000", "$2K"),
        ("10000", "$10K"),
        ("100000", "$100K"),
        ("1500000", "$1.5M"),
        ("-200", "-$200"),
    ],
)
def test_money_on_an_axis(amount: str, text: str) -> None:
    assert f.money_axis(D(amount)) == text


def test_a_column_has_one_precision() -> None:
    amounts = [D("12216.4"), D("184.27"), None, D("0.2"), D(0), D("-3.6")]
    assert f.money_column(amounts) == ["$12,216", "$184", "—", "<$1", "$0", "-$4"]
    assert f.money_column([D("184.27"), D("0.2"), D("0.001")]) == ["$184.27", "$0.20", "<$0.01"]
    assert f.money_column([D("0.042"), D("0.0001")]) == ["$0.042", "<$0.001"]
    assert f.money_column([D("0.0000521"), D("0.000001")]) == ["$0.0000521", "$0.0000010"]
    assert f.money_column([D(0)]) == ["$0.00"]
    assert f.money_column([None]) == ["—"]
    assert f.money_column([]) == []
    assert f.money_column([D(2220), D(420), D(0)], cents=True) == ["$2,220.00", "$420.00", "$0.00"]


def test_small_amounts_of_a_column_have_the_precision_of_the_middle_one() -> None:
    amounts = [D("0.352"), D("0.017"), D("0.0089"), D("0.00001"), None, D(0)]
    assert f.money_column_exact(amounts) == [
        *("$0.3520", "$0.0170", "$0.0089", "<$0.0001", "—", "$0.0000")
    ]
    assert f.money_column_exact([D(12), D("1.5"), D("0.3")]) == ["$12.00", "$1.50", "$0.30"]
    assert f.money_column_exact([None]) == ["—"]


@given(amounts)
def test_the_full_amount_is_the_amount(amount: Decimal) -> None:
    text = f.money_full(amount)
    assert D(text.replace("$", "").replace(",", "")) == amount


@given(amounts)
def test_money_is_never_zero_when_something_was_spent(amount: Decimal) -> None:
    for text in (f.money(amount), f.money_exact(amount), f.money_tile(amount)):
        digits = text.strip("-<$KMBT").replace(",", "")
        assert (D(digits) == 0) == (amount == 0)
        assert ("-" in text) == (amount < 0)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "—"),
        (0, "0"),
        (982, "982"),
        (999, "999"),
        (1_000, "1.00K"),
        (76_650, "76.6K"),
        (382_000, "382K"),
        (999_499, "999K"),
        (999_500, "1.00M"),
        (4_183_027, "4.18M"),
        (12_000_000_000, "12.0B"),
        (2**62, "4,611,686T"),
        (-1_500, "-1.50K"),
    ],
)
def test_counts(number: int | None, text: str) -> None:
    assert f.count(number) == text


def test_full_counts() -> None:
    assert [f.count_full(number) for number in (None, 0, 4_183_027)] == ["—", "0", "4,183,027"]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "—"),
        ("0", "0%"),
        ("0.004", "<1%"),
        ("0.26", "26%"),
        ("0.255", "26%"),
        ("0.9999", ">99%"),
        ("1", "100%"),
    ],
)
def test_shares(part: str | None, text: str) -> None:
    assert f.share(None if part is None else D(part)) == text


@pytest.mark.parametrize(
    ("now", "before", "direction", "text"),
    [
        ("117", "100", "up", "17%"),
        ("92", "100", "down", "8%"),
        ("100.4", "100", "flat", "0%"),
        ("100.5", "100", "up", "1%"),
        ("10", "0", "new", "new"),
        ("0", "0", "flat", "0%"),
        ("0", "10", "down", "100%"),
        ("1099", "100", "up", "999%"),
        ("1100", "100", "up", "11x"),
        ("5000", "100", "up", "50x"),
        ("150000", "100", "up", "1.50Kx"),
        ("-5000", "100", "down", "5.10K%"),
        (None, "10", "unknown", "—"),
        ("10", None, "unknown", "—"),
    ],
)
def test_changes(now: str | None, before: str | None, direction: str, text: str) -> None:
    left, right = (None if amount is None else D(amount) for amount in (now, before))
    ratio = (left - right) / right if left is not None and right else None
    found = f.change(ratio, now=left, before=right)
    assert (found.direction, found.text) == (direction, text)
    assert found.words


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (None, "—"),
        (0, "0 ms"),
        (340, "340 ms"),
        (999, "999 ms"),
        (1_000, "1.00 s"),
        (2_414, "2.41 s"),
        (9_994, "9.99 s"),
        (9_996, "10.0 s"),
        (35_240, "35.2 s"),
        (59_949, "59.9 s"),
        (59_951, "1 min 00 s"),
        (252_000, "4 min 12 s"),
        (3_599_400, "59 min 59 s"),
        (3_599_600, "1 h 00 min"),
        (11_100_000, "3 h 05 min"),
    ],
)
def test_durations(duration_ms: int | None, text: str) -> None:
    assert f.duration(duration_ms) == text


def test_stretches_of_days() -> None:
    assert f.days(date(2026, 10, 23), date(2026, 11, 21)) == "Oct 23 \u2013 Nov 21, 2026"
    assert f.days(date(2026, 11, 1), date(2026, 11, 21)) == "Nov 1 \u2013 21, 2026"
    assert f.days(date(2025, 12, 31), date(2026, 1, 1)) == "Dec 31, 2025 \u2013 Jan 1, 2026"
    assert f.days(date(2026, 11, 7), date(2026, 11, 7)) == "Nov 7, 2026"
