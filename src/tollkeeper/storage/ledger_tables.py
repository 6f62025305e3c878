"""Tables of a ledger as expressions: their columns have the same types in every engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.storage.columns import Column, Kind

if TYPE_CHECKING:
    import ibis.expr.types as ir

_TAG_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_IBIS_TYPES: Final[Mapping[Kind, dt.DataType]] = {
    Kind.TEXT: dt.String(nullable=False),
    Kind.INTEGER: dt.Int64(),
    Kind.FLAG: dt.Boolean(nullable=False),
    Kind.TIME: dt.Timestamp(scale=6, nullable=False),
    Kind.MONEY: dt.Decimal(38, 9),
    Kind.TAGS: dt.Map(dt.string, dt.string),
    Kind.JSON: dt.String(),
    Kind.NUMBERS: dt.Array(dt.int64),
}


def table(name: str, columns: Sequence[Column], **others: dt.DataType) -> ir.Table:
    """Give a table by its name; ``others`` are columns of types that no entry has."""
    kinds = {
        column.name: _IBIS_TYPES[column.kind].copy(nullable=column.nullable) for column in columns
    }
    return ibis.table({**kinds, **others}, name=name)


def within(table: ir.Table, bounds: Sequence[tuple[ir.Value, ir.Value]]) -> ir.BooleanValue:
    """Tell whether rows start within any of some bounds, of which the end is excluded."""
    started_at = table.started_at
    return ibis.or_(*((started_at >= begin) & (started_at < end) for begin, end in bounds))


def require_tag_key(key: str) -> None:
    """Raise ValueError for a key that no tag may have: it becomes a part of the SQL."""
    if not _TAG_KEY.fullmatch(key):
        raise ValueError("a tag's key is 1 to 64 letters, digits, '_', '.' or '-'")
