"""Entries summed up by the quarter-hour in SQLite: see ``storage.summed_columns``.

Entries are only ever added, so they are numbered from 1 on (``rowid``). The first of them, as
many as ``summed_entries`` says, are in ``quarter_hours``; those that follow are taken as they
are. Both change in one transaction, so whoever reads sees each entry exactly once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.sums import LAST_AT
from tollkeeper.ports import QUARTER_HOUR_US
from tollkeeper.storage.ledger_tables import within
from tollkeeper.storage.summed_columns import (
    ALIKE,
    MADE,
    NO_PIECES,
    PIECES,
    PRICED,
    ROW,
    STANDS,
    SUMMED,
)

if TYPE_CHECKING:
    import ibis.expr.types as ir

Add = Callable[[sqlite3.Connection, int, int], None]
"""Adds the sums of the rows after one number up to another."""

TABLE: Final = "quarter_hours"
STEP: Final = 100_000
"""So many entries are summed up in one transaction, while which nothing else is written."""

COUNT: Final = "entries"
"""The column that says how many entries are in these sums."""

LEFT_MAX: Final = 5_000
"""So many entries may follow those that are summed up."""

_NAMES: Final = ("started_at", LAST_AT, *(each.name for each in (*ALIKE, *SUMMED)))
# The remainder of what was before 1970 is negative.
BEGINS: Final = (
    f"started_at - (started_at % {QUARTER_HOUR_US} + {QUARTER_HOUR_US}) % {QUARTER_HOUR_US}"
)

_ADD: Final = f"""
INSERT INTO {TABLE} ({", ".join(_NAMES)})
SELECT {BEGINS}, max(started_at),
    {", ".join(MADE.get(each.name, each.name) for each in ALIKE)},
    {", ".join(f"sum({MADE.get(each.name, each.name)})" for each in SUMMED)}
FROM entries
WHERE rowid > ? AND rowid <= ?
GROUP BY 1, {", ".join(str(number + 3) for number in range(len(ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours

_STATE: Final = ibis.table(
    {"entries": dt.Int64(nullable=False), "wide": dt.Int64(nullable=False)}, name="summed_entries"
)


def summed_entries() -> ir.IntegerScalar:
    """Say how many entries are in these sums."""
    found: ir.IntegerScalar = _STATE.select("entries").as_scalar()
    return found


def together(
    entries: ir.Table, quarter_hours: ir.Table, edges: Sequence[tuple[ir.Value, ir.Value]]
) -> ir.Table:
    """Give the sums of whole quarter-hours, and the single entries that are in none of them.

    ``edges`` bound the quarter-hours whose entries are wanted by themselves.
    """
    whole = quarter_hours
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    number = entries.rowid()
    summed = summed_entries()
    after = single(entries.filter(number > summed))
    if not edges:
        return ibis.union(whole, after, distinct=False)
    cut = within(entries, edges)
    of_edges = single(entries.filter(number <= summed, cut))
    return ibis.union(whole, after, of_edges, distinct=False)


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="likely", signature=((dt.Timestamp(scale=6),), dt.Timestamp(scale=6, nullable=False))
)
def _as_it_is(value: object) -> object:
    """Stand for a value that no index is looked at for."""


def by_number(table: ir.Table) -> ir.Table:
    """Let the engine find rows by what was asked of the table so far, which leaves few.

    It would rather take the index by time, if it may, and look at all rows of a period.
    """
    return table.mutate(started_at=_as_it_is(table.started_at))


def single(entries: ir.Table, *also: str) -> ir.Table:
    """Give a few entries the columns of sums, and some more, each standing for itself."""
    entries = by_number(entries)
    entries = entries.mutate(
        **{
            LAST_AT: entries.started_at,
            PRICED: entries.cost_usd.notnull(),
            PIECES: entries.units != NO_PIECES,
            STANDS: ((entries.corrects == "") | (entries.revision > 0)).ifelse(entries.sign, 0),
        }
    )
    return entries.select(*(column.name for column in ROW), *also)


def left(connection: sqlite3.Connection, left_max: int = LEFT_MAX, count: str = COUNT) -> int:
    """Say how many entries are worth being summed up now; 0 where they are few.

    Also where the entries are not numbered one by one, as they would be if some had been
    deleted, and where a number among them is wide: these are read one by one. ``count`` is the
    column that says how many are in the sums.
    """
    summed, wide, entries, last = connection.execute(
        f"SELECT {count}, wide, (SELECT count(*) FROM entries),"  # noqa: S608 - a name of ours
        " (SELECT max(rowid) FROM entries) FROM summed_entries"
    ).fetchone()
    more = int(entries) - int(summed)
    return more if not wide and entries == (last or 0) and more > left_max else 0


def sum_up(connection: sqlite3.Connection, step: int = STEP) -> None:
    """Sum up the next entries, at most ``step``. Within a transaction."""
    add_next(connection, COUNT, adding(_ADD), step)


def add_next(
    connection: sqlite3.Connection, count: str, add: Add, step: int, upto: str = ""
) -> None:
    """Let the next entries be added to sums that are counted in a column, at most ``step``.

    ``upto`` is the column that counts the sums that they have to be in already.
    """
    last = upto or "(SELECT max(rowid) FROM entries)"
    first, entries = connection.execute(
        f"SELECT {count}, {last} FROM summed_entries"  # noqa: S608 - names of ours
    ).fetchone()
    if entries <= first:
        return
    after = add_in_halves(connection, add, first, min(first + step, entries))
    connection.execute(f"UPDATE summed_entries SET {count} = ?", (after,))  # noqa: S608


def adding(statement: str) -> Add:
    """Give what executes a statement for the rows after one number up to another."""

    def add(connection: sqlite3.Connection, first: int, after: int) -> None:
        connection.execute(statement, (first, after))

    return add


def add_in_halves(connection: sqlite3.Connection, add: Add, first: int, after: int) -> int:
    """Add sums of the rows after ``first`` up to ``after``; give up to which they are added.

    Where a sum would need more than 64 bits, fewer at once are: one alone always fits.
    """
    while True:
        connection.execute("SAVEPOINT summing")
        try:
            add(connection, first, after)
        except sqlite3.OperationalError as error:
            connection.execute("ROLLBACK TO summing")
            if str(error) != OVERFLOW or after == first + 1:
                raise
            after = first + (after - first) // 2
        else:
            return after
        finally:
            if connection.in_transaction:
                connection.execute("RELEASE summing")


OVERFLOW: Final = "integer overflow"
"""What SQLite says where a sum needs more than 64 bits."""
