"""Sums by the local day of one time zone in SQLite: see ``storage.duckdb.days``.

The rows of ``quarter_hours`` are numbered from 1 on; as many of the first as
``summed_entries.daily`` says are in ``days``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.sums import LAST_AT
from tollkeeper.domain.zones import are_days_of, even_days
from tollkeeper.storage.ledger_tables import within
from tollkeeper.storage.sqlite.quarter_hours import (
    add_in_halves,
    adding,
    by_number,
    single,
    summed_entries,
)
from tollkeeper.storage.summed_columns import DAY_ALIKE, DAY_ROW, SUMMED

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "days"
STEP: Final = 100_000
"""So many rows of ``quarter_hours`` are summed up in one transaction."""

_BEGINS: Final = (
    "(SELECT begins FROM temp.day_begins WHERE begins <= started_at ORDER BY begins DESC LIMIT 1)"
)
_NAMES: Final = ("started_at", LAST_AT, *(each.name for each in (*DAY_ALIKE, *SUMMED)))
_ADD: Final = f"""
INSERT INTO {TABLE} ({", ".join(_NAMES)})
SELECT {_BEGINS}, max({LAST_AT}),
    {", ".join(each.name for each in DAY_ALIKE)},
    {", ".join(f"sum({each.name})" for each in SUMMED)}
FROM quarter_hours
WHERE rowid > ? AND rowid <= ?
GROUP BY 1, {", ".join(str(number + 3) for number in range(len(DAY_ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours

_MOMENTS: Final = (
    "SELECT DISTINCT started_at FROM quarter_hours WHERE rowid > ? AND rowid <= ? ORDER BY 1"
)
_STATE: Final = ibis.table(
    {"daily": dt.Int64(nullable=False), "days_of": dt.String(nullable=False)}, name="summed_entries"
)


def together(
    entries: ir.Table,
    quarters: ir.Table,
    days: ir.Table,
    edges: Sequence[tuple[ir.Value, ir.Value]],
    edge_days: Sequence[tuple[ir.Value, ir.Value]],
) -> ir.Table:
    """Give the sums of whole days, and rows of ``quarter_hours.together`` for all else."""
    names = [column.name for column in DAY_ROW]
    whole = days
    if edge_days:
        whole = whole.filter(whole.started_at.notin([begin for begin, _ in edge_days]))
    begins = [begin for begin, _ in edges]
    uncut = [quarters.started_at.notin(begins)] if edges else []
    daily = _STATE.select("daily").as_scalar()
    parts = [whole, by_number(quarters.filter(quarters.rowid() > daily, *uncut))]
    if edge_days:
        cut = within(quarters, edge_days)
        parts.append(by_number(quarters.filter(quarters.rowid() <= daily, cut, *uncut)))
    parts.append(single(entries.filter(entries.rowid() > summed_entries())))
    if edges:
        cut = within(entries, edges)
        parts.append(single(entries.filter(entries.rowid() <= summed_entries(), cut)))
    return ibis.union(*(part.select(*names) for part in parts), distinct=False)


def zone_of(connection: sqlite3.Connection) -> str:
    """Name the zone whose days are summed up; "" where there are none.

    Also where its rules have other days than those that are there.
    """
    (name,) = connection.execute("SELECT days_of FROM summed_entries").fetchone()
    days = f"SELECT started_at, max({LAST_AT}) FROM {TABLE} GROUP BY 1"  # noqa: S608 - ours
    return name if are_days_of(name, connection.execute(days)) else ""


def left(connection: sqlite3.Connection) -> int:
    """Say how many rows of ``quarter_hours`` are in no day yet."""
    (found,) = connection.execute(
        "SELECT coalesce((SELECT max(rowid) FROM quarter_hours), 0) - daily FROM summed_entries"
    ).fetchone()
    return int(found)


def start_over(connection: sqlite3.Connection, zone: str) -> None:
    """Forget all days; those that are summed up from now on are the zone's."""
    connection.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a name of ours
    connection.execute("UPDATE summed_entries SET daily = 0, days_of = ?", (zone,))


def sum_up(connection: sqlite3.Connection, zone: str, step: int = STEP) -> None:
    """Sum up the next rows of ``quarter_hours``, at most ``step``. Within a transaction.

    Raises UnevenDays where a quarter-hour belongs to two days.
    """
    first, rows = connection.execute(
        "SELECT daily, (SELECT max(rowid) FROM quarter_hours) FROM summed_entries"
    ).fetchone()
    after = min(first + step, rows)
    moments_us = (at_us for (at_us,) in connection.execute(_MOMENTS, (first, after)))
    begins_us = even_days(moments_us, ZoneInfo(zone))
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS day_begins (begins INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM temp.day_begins")
    connection.executemany("INSERT INTO temp.day_begins VALUES (?)", [(at,) for at in begins_us])
    after = add_in_halves(connection, adding(_ADD), first, after)
    connection.execute("UPDATE summed_entries SET daily = ?", (after,))
