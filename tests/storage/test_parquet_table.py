"""Rows come back from a Parquet file with their types and to the nano-dollar."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

from tollkeeper.storage.parquet_table import parquet_bytes


def test_types_and_values_survive() -> None:
    rows = [
        {
            "team": "core",
            "requests": 2**62,
            "cost_usd": Decimal("12345678901234567890.123456789"),
            "streamed": True,
            "at": datetime(2026, 11, 1, 12, 0, 0, 1, tzinfo=UTC),
            "mixed": 1,
            "ratio": Decimal(1) / Decimal(3),
        },
        {"team": None, "cost_usd": None, "streamed": False, "mixed": "x"},
    ]
    columns = ["team", "requests", "cost_usd", "streamed", "at", "mixed", "ratio", "empty"]
    table = pq.read_table(io.BytesIO(parquet_bytes(columns, rows)))
    assert table.column_names == columns
    assert table.schema.field("cost_usd").type == pa.decimal128(38, 9)
    assert table.schema.field("requests").type == pa.int64()
    assert table.to_pylist() == [
        {**rows[0], "mixed": "1", "ratio": Decimal("0.333333333"), "empty": None},
        {
            "team": None,
            "requests": None,
            "cost_usd": None,
            "streamed": False,
            "at": None,
            "mixed": "x",
            "ratio": None,
            "empty": None,
        },
    ]


def test_sums_beyond_64_bits_and_tags_keep_their_values() -> None:
    rows = [{"tokens": 2**63, "tags": {"a": "\u00e9\"'"}}, {"tokens": None, "tags": {}}]
    table = pq.read_table(io.BytesIO(parquet_bytes(["tokens", "tags"], rows)))
    assert table.schema.field("tokens").type == pa.decimal128(38, 0)
    assert table.to_pylist() == [
        {"tokens": Decimal(2**63), "tags": '{"a": "\u00e9\\"\'"}'},
        {"tokens": None, "tags": "{}"},
    ]


def test_no_rows_make_a_file_with_its_columns() -> None:
    table = pq.read_table(io.BytesIO(parquet_bytes(["team", "cost_usd"], [])))
    assert table.column_names == ["team", "cost_usd"]
    assert table.num_rows == 0
