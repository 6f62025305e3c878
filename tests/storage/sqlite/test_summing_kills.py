"""kill -9 while an SQLite ledger sums up and makes notes: its file ends as one never killed."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from tollkeeper.failpoints import SUMS_POINTS
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage.sqlite.handle import Settings
from tollkeeper.storage.sqlite.ledger import SqliteLedger

START_US = 1_790_000_100_000_000
ENTRIES = 40
OF_DAYS = Settings(zone="Asia/Kathmandu")
OF_DUCKDB = ("ledger.times.", "ledger.several.")
"""Beginnings of points that SQLite has not: times are in finer sums, calls are found by indexes."""

POINTS = [point for point in SUMS_POINTS if not point.startswith(OF_DUCKDB)]
MADE = (
    *("quarter_hours", "days", "kinds", "labels", "sessions", "finer_quarter_hours"),
    *("cache_quarter_hours", "small_quarter_hours", "noted_entries", "cache_calls", "cache_gaps"),
    "summed_entries",
)
KILLED = """
import sys
from pathlib import Path
from tollkeeper.failpoints import kill_at
from tollkeeper.storage.sqlite.handle import Settings
from tollkeeper.storage.sqlite.ledger import SqliteLedger
settings = Settings(zone="Asia/Kathmandu")
ledger = SqliteLedger(Path(sys.argv[1]), settings, failpoint=kill_at(sys.argv[2]))
ledger.sum_up(left_max=0)
"""


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of some days, half of which is summed up."""
    path = tmp_path_factory.mktemp("half") / "ledger.sqlite3"
    with closing(SqliteLedger(path, OF_DAYS)) as ledger:
        for batch in (0, 1):
            entries = [
                ledger_entry(
                    entry_id=f"e{number}",
                    call_id=f"c{number // 2}",
                    attempt=1 + number % 2,
                    started_at_us=START_US + number * 7 * QUARTER_HOUR_US,
                    cost_nanos=number + 1,
                    session_id=f"s{number % 27}",
                    input_tokens=10,
                    cache_read_tokens=1,
                    cache_write_tokens=2_000 * min(number % 3, 1),
                    model_served="claude-opus-9",
                    output_tokens=5,
                    price_key="small",
                )
                for number in range(batch, ENTRIES, 2)
            ]
            ledger.append(entries, Position("segment", batch + 1))
            if not batch:
                ledger.sum_up(left_max=0)
    return path


@pytest.fixture(scope="module")
def whole(half: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What its tables have once all is summed up by a process that is not killed."""
    path = Path(shutil.copy(half, tmp_path_factory.mktemp("whole")))
    summed_up(path)
    found = tables_of(path)
    assert all(found.values())
    assert found != tables_of(half)
    return found


@pytest.mark.parametrize("point", POINTS)
def test_killed_over_its_sums_a_ledger_ends_as_one_that_was_not(
    half: Path, whole: dict[str, list[str]], tmp_path: Path, point: str
) -> None:
    path = Path(shutil.copy(half, tmp_path))
    command = [sys.executable, "-c", KILLED, str(path), point]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if point.endswith(".before"):  # after the last of them all is done
        assert tables_of(path) != whole
    for _ in range(2):  # the second time there is nothing to do
        summed_up(path)
        assert tables_of(path) == whole


def summed_up(path: Path) -> None:
    with closing(SqliteLedger(path, OF_DAYS)) as ledger:
        ledger.sum_up(left_max=0)


def tables_of(path: Path) -> dict[str, list[str]]:
    """Give the rows of what is made of entries, in no order."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}")))  # noqa: S608 - names of ours
            for table in MADE
        }
