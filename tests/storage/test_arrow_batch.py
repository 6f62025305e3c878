"""The Arrow table that engines are fed with."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_entries import ledger_entry
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.storage.arrow_batch import UNSTORABLE, arrow_table, unstorable
from tollkeeper.storage.columns import COLUMNS, COUNTS, TOKEN_SUMS

amounts = st.none() | st.integers(-(10**28), 10**28) | st.integers(-(2**64), 2**64)


def test_every_field_of_an_entry_has_exactly_one_column() -> None:
    filled = [column.field for column in COLUMNS if column.field]
    assert sorted(filled) == sorted(LedgerEntry._fields)
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert {column.name for column in COLUMNS if not column.field} == {*TOKEN_SUMS, *COUNTS}


@given(st.lists(amounts, min_size=1, max_size=5))
def test_money_is_the_same_number_nine_digits_lower(nanos: list[int | None]) -> None:
    table = arrow_table([ledger_entry(cost_nanos=amount) for amount in nanos])
    assert table.schema.field("cost_usd").type == pa.decimal128(38, 9)
    expected = [None if amount is None else Decimal(f"{amount}E-9") for amount in nanos]
    assert table["cost_usd"].to_pylist() == expected


def test_tags_and_units_keep_their_order_and_emptiness() -> None:
    table = arrow_table(
        [
            ledger_entry(tags={"b": "1", "a": ""}, units={"pages": 2}),
            ledger_entry(tags={}, units={}),
            ledger_entry(tags={"": "x"}),
        ]
    )
    assert table["tags"].to_pylist() == [[("b", "1"), ("a", "")], [], [("", "x")]]
    assert table["units"].to_pylist() == ['{"pages":2}', "{}", "{}"]


def test_no_raw_usage_is_null() -> None:
    table = arrow_table([ledger_entry(usage_raw=""), ledger_entry(usage_raw="not json")])
    assert table["usage_raw"].to_pylist() == [None, "not json"]


def test_the_entries_that_fit_no_column_are_found() -> None:
    good = [ledger_entry() for _ in range(3)]
    bad = [ledger_entry(duration_ms=2**63), ledger_entry(tags={"a": "\udfff"})]
    batch = [good[0], bad[0], good[1], bad[1], good[2]]
    with pytest.raises(UNSTORABLE):
        arrow_table(batch)
    assert unstorable(batch) == {entry.entry_id for entry in bad}
    assert unstorable(good) == frozenset()
