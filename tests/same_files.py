"""Reads CSV and Parquet files as they were downloaded, and holds them against each other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq

ROUNDED = Decimal("0.0000000005")
"""Ratios are rounded to nine digits in Parquet; amounts have no more."""


def csv_rows(text: str) -> list[dict[str, str]]:
    """Read a CSV file."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def parquet_rows(body: bytes) -> list[dict[str, Any]]:
    """Read a Parquet file."""
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(body)).to_pylist()
    return rows


def require_same(
    cells: Sequence[Mapping[str, str]], values: Sequence[Mapping[str, object]]
) -> None:
    """Fail unless a CSV file and a Parquet file say the same, row by row."""
    assert len(cells) == len(values)
    for row, typed in zip(cells, values, strict=True):
        assert row.keys() == typed.keys()
        for name, cell in row.items():
            assert is_same(name, cell, typed[name]), (name, cell, typed[name])


def is_same(name: str, cell: str, value: object) -> bool:
    """Tell whether a cell of a CSV file is what a typed value is."""
    if value is None:
        return cell == ""
    if isinstance(value, bool):
        return cell == str(value).lower()
    if isinstance(value, Decimal) and not name.endswith(("usd", "Cost", "Value")):
        return abs(Decimal(cell) - value) <= ROUNDED
    if isinstance(value, int | Decimal):
        return Decimal(cell) == value
    if isinstance(value, datetime):
        return datetime.fromisoformat(cell) == value
    text = str(value)
    if text.startswith("{"):
        return bool(json.loads(cell) == json.loads(text))
    return cell in {text, f"'{text}"}  # as a spreadsheet would take it for a formula
