"""The jobs of a DuckDB ledger: one row for each, and which of their bills are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb


def keep(cursor: duckdb.DuckDBPyConnection, jobs: Mapping[str, str]) -> None:
    """Write the states of some jobs in place of those from before. Within a transaction."""
    values = {"jobs": list(jobs), "states": list(jobs.values())}
    cursor.execute("DELETE FROM jobs WHERE job IN (SELECT unnest($jobs))", {"jobs": list(jobs)})
    cursor.execute("INSERT INTO jobs SELECT unnest($jobs), unnest($states)", values)


def states(cursor: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, str]:
    """Give the states of some jobs."""
    rows = cursor.execute(
        "SELECT job, state FROM jobs WHERE job IN (SELECT unnest($jobs))", {"jobs": list(names)}
    ).fetchall()
    return dict(rows)


def known(
    cursor: duckdb.DuckDBPyConnection, entry_ids: Sequence[str], started_at: datetime
) -> frozenset[str]:
    """Say which of some entries are there, all of one start."""
    rows = cursor.execute(
        "SELECT entry_id FROM entries WHERE started_at = $started_at"
        " AND entry_id IN (SELECT unnest($ids))",
        {"started_at": started_at, "ids": list(entry_ids)},
    ).fetchall()
    return frozenset(row[0] for row in rows)
