"""Ledger entries as one Arrow table: what DuckDB, ClickHouse and Parquet files are fed with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.storage.columns import COLUMNS, COUNTS, TOKEN_SUMS, Kind

_MONEY: Final = pa.decimal128(38, 9)
_EXACT: Final = Context(prec=60)
_YEAR_0001_US: Final = -62_135_596_800_000_000
_YEAR_9999_US: Final = 253_402_300_799_999_999

UNSTORABLE: Final = (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError)
"""What building raises for a value that fits no column (an integer of 65 bits, half a
surrogate pair). ``ArrowInvalid`` is a ValueError, so that one is covered as well."""


def arrow_table(entries: Sequence[LedgerEntry]) -> pa.Table:
    """Build the columns of a batch of one entry or more.

    Raises one of ``UNSTORABLE`` when an entry holds a value that no column can hold.
    """
    fields = dict(zip(LedgerEntry._fields, zip(*entries, strict=True), strict=True))
    arrays = {
        column.name: _ARRAYS[column.kind](fields[column.field])
        for column in COLUMNS
        if column.field
    }
    for name, parts in TOKEN_SUMS.items():
        arrays[name] = reduce(pc.add_checked, (arrays[part] for part in parts))
    for name, counts in COUNTS.items():
        arrays[name] = pa.array([counts(entry) for entry in entries], pa.int64())
    return pa.table(arrays)


def unstorable(entries: Sequence[LedgerEntry]) -> frozenset[str]:
    """Find the entries of a batch that cannot be stored, by trying each alone."""
    found = set()
    for entry in entries:
        try:
            arrow_table([entry])
        except UNSTORABLE:
            found.add(entry.entry_id)
    return frozenset(found)


def _texts(values: Sequence[str]) -> pa.Array:
    return pa.array(values, pa.string())


def _integers(values: Sequence[int | None]) -> pa.Array:
    return pa.array(values, pa.int64())


def _flags(values: Sequence[bool]) -> pa.Array:
    return pa.array(values, pa.bool_())


def _times(values: Sequence[int | None]) -> pa.Array:
    known = [value for value in values if value is not None]
    if known and (min(known) < _YEAR_0001_US or max(known) > _YEAR_9999_US):
        raise OverflowError("a time outside the years 1 to 9999")
    return pa.array(values, pa.int64()).cast(pa.timestamp("us"))


def _money(values: Sequence[int | None]) -> pa.Array:
    """Turn nano-dollars into decimals without making a Decimal of each.

    A decimal128 of scale 0 is the same 128-bit integer as one of scale 9 that is 10^9 times
    smaller, so the nanos are cast once and their buffer is read at the other scale.
    """
    try:
        nanos = pa.array(values, pa.int64()).cast(pa.decimal128(38, 0))
    except OverflowError:  # beyond nine billion dollars: slower, still exact
        return pa.array(
            [None if value is None else _EXACT.scaleb(Decimal(value), -9) for value in values],
            _MONEY,
        )
    return pa.Array.from_buffers(_MONEY, len(nanos), nanos.buffers())


def _tags(values: Sequence[Mapping[str, str]]) -> pa.Array:
    offsets = [0]
    keys: list[str] = []
    texts: list[str] = []
    for tags in values:
        if tags:
            keys.extend(tags)
            texts.extend(tags.values())
        offsets.append(len(keys))
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(keys, pa.string()), pa.array(texts, pa.string())
    )


def _jsons(values: Sequence[Mapping[str, int] | str]) -> pa.Array:
    """Write mappings as JSON; a text is JSON already, and "" means that there is none."""
    return pa.array(
        [
            (value or None)
            if isinstance(value, str)
            else json.dumps(dict(value), separators=(",", ":"))
            if value
            else "{}"
            for value in values
        ],
        pa.string(),
    )


_ARRAYS: Final[Mapping[Kind, Callable[[Any], pa.Array]]] = {
    Kind.TEXT: _texts,
    Kind.INTEGER: _integers,
    Kind.FLAG: _flags,
    Kind.TIME: _times,
    Kind.MONEY: _money,
    Kind.TAGS: _tags,
    Kind.JSON: _jsons,
}
