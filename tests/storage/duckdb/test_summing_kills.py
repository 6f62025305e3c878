"""kill -9 while entries are summed up by the quarter-hour: each is in the sums once, or not yet."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ledger_entries import ledger_entry
from tollkeeper.failpoints import SUMS_POINTS
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

START_US = 1_790_000_100_000_000
ENTRIES = 40
OF_DAYS = Settings(zone="Asia/Kathmandu")
KILLED = """
import sys
from pathlib import Path
from tollkeeper.failpoints import kill_at
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.duckdb.handle import Settings
settings = Settings(zone="Asia/Kathmandu")
ledger = DuckDbLedger(Path(sys.argv[1]), settings, failpoint=kill_at(sys.argv[2]))
ledger.sum_up(left_max=0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of some quarter-hours, half of which are summed up."""
    path = tmp_path / "ledger.duckdb"
    with closing(DuckDbLedger(path, OF_DAYS)) as ledger:
        for batch in (0, 1):
            entries = [
                ledger_entry(
                    started_at_us=START_US + number * QUARTER_HOUR_US // 3,
                    cost_nanos=number + 1,
                    session_id=f"s{number % 27}",  # some go on, others have one entry
                    input_tokens=10,
                    cache_read_tokens=1,
                    output_tokens=5,
                    price_key="small",
                    call_id=f"c{number // 2}",
                    attempt=1 + number % 2,  # all of the second half, of calls of the first one
                )
                for number in range(batch, ENTRIES, 2)
            ]
            ledger.append(entries, Position("segment", batch + 1))
            if not batch:
                ledger.sum_up(left_max=0)
    return path


@pytest.mark.parametrize("point", SUMS_POINTS)
def test_killed_over_its_sums_a_ledger_has_each_entry_in_them_once(path: Path, point: str) -> None:
    assert sums_of(path) == (ENTRIES // 2, *of_the_first(path, ENTRIES // 2))
    command = [sys.executable, "-c", KILLED, str(path), point]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    half = ENTRIES // 2
    summed = half if point == "ledger.sums.before" else ENTRIES
    days = {"ledger.days.before", "ledger.days.after"}
    of_several = {"ledger.several.before", "ledger.several.after", *days}
    of_notes = {"ledger.notes.before", "ledger.notes.after", *of_several}
    late = {"ledger.finer.after", "ledger.caches.before", "ledger.caches.after", *of_notes}
    finely = ENTRIES if point in late else half
    noted = ENTRIES if point in {"ledger.notes.after", *of_several} else half
    assert noted_of(path) == (noted, noted)
    cached = ENTRIES if point in {"ledger.caches.after", *of_notes} else half
    assert caches_of(path) == (cached, cached)
    assert sums_of(path) == (summed, *of_the_first(path, summed))
    assert finer_sums_of(path) == (finely, *of_the_first(path, finely))
    timed = (
        half
        if point in {"ledger.sums.before", "ledger.sums.after", "ledger.times.before"}
        else ENTRIES
    )
    assert times_of(path) == (timed, timed)
    several = point in {"ledger.several.after", *days}
    assert several_of(path) == ((ENTRIES, ENTRIES) if several else (half, 0))
    daily = ENTRIES if point == "ledger.days.after" else half
    assert daily_sums_of(path) == of_the_first(path, daily)
    with closing(DuckDbLedger(path, OF_DAYS)) as ledger:
        ledger.sum_up(left_max=0)
    assert daily_sums_of(path) == of_the_first(path, ENTRIES)
    assert sums_of(path) == (ENTRIES, *of_the_first(path, ENTRIES))
    assert finer_sums_of(path) == (ENTRIES, *of_the_first(path, ENTRIES))
    assert times_of(path) == (ENTRIES, ENTRIES)
    assert noted_of(path) == (ENTRIES, ENTRIES)
    assert caches_of(path) == (ENTRIES, ENTRIES)
    assert several_of(path) == (ENTRIES, ENTRIES)


def noted_of(path: Path) -> tuple[object, ...]:
    """Give how many entries were looked at, and how many are noted: each is a small call."""
    with closing(duckdb.connect(str(path))) as connection:
        (counted,) = connection.table("summed_entries").project("noted").fetchall()
        (found,) = connection.table("noted_small_calls").aggregate("count(*)").fetchall()
    return *counted, *found


def caches_of(path: Path) -> tuple[object, ...]:
    """Give how many entries were looked at for caches, and how many are in sums: each is."""
    with closing(duckdb.connect(str(path))) as connection:
        (counted,) = connection.table("summed_entries").project("cached").fetchall()
        (found,) = connection.table("cache_quarter_hours").aggregate("sum(sign)::BIGINT").fetchall()
    return *counted, *found


def several_of(path: Path) -> tuple[object, ...]:
    """Give of how many entries the ledger says that it looked at their calls, and its copies."""
    with closing(duckdb.connect(str(path))) as connection:
        (counted,) = connection.table("summed_entries").project("several").fetchall()
        (found,) = connection.table("several_entries").aggregate("count(*)").fetchall()
    return *counted, *found


def times_of(path: Path) -> tuple[object, ...]:
    """Give how many entries the ledger says have their times in rows, and how many have."""
    with closing(duckdb.connect(str(path))) as connection:
        (counted,) = connection.table("summed_entries").project("timed").fetchall()
        (found,) = connection.table("request_times").aggregate("sum(len(durations_ms))").fetchall()
    return *counted, *found


def sums_of(path: Path, count: str = "entries", table: str = "quarter_hours") -> tuple[object, ...]:
    """Give how many entries the ledger says are summed up, their cost, and how many they are."""
    with closing(duckdb.connect(str(path))) as connection:
        (counted,) = connection.table("summed_entries").project(count).fetchall()
        (found,) = connection.table(table).aggregate("sum(cost_usd), sum(sign)::BIGINT").fetchall()
    return *counted, *found


def daily_sums_of(path: Path) -> tuple[object, ...]:
    """Give the cost of all days, and how many entries they have, having looked at their number."""
    counted, *found = sums_of(path, "daily", "days")
    with closing(duckdb.connect(str(path))) as connection:
        (rows,) = connection.execute(
            "SELECT sum(sign)::BIGINT FROM quarter_hours WHERE rowid < ?", [counted]
        ).fetchall()
    assert rows[0] == found[-1]
    return tuple(found)


def finer_sums_of(path: Path) -> tuple[object, ...]:
    """Give the same of finer sums, having looked at how sessions are numbered and marked."""
    with closing(duckdb.connect(str(path))) as connection:
        (numbers,) = connection.execute(
            "SELECT count(*), count(DISTINCT number), count(DISTINCT session_id) FROM sessions"
        ).fetchall()
        marked = connection.execute(
            "SELECT session_id, session_number FROM finer_quarter_hours JOIN sessions"
            " USING (session_id) GROUP BY ALL"
            " HAVING bool_or(session_alone) <> (count(*) = 1)"
            " OR any_value(number) <> session_number"
        ).fetchall()
    assert len(set(numbers)) == 1
    assert marked == []
    return sums_of(path, "finer", "finer_quarter_hours")


def of_the_first(path: Path, count: int) -> tuple[object, ...]:
    with closing(duckdb.connect(str(path))) as connection:
        (found,) = connection.execute(
            "SELECT sum(cost_usd), sum(sign)::BIGINT FROM entries WHERE rowid < ?", [count]
        ).fetchall()
    return tuple(found)
