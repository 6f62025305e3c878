"""Sums by the local day of one time zone: another tenth of the rows of ``quarter_hours``.

They are made of the rows of ``quarter_hours``, which are only ever added and numbered as entries
are: the first of them, as many as ``summed_entries.daily`` says, are in ``days``; those that
follow are taken as they are. What is late, or corrects what is long over, is among these at
first, and has rows of its own afterwards.

A row starts when its day begins. That depends on rules that change now and then, so whoever opens
a ledger looks whether its days are still those of the zone; if not, they are summed up anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import duckdb
import ibis

from tollkeeper.domain.sums import LAST_AT
from tollkeeper.domain.zones import are_days_of, epoch_us_of, even_days, moment_of
from tollkeeper.storage.duckdb import quarter_hours
from tollkeeper.storage.duckdb.quarter_hours import bound_integer, single
from tollkeeper.storage.ledger_tables import within
from tollkeeper.storage.summed_columns import DAY_ALIKE, DAY_ROW, SUMMED

if TYPE_CHECKING:
    import ibis.expr.types as ir

TABLE: Final = "days"
SLOT: Final = "daily_quarter_hours"
COUNT: Final = "daily"
"""The column that says how many rows of ``quarter_hours`` are in these sums."""

STEP: Final = 250_000
"""So many rows of ``quarter_hours`` are summed up in one transaction."""

_SPAN: Final = "quarter_hours.rowid >= $first AND quarter_hours.rowid < $after"
_MOMENTS: Final = f"SELECT DISTINCT started_at FROM quarter_hours WHERE {_SPAN} ORDER BY 1"  # noqa: S608
_DAYS: Final = f"SELECT started_at, max({LAST_AT}) FROM {TABLE} GROUP BY 1"  # noqa: S608
_ADD: Final = f"""
INSERT INTO {TABLE} BY NAME
SELECT begins AS started_at, max({LAST_AT}) AS {LAST_AT},
    {", ".join(each.name for each in DAY_ALIKE)},
    {", ".join(f"sum({each.name}) AS {each.name}" for each in SUMMED)}
FROM quarter_hours
ASOF JOIN (SELECT unnest($begins::TIMESTAMP[]) AS begins) AS begun ON started_at >= begins
WHERE {_SPAN}
GROUP BY 1, {", ".join(str(number + 3) for number in range(len(DAY_ALIKE)))}
ORDER BY 1
"""  # noqa: S608 - names of ours


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
    in_days = quarters.rowid() < bound_integer(SLOT)
    parts = [whole, quarters.filter(~in_days, *uncut)]
    if edge_days:
        parts.append(quarters.filter(in_days, within(quarters, edge_days), *uncut))
    summed = entries.rowid() < bound_integer(quarter_hours.SLOT)
    parts.append(single(entries.filter(~summed)))
    if edges:
        parts.append(single(entries.filter(summed, within(entries, edges))))
    return ibis.union(*(part.select(*names) for part in parts), distinct=False)


def zone_of(cursor: duckdb.DuckDBPyConnection) -> str:
    """Name the zone whose days are summed up; "" where there are none.

    Also where its rules have other days than those that are there.
    """
    (found,) = cursor.execute("SELECT days_of FROM summed_entries").fetchall()
    rows = cursor.execute(_DAYS).fetchall()
    days_us = (
        (epoch_us_of(begin.replace(tzinfo=UTC)), epoch_us_of(last.replace(tzinfo=UTC)))
        for begin, last in rows
    )
    return found[0] if are_days_of(found[0], days_us) else ""


def left(cursor: duckdb.DuckDBPyConnection) -> int:
    """Say how many rows of ``quarter_hours`` are in no day yet."""
    (found,) = cursor.execute(
        f"SELECT (SELECT count(*) FROM quarter_hours) - {COUNT} FROM summed_entries"  # noqa: S608
    ).fetchall()
    return int(found[0])


def start_over(cursor: duckdb.DuckDBPyConnection, zone: str) -> None:
    """Forget all days; those that are summed up from now on are the zone's."""
    cursor.execute(f"DELETE FROM {TABLE}").fetchall()  # noqa: S608 - a name of ours
    values = {"zone": zone}
    cursor.execute(f"UPDATE summed_entries SET {COUNT} = 0, days_of = $zone", values).fetchall()  # noqa: S608


def sum_up(cursor: duckdb.DuckDBPyConnection, zone: str, step: int = STEP) -> None:
    """Sum up the next rows of ``quarter_hours``, at most ``step``. Within a transaction.

    Raises UnevenDays where a quarter-hour belongs to two days.
    """
    first = quarter_hours.summed_entries(cursor, COUNT)
    (found,) = cursor.execute("SELECT count(*) FROM quarter_hours").fetchall()
    span = {"first": first, "after": min(first + step, int(found[0]))}
    rows = cursor.execute(_MOMENTS, span).fetchall()
    moments_us = (epoch_us_of(at.replace(tzinfo=UTC)) for (at,) in rows)
    begins = [
        moment_of(at_us).replace(tzinfo=None) for at_us in even_days(moments_us, ZoneInfo(zone))
    ]
    cursor.execute(_ADD, {**span, "begins": begins}).fetchall()
    quarter_hours.count_summed(cursor, COUNT, span["after"])
