"""Ledger entries as rows of SQLite, and rows as the port gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final

from tollkeeper.domain.errors import EntriesRejected
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.storage.columns import COLUMNS, COUNTS, TABLE, TOKEN_SUMS, Kind
from tollkeeper.storage.sqlite.wide_numbers import packed, unpacked

if TYPE_CHECKING:
    import ibis.expr.schema as sch

_EXACT: Final = Context(prec=90)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INT64: Final = 2**63
_NANOS_MAX: Final = 10**38
_YEAR_0001_US: Final = -62_135_596_800_000_000
_YEAR_9999_US: Final = 253_402_300_799_999_999

UNSTORABLE: Final = (OverflowError, UnicodeEncodeError)
"""What making and binding a row raises for a value that fits no column."""

_NAMES: Final = [column.name for column in COLUMNS]

INSERT: Final = (
    f"INSERT INTO {TABLE} ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608 - names of ours
    " ON CONFLICT (started_at, entry_id, part) DO NOTHING"
)


def row_of(entry: LedgerEntry) -> list[Any]:
    """Give an entry's values in the order of ``INSERT``. Raises one of ``UNSTORABLE``."""
    made: dict[str, Any] = {}
    values = entry._asdict()
    row = []
    for name, field, write in _WRITTEN:
        made[name] = cell = write(values[field]) if field else _derived(name, entry, made)
        row.append(cell)
    return row


def unstorable(entries: Sequence[LedgerEntry]) -> frozenset[str]:
    """Find the entries of a batch that cannot be stored, by trying each alone."""
    found = set()
    for entry in entries:
        try:
            for cell in row_of(entry):
                if isinstance(cell, str):
                    cell.encode()
        except UNSTORABLE:
            found.add(entry.entry_id)
    return frozenset(found)


def is_wide(row: Sequence[Any]) -> bool:
    """Tell whether any number of a row has more than 64 bits."""
    return any(type(row[place]) is bytes for place in _MONEY_PLACES)


def _derived(name: str, entry: LedgerEntry, made: Mapping[str, Any]) -> int:
    if name in TOKEN_SUMS:
        return _integer(sum(made[part] for part in TOKEN_SUMS[name])) or 0
    return COUNTS[name](entry)


def _same(value: Any) -> Any:
    return value


def _integer(value: int | None) -> int | None:
    if value is not None and not -_INT64 <= value < _INT64:
        raise OverflowError("a number of more than 64 bits")
    return value


def _time(value: int | None) -> int | None:
    if value is not None and not _YEAR_0001_US <= value <= _YEAR_9999_US:
        raise OverflowError("a time outside the years 1 to 9999")
    return value


def _money(nanos: int | None) -> int | bytes | None:
    if nanos is None:
        return None
    if not -_NANOS_MAX < nanos < _NANOS_MAX:
        raise OverflowError("an amount of more than 38 digits")
    return packed(nanos)


def _json(value: Mapping[str, Any] | str) -> str | None:
    """Write mappings as JSON; a text is JSON already, and "" means that there is none."""
    if isinstance(value, str):
        return value or None
    if not value:
        return "{}"
    return json.dumps(dict(value), separators=(",", ":"), ensure_ascii=False)


_WRITERS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.TEXT: _same,
    Kind.INTEGER: _integer,
    Kind.FLAG: _same,
    Kind.TIME: _time,
    Kind.MONEY: _money,
    Kind.TAGS: _json,
    Kind.JSON: _json,
}
_WRITTEN: Final = [(column.name, column.field, _WRITERS[column.kind]) for column in COLUMNS]
_MONEY_PLACES: Final = [place for place, column in enumerate(COLUMNS) if column.kind is Kind.MONEY]


# ------------------------------------------------------------------ what comes out


class Rounded(Exception):
    """A whole number came out as floating point: it needs more than 64 bits."""


def given(schema: sch.Schema, names: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Give rows as the port does. Raises Rounded where SQLite has not kept a number whole."""
    readers = [(place, _reader(schema[name])) for place, name in enumerate(names)]
    needed = [(place, reader) for place, reader in readers if reader is not None]
    found = []
    for row in rows:
        cells = list(row)
        for place, reader in needed:
            if cells[place] is not None:
                cells[place] = reader(cells[place])
        found.append(dict(zip(names, cells, strict=True)))
    return found


def _reader(kind: Any) -> Callable[[Any], Any] | None:
    if kind.is_decimal():
        return _usd
    if kind.is_timestamp():
        return _moment
    if kind.is_boolean():
        return bool
    if kind.is_integer():
        return _whole
    return json.loads if kind.is_map() else None


def _usd(nanos: Any) -> Decimal:
    return _EXACT.scaleb(Decimal(_whole(nanos)), -9)


def _whole(cell: Any) -> int:
    if type(cell) is int:
        return cell
    if type(cell) is float:
        raise Rounded
    return unpacked(cell)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def rows_of(entries: Sequence[LedgerEntry]) -> list[list[Any]]:
    """Give entries as rows. Raises EntriesRejected when one fits no column."""
    try:
        return [row_of(entry) for entry in entries]
    except UNSTORABLE as error:
        raise rejected(entries, error) from error


def rejected(entries: Sequence[LedgerEntry], error: Exception) -> EntriesRejected:
    """Say which entries fit no column."""
    ids = unstorable(entries)
    return EntriesRejected(
        f"{len(ids)} of {len(entries)} entries fit no column ({type(error).__name__})",
        entry_ids=ids,
    )
