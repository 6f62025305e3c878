"""Calls that used a cache, and small ones, summed up by the quarter-hour as ``quarter_hours`` are.

To find small calls by their numbers SQLite would read a page of the file for each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.storage import cache_columns, small_columns
from tollkeeper.storage.columns import Column
from tollkeeper.storage.ledger_tables import table, within
from tollkeeper.storage.sqlite import quarter_hours

if TYPE_CHECKING:
    import ibis.expr.types as ir

COUNT: Final = "cached"
"""The column that says how many entries were looked at."""


def _adding(
    table: str,
    alike: Sequence[Column],
    summed: Sequence[Column],
    made: Mapping[str, str],
    which: str,
) -> str:
    names = ("started_at", *(each.name for each in (*alike, *summed)))
    return f"""
INSERT INTO {table} ({", ".join(names)})
SELECT {quarter_hours.BEGINS},
    {", ".join(made.get(each.name, each.name) for each in alike)},
    {", ".join(f"sum({made.get(each.name, each.name)})" for each in summed)}
FROM entries
WHERE rowid > ? AND rowid <= ? AND {which}
GROUP BY 1, {", ".join(str(number + 2) for number in range(len(alike)))}
ORDER BY 1
"""  # noqa: S608 - names of ours


_ADD: Final = tuple(
    _adding(each.TABLE, each.ALIKE, each.SUMMED, each.MADE, which)
    for each, which in (
        (cache_columns, cache_columns.USED),
        (small_columns, small_columns.SMALL),
    )
)
_CACHES: Final = table(cache_columns.TABLE, cache_columns.ROW)
_SMALL: Final = table(small_columns.TABLE, small_columns.ROW)
_STATE: Final = ibis.table(
    dict.fromkeys(("entries", COUNT), dt.Int64(nullable=False)), name="summed_entries"
)


class CacheSums:
    """Gives these sums: a part of the ledger."""

    def entries(self) -> ir.Table:
        """Give the entries table as an Ibis expression."""
        raise NotImplementedError

    def summed_caches(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the sums of calls that used a cache, and single ones at their edges."""
        return _together(self.entries(), _CACHES, cache_columns.single, edges)

    def sums_small_calls(self) -> bool:
        """Say that small calls are summed up."""
        return True

    def summed_small(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the sums of small calls, and single ones at their edges."""
        return _together(self.entries(), _SMALL, small_columns.single, edges)


def _together(
    entries: ir.Table,
    whole: ir.Table,
    single: Callable[[ir.Table], ir.Table],
    edges: Sequence[tuple[ir.Value, ir.Value]],
) -> ir.Table:
    """Give the sums of whole quarter-hours, and the single entries that are in none of them.

    ``edges`` bound the quarter-hours whose entries are wanted by themselves.
    """
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    follows = entries.rowid() > _STATE.select(COUNT).as_scalar()
    others = [entries.filter(follows)]
    if edges:
        others.append(entries.filter(~follows, within(entries, edges)))
    parts = (single(quarter_hours.by_number(each)) for each in others)
    return ibis.union(whole, *parts, distinct=False)


def sum_up(connection: sqlite3.Connection, step: int = quarter_hours.STEP) -> None:
    """Sum up the next entries, at most ``step``. Within a transaction."""
    quarter_hours.add_next(connection, COUNT, _add, step)


def _add(connection: sqlite3.Connection, first: int, after: int) -> None:
    for statement in _ADD:
        connection.execute(statement, (first, after))
