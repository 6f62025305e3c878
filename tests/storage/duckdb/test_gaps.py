"""Rows that were deleted from the ledger's file: nothing more is summed up, and that is told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from ledgers import open_duckdb


def test_that_summing_up_has_stopped_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = open_duckdb(tmp_path)
    try:
        ledger.append([ledger_entry(cost_nanos=cost) for cost in (1, 2, 4)], None)
        with ledger._handle.cursor() as cursor:
            cursor.execute("DELETE FROM entries WHERE cost_usd = 0.000000002").fetchall()
        with caplog.at_level(logging.WARNING, "tollkeeper"):
            for _ in range(3):
                ledger.sum_up(left_max=0)
        told = [record for record in caplog.records if "nothing more is summed up" in record.msg]
        assert [record.rows for record in told] == [1]
        table = ledger.entries()
        (row,) = ledger.run(table.agg(cost=table.cost_usd.sum()))
        assert int(row["cost"] * 10**9) == 5
    finally:
        ledger.close()
