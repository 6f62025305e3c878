"""Calls that used a cache, summed up by the quarter-hour, kept as ``quarter_hours`` are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.storage.cache_columns import ALIKE, MADE, ROW, SUMMED, TABLE, USED, single
from tollkeeper.storage.ledger_tables import table, within
from tollkeeper.storage.sqlite import quarter_hours

if TYPE_CHECKING:
    import ibis.expr.types as ir

COUNT: Final = "cached"
"""The column that says how many entries were looked at."""

_NAMES: Final = ("started_at", *(each.name for each in (*ALIKE, *SUMMED)))
_ADD: Final = f"""
INSERT INTO {TABLE} ({", ".join(_NAMES)})
SELECT {quarter_hours.BEGINS},
    {", ".join(MADE.get(each.name, each.name) for each in ALIKE)},
    {", ".join(f"sum({each.name})" for each in SUMMED)}
FROM entries
WHERE rowid > ? AND rowid <= ? AND {USED}
GROUP BY 1, {", ".join(str(number + 2) for number in range(len(ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours
_SUMS: Final = table(TABLE, ROW)
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
        return together(self.entries(), edges)


def together(entries: ir.Table, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
    """Give the sums of whole quarter-hours, and the single entries that are in none of them.

    ``edges`` bound the quarter-hours whose entries are wanted by themselves.
    """
    whole = _SUMS
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    follows = entries.rowid() > _STATE.select(COUNT).as_scalar()
    parts = [whole, _single(entries.filter(follows))]
    if edges:
        parts.append(_single(entries.filter(~follows, within(entries, edges))))
    return ibis.union(*parts, distinct=False)


def _single(entries: ir.Table) -> ir.Table:
    return single(quarter_hours.by_number(entries))


def sum_up(connection: sqlite3.Connection, step: int = quarter_hours.STEP) -> None:
    """Sum up the next entries, at most ``step``. Within a transaction."""
    quarter_hours.add_next(connection, COUNT, quarter_hours.adding(_ADD), step)
