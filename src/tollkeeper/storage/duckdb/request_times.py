"""How long requests took, by the quarter-hour: a twelfth of the rows, and every single value.

The rows are kept as the sums by the quarter-hour are (see ``quarter_hours``): those of the
first entries are in ``request_times``, those that follow are taken as they are, and how many these
are changes in one transaction with the rows. A row has its requests' milliseconds as lists; where
these are opened, what a row is grouped by was found once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt

from tollkeeper.ports import QUARTER_HOUR_US
from tollkeeper.request_times import TIMED
from tollkeeper.storage.duckdb import quarter_hours
from tollkeeper.storage.duckdb.quarter_hours import bound_integer
from tollkeeper.storage.ledger_tables import within
from tollkeeper.storage.timed_columns import ALIKE, ROW

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "request_times"
SLOT: Final = "timed_entries"
COUNT: Final = "timed"
"""The column that says how many entries are in these rows."""

IS_REQUEST: Final = "requests = 1 AND revision = 0"

LISTS: Final = ", ".join(
    f"list({one}) FILTER ({one} IS NOT NULL AND {IS_REQUEST}) AS {several}"
    for one, several in TIMED.items()
)
_ADD: Final = f"""
INSERT INTO {TABLE} BY NAME
SELECT time_bucket(INTERVAL {QUARTER_HOUR_US // 60_000_000} MINUTE, started_at) AS started_at,
    {", ".join(each.name for each in ALIKE)},
    {LISTS}
FROM entries
WHERE rowid >= $first AND rowid < $after AND {IS_REQUEST}
GROUP BY 1, {", ".join(str(number + 2) for number in range(len(ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours


def together(
    entries: ir.Table, request_times: ir.Table, edges: Sequence[tuple[ir.Value, ir.Value]]
) -> ir.Table:
    """Give whole quarter-hours, and the single requests that are in none of them.

    ``edges`` bound the quarter-hours whose requests are wanted by themselves.
    """
    whole = request_times
    if edges:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edges]))
    follows = entries.rowid() >= bound_integer(SLOT)
    parts = [whole, single(entries.filter(follows))]
    if edges:
        cut = within(entries, edges)
        parts.append(single(entries.filter(~follows, cut)))
    return ibis.union(*parts, distinct=False)


def single(entries: ir.Table) -> ir.Table:
    """Give the requests among entries as rows, each standing for itself."""
    requests = entries.filter((entries.requests == 1) & (entries.revision == 0))
    return with_lists(requests).select(*(column.name for column in ROW))


def with_lists(entries: ir.Table) -> ir.Table:
    """Give each entry that is a request its milliseconds as lists of one."""
    is_request = (entries.requests == 1) & (entries.revision == 0)
    numbers = dt.Array(dt.int64)
    lists = {
        several: (is_request & entries[one].notnull()).ifelse(
            ibis.array([entries[one]]).cast(numbers), None
        )
        for one, several in TIMED.items()
    }
    return entries.mutate(**lists)


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = quarter_hours.STEP) -> int:
    """Put the next entries into rows, at most ``step``; give how many. Within a transaction."""
    first, after = quarter_hours.next_entries(cursor, COUNT, step)
    cursor.execute(_ADD, {"first": first, "after": after}).fetchall()
    quarter_hours.count_summed(cursor, COUNT, after)
    return after - first
