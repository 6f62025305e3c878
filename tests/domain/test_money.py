"""Amounts keep all their digits on their way out of nano-dollars and back, however large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.money import EXACT, nanos_of_usd, usd, usd_sum, usd_text

nanos = st.integers(-(10**48), 10**48) | st.integers(-(10**12), 10**12)


@given(nanos)
def test_amounts_come_back_as_they_were(amount: int) -> None:
    assert nanos_of_usd(usd(amount)) == amount
    assert nanos_of_usd(usd_text(amount)) == amount
    assert f"{usd(amount):f}" == usd_text(amount)


@given(st.lists(nanos, max_size=8), nanos)
def test_amounts_are_added_and_taken_off_to_the_last_digit(
    amounts: list[int], another: int
) -> None:
    assert nanos_of_usd(usd_sum(map(usd, amounts))) == sum(amounts)
    assert nanos_of_usd(EXACT.subtract(usd_sum(map(usd, amounts)), usd(another))) == (
        sum(amounts) - another
    )


@pytest.mark.parametrize(
    "text",
    ["0.0000000001", f"0.{'0' * 120}1", f"1{'0' * 120}.0000000001", "1e999999", "NaN", "x", ""],
)
def test_what_is_no_whole_number_of_nano_dollars_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        nanos_of_usd(text)
