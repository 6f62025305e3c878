"""A report's rows as a Parquet file: typed columns, money exact."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

_TYPES: Final = (
    (bool, pa.bool_()),  # before int, which it is as well
    (int, pa.int64()),
    (Decimal, pa.decimal128(38, 9)),
    (datetime, pa.timestamp("us", tz="UTC")),
)
_WIDE: Final = pa.decimal128(38, 0)
_INT64_END: Final = 2**63
_NANO: Final = Decimal("0.000000001")
_EXACT: Final = Context(prec=60)
_AS_FOUND: Final[Mapping[str, type]] = {}


def parquet_bytes(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, object]],
    kinds: Mapping[str, type] = _AS_FOUND,
) -> bytes:
    """Write rows as a Parquet file.

    A column's type follows its values: true or false, 64-bit integer, decimal with nine
    digits after the point (ratios are rounded to them), UTC time, text; text where there is
    no value at all. Integers that need more than 64 bits make a column of decimals without
    digits after the point. Mappings become JSON, and values of several kinds in one column
    texts. ``kinds`` says what a column is where it has no value.
    """
    table = pa.table(
        {name: _array([row.get(name) for row in rows], kinds.get(name)) for name in columns}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _array(values: Sequence[object], otherwise: type | None) -> pa.Array:
    known = [value for value in values if value is not None]
    for kind, arrow in _TYPES:
        if all(type(value) is kind for value in known) if known else kind is otherwise:
            if kind is Decimal:
                values = [_nine_digits(value) for value in values]
            if kind is int and any(isinstance(value, int) and _is_wide(value) for value in known):
                arrow, values = (
                    _WIDE,
                    [None if value is None else Decimal(str(value)) for value in values],
                )
            return pa.array(values, arrow)
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _is_wide(value: int) -> bool:
    return not -_INT64_END <= value < _INT64_END


def _text(value: object) -> str:
    return json.dumps(dict(value), ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _nine_digits(value: object) -> Decimal | None:
    return value.quantize(_NANO, context=_EXACT) if isinstance(value, Decimal) else None
