"""Calls that used a cache, summed up by the quarter-hour, kept as ``quarter_hours`` are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import duckdb
import ibis

from tollkeeper.ports import QUARTER_HOUR_US
from tollkeeper.storage.cache_columns import ALIKE, MADE, ROW, SUMMED, TABLE, USED, single
from tollkeeper.storage.duckdb import quarter_hours
from tollkeeper.storage.duckdb.quarter_hours import bound_integer
from tollkeeper.storage.ledger_tables import table, within

if TYPE_CHECKING:
    import ibis.expr.types as ir

SLOT: Final = "cached_entries"

COUNT: Final = "cached"
"""The column that says how many entries were looked at."""

_NAMES: Final = ("started_at", *(each.name for each in (*ALIKE, *SUMMED)))
_ADD: Final = f"""
INSERT INTO {TABLE} ({", ".join(_NAMES)})
SELECT time_bucket(INTERVAL {QUARTER_HOUR_US // 60_000_000} MINUTE, started_at),
    {", ".join(MADE.get(each.name, each.name) for each in ALIKE)},
    {", ".join(f"sum({each.name})" for each in SUMMED)}
FROM entries
WHERE rowid >= $first AND rowid < $after AND {USED}
GROUP BY 1, {", ".join(str(number + 2) for number in range(len(ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours
_SUMS: Final = table(TABLE, ROW)


def together(entries: ir.Table, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
    """Give the sums of whole quarter-hours, and the single entries that are in none of them.

    ``edges`` bound the quarter-hours whose entries are wanted by themselves.
    """
    whole = _SUMS
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    follows = entries.rowid() >= bound_integer(SLOT)
    parts = [whole, single(entries.filter(follows))]
    if edges:
        parts.append(single(entries.filter(~follows, within(entries, edges))))
    return ibis.union(*parts, distinct=False)


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = quarter_hours.STEP) -> None:
    """Sum up the next entries, at most ``step``. Within a transaction."""
    first, after = quarter_hours.next_entries(cursor, COUNT, step)
    cursor.execute(_ADD, {"first": first, "after": after}).fetchall()
    quarter_hours.count_summed(cursor, COUNT, after)
