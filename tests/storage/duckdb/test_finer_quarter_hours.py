"""Finer sums: of ledgers that had none, and of sessions that go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.domain.noted import NOTED
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage.duckdb import finer_quarter_hours
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.duckdb.schema import MIGRATIONS
from tollkeeper.storage.summed_columns import FINER_SUMS

START_US = 1_790_000_100_000_000
_FINER_SINCE = next(
    number
    for number, steps in enumerate(MIGRATIONS, start=1)
    if any("finer_quarter_hours" in step for step in steps)
)


def load(ledger: DuckDbLedger, batch: int, *sessions: str) -> None:
    entries = [
        ledger_entry(
            started_at_us=START_US + (100 * batch + number) * QUARTER_HOUR_US, session_id=session
        )
        for number, session in enumerate(sessions)
    ]
    ledger.append(entries, Position("segment", batch))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckDbLedger]:
    with closing(open_duckdb(tmp_path)) as opened:
        yield opened


def sessions_of(ledger: DuckDbLedger) -> list[tuple[str, bool]]:
    """Give the sessions of all rows, and whether these are their only ones."""
    table = ledger.summed_finely((), alone=True)
    rows = ledger.run(table.select("session_id", "session_alone", "session_number"))
    numbers = {(row["session_id"], row["session_number"]) for row in rows if row["session_id"]}
    assert len(numbers) == len({session for session, _ in numbers})
    assert len(numbers) == len({number for _, number in numbers})
    return sorted((row["session_id"], row["session_alone"]) for row in rows)


def test_a_session_is_alone_until_it_goes_on(ledger: DuckDbLedger) -> None:
    load(ledger, 1, "a", "b", "c", "c", "")
    ledger.sum_up(left_max=0)
    assert sessions_of(ledger) == [
        ("", False),
        ("a", True),
        ("b", True),
        ("c", False),
        ("c", False),
    ]
    load(ledger, 2, "b", "d")  # loaded, and in no sums yet
    expected = [("", False), ("a", True), *[("b", False)] * 2, *[("c", False)] * 2]
    assert sessions_of(ledger) == [*expected, ("d", False)]
    ledger.sum_up(left_max=0)
    assert sessions_of(ledger) == [*expected, ("d", True)]


def test_a_ledger_without_finer_sums_gets_them_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_duckdb(tmp_path)) as ledger:
        load(ledger, 1, "a", "b", "a")
        ledger.sum_up(left_max=0)
    as_before_finer_sums(tmp_path / "ledger.duckdb")
    monkeypatch.setattr(finer_quarter_hours, "LEFT_MAX", 1)
    with closing(open_duckdb(tmp_path)) as ledger:
        assert not ledger.sums_finely()
        assert sessions_of(ledger) == [("a", False), ("a", False), ("b", False)]
        ledger.sum_up(left_max=0)
        assert ledger.sums_finely()
        assert sessions_of(ledger) == [("a", False), ("a", False), ("b", True)]


def as_before_finer_sums(path: Path) -> None:
    """Take finer sums out of a file, as if they had never been."""
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("DROP TABLE finer_quarter_hours")
        connection.execute("DROP TABLE sessions")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN finer")
        connection.execute("DROP TABLE request_times")  # which came later
        connection.execute("ALTER TABLE summed_entries DROP COLUMN timed")
        connection.execute("DROP TABLE days")  # which came later still
        connection.execute("ALTER TABLE summed_entries DROP COLUMN daily")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN days_of")
        for finding in NOTED:
            connection.execute(f"DROP TABLE noted_{finding}")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN noted")
        connection.execute("DROP TABLE cache_quarter_hours")
        connection.execute("ALTER TABLE summed_entries DROP COLUMN cached")
        connection.execute("DROP TABLE several_entries")  # and later than that
        connection.execute("ALTER TABLE summed_entries DROP COLUMN several")
        connection.execute("DELETE FROM schema_versions WHERE version >= ?", [_FINER_SINCE])


def test_the_table_of_finer_sums_has_its_columns(tmp_path: Path) -> None:
    open_duckdb(tmp_path).close()
    with duckdb.connect(str(tmp_path / "ledger.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT * FROM finer_quarter_hours").description
    assert [column[0] for column in found] == [column.name for column in FINER_SUMS]
