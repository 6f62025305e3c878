"""An SQLite ledger's file under bad conditions: locked, damaged, taken away, on a full disk."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger_entries import START_US, ledger_entry
from ledgers import open_sqlite
from small_disk import mounted, resize
from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.storage.columns import COLUMNS
from tollkeeper.storage.sqlite.handle import Handle, Settings
from tollkeeper.storage.sqlite.ledger import SqliteLedger
from tollkeeper.storage.sqlite.schema import MIGRATIONS, TYPES, migrate

READ_ONLY = Settings(read_only=True)
HOLD_OPEN = """
import sys
from pathlib import Path
from tollkeeper.storage.sqlite.handle import Handle
handle = Handle(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""
KILLED = """
import sys
from pathlib import Path
from tollkeeper.failpoints import kill_at
from tollkeeper.storage.sqlite.ledger import SqliteLedger
from tollkeeper.storage.sqlite.handle import Settings
settings = Settings(zone="Asia/Kathmandu")
SqliteLedger(Path(sys.argv[1]), settings, failpoint=kill_at(sys.argv[2])).sum_up(left_max=0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


# --------------------------------------------------------------------- opening


def test_a_second_process_learns_who_has_the_ledger(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        for settings in (Settings(), READ_ONLY):
            with pytest.raises(LedgerInUse, match=f"in use by process {holder.pid}") as caught:
                SqliteLedger(path, settings)
            assert caught.value.pid == holder.pid
        holder.communicate()
    SqliteLedger(path).close()


def test_a_file_that_is_no_ledger_is_named(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(LedgerUnavailable, match=r"cannot open the ledger .*ledger\.sqlite3"):
        SqliteLedger(path)
    assert path.read_bytes() == b"not a database" * 1_000


def test_another_file_of_sqlite_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE users (name TEXT)")
    with pytest.raises(LedgerUnavailable, match="something else"):
        SqliteLedger(path)
    with closing(sqlite3.connect(path)) as file:
        tables = file.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("users",)]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="No such file or directory"):
        SqliteLedger(tmp_path / "absent" / "ledger.sqlite3")


def test_only_its_owner_can_read_the_file(path: Path) -> None:
    SqliteLedger(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_whoever_reads_only_cannot_write(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.append([ledger_entry()], Position("a", 1))
    with closing(SqliteLedger(path, READ_ONLY)) as one, closing(SqliteLedger(path, READ_ONLY)):
        assert one.positions() == {"a": 1}
        with pytest.raises(LedgerUnavailable, match="readonly"):
            one.append([ledger_entry()], Position("a", 2))


def test_a_connection_that_reads_cannot_write(path: Path) -> None:
    with closing(Handle(path)) as handle, handle.reader() as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchall() == [(0,)]
        for statement in ("DELETE FROM entries", "DROP TABLE entries", "ATTACH '/tmp/x' AS x"):
            with pytest.raises(sqlite3.Error):
                connection.execute(statement)


# --------------------------------------------------------------------- schema


def test_the_table_is_what_the_columns_say(path: Path) -> None:
    with closing(Handle(path)) as handle, handle.reader() as connection:
        found = connection.execute(
            "SELECT name, type, \"notnull\" FROM pragma_table_info('entries')"
        )
        columns = {(name, kind, not notnull) for name, kind, notnull in found}
    assert columns == {(column.name, TYPES[column.kind], column.nullable) for column in COLUMNS}


def test_an_older_file_is_brought_forward_and_keeps_its_rows(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.append([ledger_entry()], Position("a", 1))
    steps = (*MIGRATIONS, ("ALTER TABLE entries ADD COLUMN region TEXT DEFAULT ''",))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        migrate(file, steps)
        migrate(file, steps)
        assert file.execute("SELECT region FROM entries").fetchall() == [("",)]
    with pytest.raises(LedgerUnavailable, match="newer Tollkeeper"):
        SqliteLedger(path)


def test_a_failed_migration_changes_nothing(path: Path) -> None:
    steps = (*MIGRATIONS, ("CREATE TABLE half (a)", "ALTER TABLE absent ADD COLUMN b"))
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        with pytest.raises(sqlite3.OperationalError):
            migrate(file, steps)
        found = file.execute("SELECT max(version) FROM schema_versions").fetchall()
        assert found == [(len(MIGRATIONS),)]
        assert file.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall() == []


# --------------------------------------------------------------------- broken and mended


def test_nothing_is_written_to_a_file_that_was_taken_away(path: Path, tmp_path: Path) -> None:
    away = tmp_path / "away.sqlite3"
    with closing(open_sqlite(tmp_path)) as ledger:
        ledger.append([ledger_entry()], Position("a", 1))
        path.rename(away)
        for _ in range(2):
            with pytest.raises(LedgerUnavailable, match="is gone: put it back"):
                ledger.append([ledger_entry()], Position("a", 2))
        assert not path.exists()
        away.rename(path)
        ledger.append([ledger_entry()], Position("a", 3))
        assert ledger.positions() == {"a": 3}


def test_another_file_in_its_place_is_opened(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    with closing(SqliteLedger(other)) as restored:
        restored.append([ledger_entry()], Position("restored", 7))
    with closing(open_sqlite(tmp_path)) as ledger:
        ledger.append([ledger_entry()], Position("a", 1))
        ledger.maintain()
        for name in ("ledger.sqlite3-wal", "ledger.sqlite3-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        other.rename(path)
        assert ledger.positions() == {"restored": 7}


def test_a_broken_file_is_opened_again_on_the_next_use(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path)) as ledger:
        handle = ledger._handle
        broken = sqlite3.OperationalError("disk I/O error")
        broken.sqlite_errorcode = sqlite3.SQLITE_IOERR
        with pytest.raises(LedgerUnavailable, match="disk I/O error"), handle.reader():
            raise broken
        assert ledger.append([ledger_entry()], Position("a", 1)) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "6m") as folder:
        yield folder


def test_a_full_disk_loses_nothing_and_the_ledger_comes_back(small_disk: Path) -> None:
    ledger = open_sqlite(small_disk)
    counted = ledger.entries().count().name("n").as_table()
    acknowledged, faults = 0, 0
    while faults < 4:
        try:
            number = ledger.positions().get("a", 0)
            first_us = START_US + 500 * number
            batch = [ledger_entry(started_at_us=first_us + each) for each in range(500)]
            ledger.append(batch, Position("a", number + 1))
            acknowledged += 500
        except LedgerUnavailable as error:
            assert "No space left" in error.message or "failed" in error.message
            faults += 1
    rows = ledger.run(counted)[0]["n"]
    assert rows == 500 * ledger.positions()["a"] == acknowledged
    resize(small_disk, "64m")
    ledger.append([ledger_entry()], Position("b", 1))
    ledger.maintain()
    ledger.close()
    with closing(open_sqlite(small_disk)) as again:
        assert again.run(counted) == [{"n": rows + 1}]


# --------------------------------------------------------------------- sums


@pytest.mark.parametrize(
    "point",
    ["ledger.sums.before", "ledger.sums.after", "ledger.days.before", "ledger.days.after"],
)
def test_killed_over_its_sums_a_ledger_has_each_entry_in_them_once(path: Path, point: str) -> None:
    entries = [
        ledger_entry(started_at_us=START_US + number * QUARTER_HOUR_US // 3, cost_nanos=number)
        for number in range(40)
    ]
    with closing(SqliteLedger(path)) as ledger:
        ledger.append(entries, Position("segment", 1))
    command = [sys.executable, "-c", KILLED, str(path), point]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with closing(SqliteLedger(path)) as ledger:
        for _ in range(2):
            assert _sums(ledger) == _sums_of_entries(ledger)
            ledger.sum_up(left_max=0)


def test_a_sum_beyond_64_bits_is_made_of_several_rows(tmp_path: Path) -> None:
    entries = [ledger_entry(input_tokens=2**62, cost_nanos=2**62) for _ in range(9)]
    with closing(open_sqlite(tmp_path)) as ledger:
        ledger.append(entries, Position("a", 1))
        for _ in range(9):
            ledger.sum_up(left_max=0)
        with ledger._handle.reader() as connection:
            assert connection.execute("SELECT entries, wide FROM summed_entries").fetchall() == [
                (9, 0)
            ]
        assert _sums(ledger) == _sums_of_entries(ledger)


def test_numbers_beyond_64_bits_are_not_summed_up(tmp_path: Path) -> None:
    with closing(open_sqlite(tmp_path)) as ledger:
        ledger.append([ledger_entry(), ledger_entry(cost_nanos=10**24)], Position("a", 1))
        ledger.sum_up(left_max=0)
        with ledger._handle.reader() as connection:
            assert connection.execute("SELECT entries FROM summed_entries").fetchall() == [(0,)]
        assert _sums(ledger) == _sums_of_entries(ledger)


def _sums(ledger: SqliteLedger) -> list[dict[str, object]]:
    sums = ledger.summed(())
    return ledger.run(sums.agg(cost=sums.cost_usd.sum(), tokens=sums.tokens_in.sum()))


def _sums_of_entries(ledger: SqliteLedger) -> list[dict[str, object]]:
    entries = ledger.entries()
    return ledger.run(entries.agg(cost=entries.cost_usd.sum(), tokens=entries.tokens_in.sum()))
