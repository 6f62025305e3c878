"""Numbers of the entries that a finding may be about, in SQLite: a tenth of all.

As in other engines, each window that new entries start in is looked at anew, and all entries are
taken of a window as long as some of it were not looked at yet (see ``storage.noted_entries``).
Entries are only ever added, so what is noted once stays.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.noted import NOTED, WINDOW_S
from tollkeeper.ports import BOUND_PREFIX
from tollkeeper.storage.noted_entries import NOTES, Note
from tollkeeper.storage.sqlite import cache_gaps, finer_quarter_hours, quarter_hours
from tollkeeper.storage.sqlite.snapshots import Snapshots

if TYPE_CHECKING:
    import ibis.expr.types as ir

SLOT: Final = "noted_also"
COUNT: Final = "noted"
"""The column that says how many entries were looked at."""

LEFT_MAX: Final = 20_000
"""Where more entries than these were not looked at yet, notes are of no use."""

_WINDOW_US: Final = WINDOW_S * 1_000_000
_TABLE: Final = ibis.table(
    {
        "finding": dt.Int64(nullable=False),
        "started_at": dt.Timestamp(scale=6, nullable=False),
        "entry": dt.int64,
    },
    name="noted_entries",
)


def _begin(length_us: int) -> str:
    """Say when a stretch of time begins; the remainder of what was before 1970 is negative."""
    return f"started_at - (started_at % {length_us} + {length_us}) % {length_us}"


_NUMBERS: Final = {finding: number for number, finding in enumerate(NOTED, 1)}
_SPAN: Final = "rowid > :first AND rowid <= :after"
_WINDOWS: Final = f"SELECT DISTINCT {_begin(_WINDOW_US)} AS begin FROM entries WHERE {_SPAN}"  # noqa: S608
_NEAR: Final = (
    f"({_WINDOWS}) AS windows CROSS JOIN entries AS e INDEXED BY entries_by_start"
    f" ON e.started_at >= begin AND e.started_at < begin + {_WINDOW_US}"
)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integers", signature=((dt.string,), dt.Array(dt.int64))
)
def _integers(slot: str) -> object:
    """Stand for a list of whole numbers."""


class Notes:
    """Gives noted entries, and what was before calls that write to a cache."""

    _snapshots: Snapshots

    def entries(self) -> ir.Table:
        """Give the entries table as an Ibis expression."""
        raise NotImplementedError

    def notes_entries(self) -> bool:
        """Say whether notes are of use."""
        with self._snapshots.one():
            return are_of_use(self._snapshots.connection)

    def noted(self, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
        """Give the noted entries."""
        return together(self.entries(), finding, begin, end)

    def gaps(self) -> ir.Table:
        """Give the calls that wrote to a cache anew, and what was before them."""
        return cache_gaps.GAPS

    def open_sessions(self) -> frozenset[str]:
        """Give the sessions of calls that were not looked at yet."""
        with self._snapshots.one():
            return cache_gaps.open_sessions(self._snapshots.connection)

    def of_sessions(self, slot: str) -> ir.Table:
        """Give the entries of some sessions that use a cache, found by their numbers."""
        return quarter_hours.by_number(cache_gaps.of_sessions(self.entries(), slot))


def together(entries: ir.Table, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
    """Give the noted entries, and all of the windows that are not looked at to their end."""
    noted = _TABLE.filter(
        _TABLE.finding == _NUMBERS[finding], _TABLE.started_at >= begin, _TABLE.started_at < end
    )
    also = _integers(SLOT).unnest().name("entry").as_table()
    numbers = ibis.union(noted.select("entry"), also.select("entry"), distinct=False)
    found = entries.filter(entries.rowid().isin(numbers.entry))
    return quarter_hours.by_number(found)


def are_of_use(connection: sqlite3.Connection) -> bool:
    """Say whether all entries but a few were looked at."""
    looked_at, last = connection.execute(
        f"SELECT {COUNT}, (SELECT max(rowid) FROM entries) FROM summed_entries"  # noqa: S608
    ).fetchone()
    return (last or 0) - int(looked_at) <= LEFT_MAX


def of_open_windows(connection: sqlite3.Connection) -> list[int]:
    """Give the numbers of all entries whose windows have some that were not looked at yet."""
    (first,) = connection.execute(f"SELECT {COUNT} FROM summed_entries").fetchone()  # noqa: S608
    found = connection.execute(
        f"SELECT e.rowid FROM {_NEAR}",  # noqa: S608 - names of ours
        {"first": first, "after": (1 << 63) - 1},
    )
    return [number for (number,) in found]


def sum_up(connection: sqlite3.Connection, step: int = quarter_hours.STEP) -> None:
    """Look at the next entries, at most ``step``, whose sessions have numbers: that are in finer
    sums. Within a transaction."""
    quarter_hours.add_next(connection, COUNT, _add, step, finer_quarter_hours.COUNT)


def _add(connection: sqlite3.Connection, first: int, after: int) -> None:
    for finding, note in NOTES.items():
        span = {"number": _NUMBERS[finding], "first": first, "after": after}
        connection.execute(_statement(note), span)
    cache_gaps.add(connection, first, after)


def _statement(note: Note) -> str:
    if not note.many:
        found = f"SELECT rowid AS entry, started_at FROM entries WHERE {_SPAN} AND {note.where}"  # noqa: S608
    else:
        found = (
            f"SELECT e.rowid AS entry, started_at, {note.many} AS many FROM {_NEAR}"  # noqa: S608
            f" WHERE e.rowid <= :after AND {note.where} WINDOW alike AS"
            f" (PARTITION BY {_begin(note.together_s * 1_000_000)}, {note.alike})"
        )
    chosen = " WHERE many" if note.many else ""
    return (
        "INSERT OR IGNORE INTO noted_entries"  # noqa: S608 - names of ours
        f" SELECT :number, started_at, entry FROM ({found}){chosen}"
    )
