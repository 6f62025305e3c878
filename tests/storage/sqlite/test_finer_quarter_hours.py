"""Finer sums in SQLite: of ledgers that had none, of sessions that go on, with all their times."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from ledgers import open_sqlite
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage import plain_ranks
from tollkeeper.storage.sqlite import finer_quarter_hours
from tollkeeper.storage.sqlite.finer_schema import KIND
from tollkeeper.storage.sqlite.ledger import SqliteLedger
from tollkeeper.storage.sqlite.schema import MIGRATIONS
from tollkeeper.storage.summed_columns import ALIKE, OPEN_CALL, SUMMED

START_US = 1_790_000_100_000_000
ENTRIES = 40
TABLES = ("finer_quarter_hours", "kinds", "labels", "sessions")
_FINER_SINCE = next(
    number
    for number, steps in enumerate(MIGRATIONS, start=1)
    if any("finer_quarter_hours" in step for step in steps)
)
KILLED = """
import sys
from pathlib import Path
from tollkeeper.failpoints import kill_at
from tollkeeper.storage.sqlite.ledger import SqliteLedger
ledger = SqliteLedger(Path(sys.argv[1]), failpoint=kill_at(sys.argv[2]))
ledger.sum_up(left_max=0)
"""


def load(ledger: SqliteLedger, batch: int, *sessions: str) -> None:
    entries = [
        ledger_entry(
            started_at_us=START_US + (100 * batch + number) * QUARTER_HOUR_US,
            session_id=session,
            duration_ms=batch + number,
            ttft_ms=None if number % 2 else number,
            cost_nanos=number,
        )
        for number, session in enumerate(sessions)
    ]
    correction = entries[0]._replace(
        entry_id=f"correction {batch}",
        session_id="",
        corrects=entries[0].entry_id,
        revision=1,
        sign=-1,
    )
    ledger.append([*entries, correction], Position("segment", batch))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(open_sqlite(tmp_path)) as opened:
        yield opened


def sessions_of(ledger: SqliteLedger) -> list[tuple[str, bool]]:
    """Give the sessions of all rows, and whether these are their only ones."""
    table = ledger.summed_finely((), alone=True)
    rows = ledger.run(table.select("session_id", "session_alone", "session_key"))
    assert all(row["session_key"] is None for row in rows if not row["session_id"])
    numbers = {(row["session_id"], row["session_key"]) for row in rows if row["session_id"]}
    assert len(numbers) == len({session for session, _ in numbers})
    assert len(numbers) == len({number for _, number in numbers})
    return sorted((row["session_id"], row["session_alone"]) for row in rows if row["session_id"])


def times_of(ledger: SqliteLedger, *, plain: bool = False) -> list[list[int | None]]:
    """Give some percentiles of both columns."""
    found = []
    for column in ("durations_ms", "ttfts_ms"):
        rows = plain_ranks.timed(ledger.entries()) if plain else ledger.timed(())
        values = ledger.each_value(rows.select(value=column), "value")
        ranks = {f"p{rank}": ledger.nearest_rank(values["value"], rank) for rank in (1, 50, 99)}
        found.append(list(ledger.run(values.agg(**ranks))[0].values()))
    return found


def test_a_session_is_alone_until_it_goes_on(ledger: SqliteLedger) -> None:
    load(ledger, 1, "a", "b", "c", "c")
    ledger.sum_up(left_max=0)
    assert sessions_of(ledger) == [("a", True), ("b", True), ("c", False), ("c", False)]
    load(ledger, 2, "b", "d", "d")  # loaded, and in no sums yet
    expected = [("a", True), *[("b", False)] * 2, *[("c", False)] * 2, *[("d", False)] * 2]
    assert sessions_of(ledger) == expected
    ledger.sum_up(left_max=0)
    assert sessions_of(ledger) == expected
    assert times_of(ledger) == times_of(ledger, plain=True) == [[1, 3, 4], [0, 0, 2]]


def test_a_ledger_without_finer_sums_gets_them_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_sqlite(tmp_path)) as ledger:
        load(ledger, 1, "a", "b", "a")
        ledger.sum_up(left_max=0)
    as_before_finer_sums(tmp_path / "ledger.sqlite3")
    monkeypatch.setattr(finer_quarter_hours, "LEFT_MAX", 1)
    with closing(open_sqlite(tmp_path)) as ledger:
        assert not ledger.sums_finely()
        assert not ledger.keeps_times()
        assert sessions_of(ledger) == [("a", False), ("a", False), ("b", False)]
        assert times_of(ledger) == times_of(ledger, plain=True)
        ledger.sum_up(left_max=0)
        assert ledger.sums_finely()
        assert sessions_of(ledger) == [("a", False), ("a", False), ("b", True)]
        assert times_of(ledger) == times_of(ledger, plain=True)


def as_before_finer_sums(path: Path) -> None:
    """Take finer sums out of a file, as if they had never been."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table in TABLES:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN finer")
        for table in ("noted_entries", "cache_calls", "cache_gaps", "small_quarter_hours"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN noted")
        connection.execute("DROP TABLE cache_quarter_hours")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN cached")
        for index in ("entries_further", "entries_narrow"):
            connection.execute(f"DROP INDEX {index}")
        connection.execute("DELETE FROM schema_versions WHERE version >= ?", [_FINER_SINCE])


def test_the_tables_of_finer_sums_have_all_columns(tmp_path: Path) -> None:
    open_sqlite(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        sums = connection.execute("SELECT * FROM finer_quarter_hours").description
        kinds = connection.execute("SELECT * FROM kinds").description
    assert {each.name for each in SUMMED} < {column[0] for column in sums}
    assert [column[0] for column in kinds] == ["number", *KIND]
    assert {each.name for each in ALIKE} == {*KIND, OPEN_CALL}


@pytest.mark.parametrize("point", ["ledger.finer.before", "ledger.finer.after"])
def test_killed_over_its_finer_sums_a_ledger_has_each_entry_in_them_once(
    tmp_path: Path, point: str
) -> None:
    path = tmp_path / "ledger.sqlite3"
    with closing(SqliteLedger(path)) as ledger:
        for batch in (0, 1):
            load(ledger, batch, *(f"s{number % 27}" for number in range(batch, ENTRIES, 2)))
            if not batch:
                ledger.sum_up(left_max=0)
    command = [sys.executable, "-c", KILLED, str(path), point]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    for _ in range(2):
        with closing(SqliteLedger(path)) as ledger:
            sums, entries = ledger.summed_finely(()), ledger.entries()
            found = [
                ledger.run(table.agg(cost=table.cost_usd.sum(), entries=table["sign"].sum()))
                for table in (sums, entries)
            ]
            assert found[0] == found[1]
            assert times_of(ledger) == times_of(ledger, plain=True)
            sessions_of(ledger)
            ledger.sum_up(left_max=0)
    with closing(sqlite3.connect(path)) as connection:
        (marked,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM finer_quarter_hours WHERE session <> 0"
            " GROUP BY session HAVING max(session_alone) <> (count(*) = 1))"
        ).fetchone()
    assert marked == 0
