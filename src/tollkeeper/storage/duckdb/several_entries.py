"""The entries of calls that have several of them, with all their columns, in a table of their own.

Nearly every call has one entry: whoever groups by calls takes it as it stands. Of the others all
entries are copied, one in fifty, so that none of them has to be looked for among all entries. The
first entries, as many as ``summed_entries`` says, have been looked at; for what follows a snapshot
makes ``loose_entries``, with earlier entries whose calls have gone on since.

All entries of a call but its first say that they are further ones. Of a call with a further one
every entry is in the table, be there another or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import duckdb

from tollkeeper.ledger_sums import ENTRY_NUMBER, CallsApart
from tollkeeper.storage.columns import COLUMNS, Column, Kind
from tollkeeper.storage.duckdb import quarter_hours
from tollkeeper.storage.duckdb.quarter_hours import bound_integer
from tollkeeper.storage.ledger_tables import table
from tollkeeper.storage.plain_calls import FURTHER

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "several_entries"
LOOSE: Final = "loose_entries"
SLOT: Final = "calls_looked_at"
COUNT: Final = "several"
"""The column that says of how many entries the calls have been looked at."""

LEFT_MAX: Final = 100_000
"""Where more entries than these follow, a snapshot would have too much to look for."""

ROW: Final[tuple[Column, ...]] = (
    Column(ENTRY_NUMBER, Kind.INTEGER),
    *(column._replace(nullable=True) for column in COLUMNS),
)
_FEW: Final = 50
"""Of a list of so many texts or numbers an engine passes over blocks that have none."""

_LISTS_MAX: Final = 20

_CALLS: Final = f"""
SELECT DISTINCT call_id FROM entries WHERE rowid >= $first AND rowid < $after AND ({FURTHER})
"""  # noqa: S608 - names of ours

_OF_THESE: Final = """
SELECT rowid FROM entries
WHERE rowid < $after AND call_id IN (SELECT unnest($calls::VARCHAR[]))
"""

_OF_KNOWN: Final = f"""
SELECT rowid FROM entries
WHERE rowid >= $first AND rowid < $after AND call_id IN (SELECT call_id FROM {TABLE})
"""  # noqa: S608 - names of ours

_KNOWN: Final = f"""
SELECT {ENTRY_NUMBER} FROM {TABLE} WHERE call_id IN (SELECT unnest($calls::VARCHAR[]))
"""  # noqa: S608 - names of ours

_ROWS: Final = f"""
SELECT rowid AS {ENTRY_NUMBER}, * FROM entries
WHERE rowid >= $lowest AND rowid <= $highest AND rowid IN (SELECT unnest($numbers::BIGINT[]))
"""  # noqa: S608 - names of ours


def loose_table() -> ir.Table:
    """Give the table that a snapshot makes."""
    return table(LOOSE, ROW)


def apart(entries: ir.Table, several: ir.Table) -> CallsApart:
    """Give all entries with their numbers, and those of calls that have several."""
    every = entries.mutate(**{ENTRY_NUMBER: entries.rowid()})
    names = [column.name for column in ROW]
    # True of each row; that it is asked tells a snapshot to make the other table.
    several = several.filter(several[ENTRY_NUMBER] < bound_integer(SLOT))
    together = several.select(*names).union(loose_table().select(*names), distinct=False)
    return CallsApart(every, together)


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = quarter_hours.STEP) -> int:
    """Look at the next entries, at most ``step``; give how many. Within a transaction."""
    first, after = quarter_hours.next_entries(cursor, COUNT, step)
    _copy(cursor, f"INSERT INTO {TABLE} BY NAME", _not_copied_yet(cursor, first, after), first)
    quarter_hours.count_summed(cursor, COUNT, after)
    return after - first


def tell_loose_entries(cursor: duckdb.DuckDBPyConnection, looked_at: int) -> None:
    """Make the table of what is not among the entries that have been ``looked_at``."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {LOOSE} AS SELECT * FROM {TABLE} LIMIT 0")  # noqa: S608
    ((after,),) = cursor.execute("SELECT count(*) FROM entries").fetchall()
    if after > looked_at:
        found = _not_copied_yet(cursor, looked_at, after)
        _copy(cursor, f"INSERT INTO {LOOSE} BY NAME", found, looked_at)


def _not_copied_yet(cursor: duckdb.DuckDBPyConnection, first: int, after: int) -> list[int]:
    """Give the numbers of entries to copy, where those from ``first`` on are looked at."""
    span = {"first": first, "after": after}
    calls = [call for (call,) in cursor.execute(_CALLS, span).fetchall()]
    found = {number for (number,) in cursor.execute(_OF_KNOWN, span).fetchall()}
    if calls:
        values = {"after": after, "calls": calls}
        found |= {number for (number,) in cursor.execute(_OF_THESE, values).fetchall()}
        known = cursor.execute(_KNOWN, {"calls": calls}).fetchall()
        found -= {number for (number,) in known}
    return sorted(found)


def _copy(cursor: duckdb.DuckDBPyConnection, verb: str, numbers: Sequence[int], first: int) -> None:
    """Copy entries: many older ones in one reading, a few in short lists."""
    older = [number for number in numbers if number < first]
    lists = [older] if len(older) > _FEW * _LISTS_MAX else list(_short_lists(older))
    lists.append([number for number in numbers if number >= first])
    for each in lists:
        if each:
            span = {"lowest": each[0], "highest": each[-1], "numbers": each}
            cursor.execute(verb + _ROWS, span).fetchall()


def _short_lists(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[place : place + _FEW] for place in range(0, len(numbers), _FEW)]
