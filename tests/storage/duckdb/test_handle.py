"""A DuckDB file under bad conditions: locked, damaged, hardened, broken, on a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from ledger_entries import START_US, ledger_entry
from ledgers import SMALL, open_duckdb
from small_disk import mounted, resize
from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable
from tollkeeper.ports import Position
from tollkeeper.storage.columns import COLUMNS
from tollkeeper.storage.duckdb.handle import Handle
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.duckdb.schema import MIGRATIONS, TYPES, migrate

HOLD_OPEN = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[Handle]:
    opened = Handle(tmp_path / "ledger.duckdb", SMALL)
    yield opened
    opened.close()


def refused(handle: Handle, statement: str) -> bool:
    """Tell whether the engine itself says no."""
    try:
        with handle.cursor() as cursor:
            cursor.execute(statement).fetchall()
    except (duckdb.Error, LedgerUnavailable):
        return True
    return False


# --------------------------------------------------------------------- hardening


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/*.parquet')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "ATTACH '/tmp/other.duckdb'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "COPY entries FROM '/etc/passwd'",
        "EXPORT DATABASE '/tmp/export'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE SECRET s (TYPE s3)",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET memory_limit = '100GB'",
        "SET GLOBAL TimeZone = 'Asia/Tokyo'",
        "SELECT * FROM statement",  # a Python variable of this very function
    ],
)
def test_a_query_reaches_nothing_outside_the_file(handle: Handle, statement: str) -> None:
    assert refused(handle, statement)
    with handle.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM entries").fetchall() == [(0,)]


def test_times_are_utc_whatever_the_machine(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tollkeeper.storage.duckdb.handle import Handle\n"
        "with Handle(Path(sys.argv[1])).cursor() as cursor:\n"
        "    print(cursor.execute(\"SELECT current_setting('TimeZone')\").fetchall()[0][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "ledger.duckdb"],
        env={**os.environ, "TZ": "Asia/Tokyo"},  # noqa: TID251
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "UTC"


# --------------------------------------------------------------------- opening


def test_a_second_process_learns_who_has_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    DuckDbLedger(path, SMALL).close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(LedgerInUse, match=f"in use by process {holder.pid}") as caught:
            DuckDbLedger(path, SMALL)
        assert caught.value.pid == holder.pid
        holder.communicate()
    DuckDbLedger(path, SMALL).close()


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(LedgerUnavailable, match=r"cannot open the ledger .*ledger\.duckdb"):
        DuckDbLedger(path, SMALL)
    assert path.read_bytes() == b"not a database" * 1_000


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="No such file or directory"):
        DuckDbLedger(tmp_path / "absent" / "ledger.duckdb", SMALL)


# --------------------------------------------------------------------- schema


def test_the_table_is_what_the_columns_say(handle: Handle) -> None:
    with handle.cursor() as cursor:
        found = cursor.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns()"
            " WHERE table_name = 'entries' ORDER BY column_index"
        ).fetchall()
    expected = [(column.name, TYPES[column.kind], column.nullable) for column in COLUMNS]
    assert sorted(found) == sorted(expected)


def test_an_older_file_is_brought_forward_and_keeps_its_rows(tmp_path: Path) -> None:
    ledger = open_duckdb(tmp_path)
    ledger.append([ledger_entry()], Position("a", 1))
    ledger.close()
    connection = duckdb.connect(str(tmp_path / "ledger.duckdb"))
    steps = (*MIGRATIONS, ("ALTER TABLE entries ADD COLUMN region VARCHAR DEFAULT ''",))
    migrate(connection, steps)
    migrate(connection, steps)
    assert connection.execute("SELECT region FROM entries").fetchall() == [("",)]
    versions = connection.execute("SELECT version FROM schema_versions ORDER BY 1").fetchall()
    assert versions == [(number,) for number in range(1, len(steps) + 1)]
    connection.close()


def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    connection = duckdb.connect(str(tmp_path / "ledger.duckdb"))
    migrate(connection)
    steps = (*MIGRATIONS, ("CREATE TABLE half (a INTEGER)", "ALTER TABLE absent ADD COLUMN b INT"))
    with pytest.raises(duckdb.CatalogException):
        migrate(connection, steps)
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT max(version) FROM schema_versions").fetchall() == [
        (len(MIGRATIONS),)
    ]
    migrate(connection, MIGRATIONS)
    connection.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.duckdb"
    connection = duckdb.connect(str(path))
    migrate(connection)
    connection.execute("INSERT INTO schema_versions VALUES (99, now()::TIMESTAMP)")
    connection.close()
    with pytest.raises(LedgerUnavailable, match="newer Tollkeeper"):
        DuckDbLedger(path, SMALL)


# --------------------------------------------------------------------- broken and mended


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_broken_database_is_opened_again_on_the_next_use(tmp_path: Path) -> None:
    handle = Handle(tmp_path / "ledger.duckdb", SMALL)
    with handle.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 7 AS a")
    with pytest.raises(LedgerUnavailable, match="gone"), handle.cursor():
        raise duckdb.FatalException("FATAL Error: gone\nwith details")
    with handle.cursor() as cursor:
        assert cursor.execute("SELECT a FROM kept").fetchall() == [(7,)]
    handle.close()


def rows_of(handle: Handle) -> list[tuple[object, ...]]:
    with handle.cursor() as cursor:
        return cursor.execute("SELECT a FROM kept").fetchall()


def keep(handle: Handle, number: int) -> None:
    with handle.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (a INTEGER)")
        cursor.execute("INSERT INTO kept VALUES (?)", [number])


def test_nothing_is_written_to_a_file_that_was_taken_away(tmp_path: Path) -> None:
    path, away = tmp_path / "ledger.duckdb", tmp_path / "away.duckdb"
    handle = Handle(path, SMALL)
    keep(handle, 7)
    path.rename(away)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="is gone: put it back"):
            keep(handle, 8)
    assert not path.exists(), "no empty ledger takes the place of the one that is looked for"
    away.rename(path)
    keep(handle, 9)
    assert rows_of(handle) == [(7,), (9,)]
    handle.close()


def test_another_file_in_its_place_is_opened(tmp_path: Path) -> None:
    path, other = tmp_path / "ledger.duckdb", tmp_path / "other.duckdb"
    restored = Handle(other, SMALL)
    keep(restored, 1)
    restored.close()
    handle = Handle(path, SMALL)
    keep(handle, 7)
    other.rename(path)
    assert rows_of(handle) == [(1,)]
    handle.close()


def test_opening_again_is_tried_with_growing_pauses(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "folder" / "ledger.duckdb"
    path.parent.mkdir()
    handle = Handle(path, SMALL, now_s=clock)
    with pytest.raises(LedgerUnavailable), handle.cursor():
        raise duckdb.FatalException("FATAL Error: gone")
    path.parent.rename(tmp_path / "elsewhere")
    attempts = []
    for _ in range(400):
        clock.now_s += 0.25
        with pytest.raises(LedgerUnavailable) as caught, handle.cursor():
            pass
        if "cannot open" in caught.value.message:
            attempts.append(clock.now_s)
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    assert pauses[-1] == 30.0
    (tmp_path / "elsewhere").rename(path.parent)
    clock.now_s += 31
    with handle.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM entries").fetchall() == [(0,)]
    handle.close()


def test_a_query_that_runs_is_waited_for_before_the_database_is_opened_again(
    tmp_path: Path,
) -> None:
    handle = Handle(tmp_path / "ledger.duckdb", SMALL)
    inside, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def long_query() -> None:
        with handle.cursor():
            inside.set()
            leave.wait(10)
            order.append("query ended")

    thread = threading.Thread(target=long_query)
    thread.start()
    inside.wait(10)
    with pytest.raises(LedgerUnavailable), handle.cursor():
        raise duckdb.FatalException("FATAL Error: gone")
    threading.Timer(0.1, leave.set).start()
    with handle.cursor() as cursor:
        order.append("opened again")
        cursor.execute("SELECT 1").fetchall()
    thread.join()
    assert order == ["query ended", "opened again"]
    handle.close()


# --------------------------------------------------------------------- disk full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "6m") as folder:
        yield folder


def load_on(ledger: DuckDbLedger) -> None:
    """Append the batch that follows what the ledger says it has, as the loader does."""
    number = ledger.positions().get("a", 0)
    batch = [
        ledger_entry(started_at_us=START_US + 500 * number + each, usage_raw=f'"{number}"' * 9)
        for each in range(500)
    ]
    ledger.append(batch, Position("a", number + 1))


def test_a_full_disk_loses_nothing_and_the_ledger_comes_back(small_disk: Path) -> None:
    ledger = open_duckdb(small_disk)
    table = ledger.entries()
    counted = table.agg(n=table.count())
    acknowledged = 0
    faults: list[str] = []
    while len(faults) < 6:
        try:
            load_on(ledger)
            acknowledged += 500
            if acknowledged % 2_500 == 0:
                ledger.maintain()
        except LedgerUnavailable as error:
            faults.append(error.message)
    assert any("No space left" in fault for fault in faults), faults
    (full,) = ledger.run(counted)
    assert full["n"] == 500 * ledger.positions()["a"]
    assert full["n"] >= acknowledged  # an error at the very end may come after the commit
    resize(small_disk, "64m")
    load_on(ledger)
    ledger.maintain()
    ledger.close()
    again = open_duckdb(small_disk)
    assert again.run(counted) == [{"n": full["n"] + 500}]
    assert again.positions()["a"] * 500 == full["n"] + 500
    again.close()
