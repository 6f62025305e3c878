"""``tollkeeper statements`` on a real store and ledger, without a server."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command_line import CommandLine
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from stores import open_folder


def moment_us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A folder with two calls of March 2026, one of them of no team, and one of April."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tollkeeper.yaml").write_text("timezone: Europe/Berlin\n")
    folder = open_folder(tmp_path / "data")
    folder.store.set_org_name("acme")
    folder.store.close()
    ledger = open_duckdb(tmp_path / "data")
    march, april = moment_us("2026-03-10"), moment_us("2026-03-31T22:30:00")
    ledger.append(
        [
            ledger_entry(started_at_us=march, cost_nanos=4_000_000_000),
            ledger_entry(started_at_us=march, cost_nanos=500_000_000, team=""),
            ledger_entry(started_at_us=april, cost_nanos=1_000_000_000),  # April in Berlin
        ],
        None,
    )
    ledger.close()
    return CommandLine(tmp_path / "data")


def test_a_month_is_shown_issued_and_exported(line: CommandLine, tmp_path: Path) -> None:
    listed = line("statements", "list")
    assert "│ 2026-03 │ open " in listed.out
    shown = line("statements", "show", "2026-03")
    assert "2026-03, Europe/Berlin: open" in shown.out
    assert "$4.50" in shown.out
    part = line("statements", "show", "2026-03", "--team", "core")
    assert "shared cost" in part.out
    assert "$4.50" in part.out
    assert line("statements", "show", "2026-03", "--team", "nobody").code == 1
    assert line("statements", "show", "2026-03", "--team", "(no team)").code == 0

    refused = line("statements", "close", "2026-03", typed="n\n")
    assert (refused.code, "nothing was issued" in refused.err) == (1, True)
    assert line("statements", "close", "2026-03", "--json").code == 2
    done = line("statements", "close", "2026-03", "--yes", "--json").json()
    assert (done["state"], done["totals"]["cost_usd"]) == ("issued", "4.500000000")
    again = line("statements", "close", "2026-03", "--yes")
    assert "issued already" in again.err
    reopened = line("months", "reopen", "2026-03")
    assert (reopened.code, "stays closed" in reopened.err) == (1, True)
    assert [row["month"] for row in line("months", "list", "--json").json()] == ["2026-03"]

    written = line("statements", "export", "2026-03")
    rows = list(csv.DictReader(io.StringIO(written.out)))
    assert [row["kind"] for row in rows] == ["usage", "usage", "shared", "shared"]
    assert line("statements", "export", "2026-03", "--format", "parquet").code == 2
    target = tmp_path / "march.parquet"
    options = ("--format", "focus_parquet", "--output", str(target), "--team", "core")
    assert line("statements", "export", "2026-03", *options).code == 0
    (state,) = set(pq.read_table(target).column("x_StatementState").to_pylist())
    assert state == "issued"
    said = line("audit", "list", "--action", "data.export", "--json").json()
    assert [entry["detail"]["format"] for entry in said] == ["focus_parquet", "csv"]
    assert line("statements", "show", "2027-13").code == 1
