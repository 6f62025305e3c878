"""Copies of the entries that a finding may be about: a tenth of all, and few columns of these.

They are noted in the transaction that says how many of the first entries were looked at. Whether
an entry is one of many that are alike shows when all of its window are there. So each window that
new entries start in is looked at anew, and as long as some entries of a window were not looked at
yet, whoever reads takes all entries of that window as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.noted import WINDOW_S
from tollkeeper.ports import BOUND_PREFIX
from tollkeeper.storage.duckdb import quarter_hours
from tollkeeper.storage.ledger_tables import table
from tollkeeper.storage.noted_entries import NOTES, ROW, Note

if TYPE_CHECKING:
    import ibis.expr.types as ir

SLOT: Final = "noted_windows"
COUNT: Final = "noted"
"""The column that says how many entries were looked at."""

_FROM: Final = "noted_from"
_UNTIL: Final = "noted_until"

LEFT_MAX: Final = 100_000
"""Where more entries than these were not looked at yet, notes are of no use."""

_SPAN: Final = "rowid >= $first AND rowid < $after"
_NAMES: Final = ", ".join(column.name for column in ROW)
_NEVER: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive times are UTC here


def _number(seconds: int) -> str:
    return f"CAST(floor(epoch(started_at) / {seconds}) AS BIGINT)"


_WINDOW: Final = _number(WINDOW_S)
_STRETCH: Final = f"""
SELECT min(started_at), max(started_at), list(DISTINCT {_WINDOW}) FROM entries WHERE {_SPAN}
"""  # noqa: S608 - names of ours
_NEAR: Final = (
    f"started_at >= $from AND started_at <= $until AND {_WINDOW} IN (SELECT unnest($windows))"
)


def table_of(finding: str) -> str:
    """Name the table with the entries of a finding."""
    return f"noted_{finding}"


_TABLES: Final = {finding: table(table_of(finding), ROW) for finding in NOTES}


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integers", signature=((dt.string,), dt.Array(dt.int64))
)
def _integers(slot: str) -> object:
    """Stand for a list of whole numbers."""


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}moment", signature=((dt.string,), dt.Timestamp(scale=6))
)
def _moment(slot: str) -> object:
    """Stand for a moment in time."""


def together(entries: ir.Table, finding: str) -> ir.Table:
    """Give the noted entries, and all of the windows that are not looked at to their end."""
    names = [column.name for column in ROW]
    windows = _integers(SLOT).unnest().name("window_").as_table()
    noted = _TABLES[finding]
    noted = noted.anti_join(windows, _window_of(noted) == windows.window_)
    near = entries.filter(
        entries.started_at >= _moment(_FROM), entries.started_at <= _moment(_UNTIL)
    )
    near = near.semi_join(windows, _window_of(near) == windows.window_)
    return ibis.union(noted.select(*names), near.select(*names), distinct=False)


def _window_of(table: ir.Table) -> ir.IntegerValue:
    window: ir.IntegerValue = (table.started_at.epoch_seconds() // WINDOW_S).cast("int64")
    return window


def are_of_use(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Say whether all entries but a few were looked at."""
    return not quarter_hours.more_follow(cursor, COUNT, LEFT_MAX)


def open_windows(cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Give the values of the slots: the windows of entries that were not looked at yet."""
    first = quarter_hours.summed_entries(cursor, COUNT)
    near = _stretch(cursor, {"first": first, "after": 1 << 62})
    return {SLOT: near["windows"], _FROM: near["from"], _UNTIL: near["until"]}


def _stretch(cursor: duckdb.DuckDBPyConnection, span: dict[str, int]) -> dict[str, Any]:
    """Give the windows of some entries, and from when until when entries of these may start."""
    ((first, last, windows),) = cursor.execute(_STRETCH, span).fetchall()
    if first is None:
        return {"from": _NEVER, "until": _NEVER, "windows": []}
    bounds = cursor.execute(
        f"SELECT $from - INTERVAL {WINDOW_S} SECOND, $until + INTERVAL {WINDOW_S} SECOND",
        {"from": first, "until": last},
    ).fetchall()
    return {"from": bounds[0][0], "until": bounds[0][1], "windows": windows}


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = quarter_hours.STEP) -> None:
    """Look at the next entries, at most ``step``. Within a transaction."""
    first, after = quarter_hours.next_entries(cursor, COUNT, step)
    span = {"first": first, "after": after}
    values = {**_stretch(cursor, span), **span}
    for finding, note in NOTES.items():
        for statement in _statements(table_of(finding), note):
            bound = {name: value for name, value in values.items() if f"${name}" in statement}
            cursor.execute(statement, bound).fetchall()
    quarter_hours.count_summed(cursor, COUNT, after)


def _statements(name: str, note: Note) -> Iterator[str]:
    if not note.many:
        yield _added(name, f"{_SPAN} AND {note.where}")
        return
    near = f"rowid < $after AND {_NEAR}"
    yield f"DELETE FROM {name} WHERE {_NEAR}"  # noqa: S608 - names of ours
    several = (
        f"SELECT rowid FROM entries WHERE {near} AND {note.where}"  # noqa: S608 - names of ours
        f" WINDOW alike AS (PARTITION BY {_number(note.together_s)}, {note.alike})"
        f" QUALIFY {note.many}"
    )
    yield _added(name, f"{near} AND rowid IN ({several})")


def _added(name: str, where: str) -> str:
    return (
        f"INSERT INTO {name} BY NAME SELECT {_NAMES} FROM entries"  # noqa: S608 - names of ours
        f" WHERE {where} ORDER BY started_at"
    )
