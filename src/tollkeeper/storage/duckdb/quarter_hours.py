"""Entries summed up by the quarter-hour: a tenth of the rows, and the same sums to the last digit.

Entries are only ever added, so they are numbered from 0 on (``rowid``). The first of them, as
many as ``summed_entries`` says, are in ``quarter_hours``; those that follow are taken as they
are. Both change in one transaction, so whoever reads sees each entry exactly once, whether or
not it was summed up yet, and whatever time it is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.sums import LAST_AT
from tollkeeper.ports import BOUND_PREFIX, QUARTER_HOUR_US
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
from tollkeeper.telemetry import logger

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "quarter_hours"
SLOT: Final = "summed_entries"
COUNT: Final = "entries"
"""The column that says how many entries are in these sums."""

STEP: Final = 250_000
"""So many entries are summed up in one transaction, which fits into memory if none are alike."""

LEFT_MAX: Final = 20_000
"""So many entries may follow those that are summed up: reading them takes a millisecond."""

_ADD: Final = f"""
INSERT INTO {TABLE} BY NAME
SELECT time_bucket(INTERVAL {QUARTER_HOUR_US // 60_000_000} MINUTE, started_at) AS started_at,
    max(started_at) AS {LAST_AT},
    {", ".join(f"{MADE.get(each.name, each.name)} AS {each.name}" for each in ALIKE)},
    {", ".join(f"sum({MADE.get(each.name, each.name)}) AS {each.name}" for each in SUMMED)}
FROM entries
WHERE rowid >= $first AND rowid < $after
GROUP BY 1, {", ".join(str(number + 3) for number in range(len(ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name=f"{BOUND_PREFIX}integer", signature=((dt.string,), dt.int64)
)
def bound_integer(slot: str) -> object:
    """Stand for a whole number."""


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
    follows = number >= bound_integer(SLOT)
    after = single(entries.filter(follows))
    if not edges:
        return ibis.union(whole, after, distinct=False)
    cut = within(entries, edges)
    of_edges = single(entries.filter(~follows, cut))
    return ibis.union(whole, after, of_edges, distinct=False)


def single(entries: ir.Table, *also: str) -> ir.Table:
    """Give entries the columns of sums, and some more, each standing for itself."""
    entries = entries.mutate(
        **{
            LAST_AT: entries.started_at,
            PRICED: entries.cost_usd.notnull(),
            PIECES: entries.units != NO_PIECES,
            STANDS: ((entries.corrects == "") | (entries.revision > 0)).ifelse(entries.sign, 0),
        }
    )
    return entries.select(*(column.name for column in ROW), *also)


def summed_entries(cursor: duckdb.DuckDBPyConnection, count: str = COUNT) -> int:
    """Say how many entries are summed up, in sums that are counted in a column of their own."""
    statement = f"SELECT {count} FROM summed_entries"  # noqa: S608 - a name of ours
    return int(cursor.execute(statement).fetchall()[0][0])


def left(cursor: duckdb.DuckDBPyConnection, count: str = COUNT) -> int:
    """Say how many entries are not summed up yet.

    0 where entries are not numbered one by one from 0 on, as they would be if some had been
    deleted: what is summed up could not be told then.
    """
    (found,) = cursor.execute(
        "SELECT count(*), coalesce(max(rowid) + 1, 0) FROM entries"
    ).fetchall()
    entries, numbers = map(int, found)
    if entries != numbers:
        _tell_of_a_gap(numbers - entries)
        return 0
    return entries - summed_entries(cursor, count)


@cache
def _tell_of_a_gap(rows: int) -> None:
    """Log once that some rows are gone, for each number of them that is found."""
    logger.warning("rows of the ledger are gone: nothing more is summed up", extra={"rows": rows})


def more_follow(cursor: duckdb.DuckDBPyConnection, count: str, most: int) -> bool:
    """Say whether more than ``most`` entries follow those that are in sums.

    To ask for the last number would be to read all of them.
    """
    found = cursor.execute(
        "SELECT count(*) FROM entries WHERE rowid >= $first",
        {"first": summed_entries(cursor, count) + most},
    ).fetchall()
    return found != [(0,)]


def next_entries(cursor: duckdb.DuckDBPyConnection, count: str, step: int) -> tuple[int, int]:
    """Say which entries come next, at most ``step``: the first, and the one after the last."""
    first = summed_entries(cursor, count)
    (found,) = cursor.execute("SELECT count(*) FROM entries").fetchall()
    return first, min(first + step, int(found[0]))


def count_summed(cursor: duckdb.DuckDBPyConnection, count: str, entries: int) -> None:
    """Say how many are summed up from now on."""
    statement = f"UPDATE summed_entries SET {count} = $entries"  # noqa: S608 - a name of ours
    cursor.execute(statement, {"entries": entries}).fetchall()


def sum_up(cursor: duckdb.DuckDBPyConnection, step: int = STEP) -> int:
    """Sum up the next entries, at most ``step``; give how many. Within a transaction."""
    first, after = next_entries(cursor, COUNT, step)
    cursor.execute(_ADD, {"first": first, "after": after}).fetchall()
    count_summed(cursor, COUNT, after)
    return after - first
