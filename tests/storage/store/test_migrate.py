"""A store's schema: from nothing, as declared, never half, and never a newer one."""

from __future__ import annotations

import io
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.key_directory import SqliteKeyDirectory
from tollkeeper.storage.store.migrate import migrate, migration_scripts
from tollkeeper.storage.store.schema import metadata
from tollkeeper.storage.store.schema_check import SCHEMA_HEAD, schema_is_current
from tollkeeper.storage.store.sqlite_engine import open_engine
from tollkeeper.storage.store.store import open_sql_store

_IMPORT = "import sys, pathlib; from tollkeeper.storage.store.migrate import migrate; "
_RUN = "migrate(pathlib.Path(sys.argv[1]))"
_MIGRATE = _IMPORT + _RUN
WITHOUT_NUMBERS = {"key_networks", "orgs", "key_file", "team_parents", "session_beginnings"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.sqlite3"


def tables(path: Path) -> dict[str, set[str]]:
    """Give each table's and index's definition as the set of its parts."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE sql IS NOT NULL AND name != 'alembic_version'"
        ).fetchall()
    return {name: definition(sql) for name, sql in rows}


def definition(sql: str) -> set[str]:
    """Give the columns and constraints of a statement, in no order."""
    inner = sql.strip().partition("(")[2].removesuffix(")")
    return {part.strip() for part in re.split(r",\s*\n", inner)}


def test_a_store_is_made_from_nothing_and_then_left_alone(path: Path) -> None:
    assert not schema_is_current(path)
    migrate(path)
    assert schema_is_current(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


def test_the_migrations_lead_to_the_declared_schema(path: Path, tmp_path: Path) -> None:
    migrate(path)
    declared = tmp_path / "declared.sqlite3"
    engine = open_engine(declared)
    with engine.begin() as connection:
        metadata.create_all(connection)
    engine.dispose()
    assert tables(path) == tables(declared)
    engine = open_engine(path)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_cheap_check_knows_the_newest_migration() -> None:
    scripts = migration_scripts()
    assert scripts.get_current_head() == SCHEMA_HEAD
    for script in scripts.walk_revisions():
        assert re.fullmatch(r"[0-9]{4}", script.revision)


def test_a_migration_can_be_undone_and_done_again(path: Path) -> None:
    migrate(path)
    made = tables(path)
    scripts = migration_scripts()

    def undo(current: str, _: object) -> list[RevisionStep]:
        return scripts._downgrade_revs("base", current)

    engine = open_engine(path, for_migration=True)
    with engine.begin() as connection, EnvironmentContext(Config(), scripts, fn=undo) as undoing:
        undoing.configure(connection=connection, transactional_ddl=True)
        undoing.run_migrations()
    engine.dispose()
    assert tables(path) == {}
    assert not schema_is_current(path)
    migrate(path)
    assert tables(path) == made


def test_memberships_of_an_older_store_begin_with_what_is_so_now(path: Path) -> None:
    path.parent.mkdir()
    scripts = migration_scripts()

    def to_0008(current: object, _: object) -> list[RevisionStep]:
        return scripts._upgrade_revs("0008", current)  # type: ignore[arg-type]

    engine = open_engine(path, for_migration=True)
    with engine.begin() as connection, EnvironmentContext(Config(), scripts, fn=to_0008) as older:
        older.configure(connection=connection, transactional_ddl=True)
        older.run_migrations()
        connection.exec_driver_sql(
            "INSERT INTO teams (team_id, name, name_folded, active, created_at_us)"
            " VALUES ('t', 'Core', 'core', 1, 5)"
        )
        connection.exec_driver_sql(
            "INSERT INTO users (user_id, email, name, role, team_id, active, created_at_us)"
            " VALUES ('a', 'a@b.c', 'A', 'lead', 't', 1, 7),"
            " ('b', 'b@b.c', 'B', 'lead', NULL, 1, 8), ('c', 'c@b.c', 'C', 'member', 't', 0, 9)"
        )
    engine.dispose()
    migrate(path)
    store = open_sql_store(path)
    assert store.memberships() == [("a", "Core", 7, None), ("b", "", 8, None)]
    store.close()


@pytest.mark.parametrize("opener", [schema_is_current, migrate, open_sql_store, SqliteKeyDirectory])
def test_a_store_of_a_newer_version_is_refused(path: Path, opener: object) -> None:
    migrate(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="newer Tollkeeper") as raised:
        opener(path)  # type: ignore[operator]
    assert str(path) in str(raised.value)
    assert "0999" in str(raised.value)
    assert "install the newer version" in str(raised.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("opener", [open_sql_store, SqliteKeyDirectory])
def test_a_store_without_schema_is_not_opened(path: Path, opener: object) -> None:
    sqlite_file.create(path)
    with pytest.raises((ConfigError, OSError), match="schema"):
        opener(path)  # type: ignore[operator]


@pytest.mark.parametrize("opener", [schema_is_current, migrate, SqliteKeyDirectory])
def test_a_file_that_is_no_store_is_named(path: Path, opener: object) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(OSError, match="damaged") as raised:
        opener(path)  # type: ignore[operator]
    assert str(path) in str(raised.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written") as raised:
        migrate(tmp_path / "file" / "data" / "store.sqlite3")
    assert str(tmp_path / "file" / "data") in str(raised.value)
    assert "--data" in str(raised.value)


def test_a_folder_of_somebody_else_is_named() -> None:
    as_nobody = "import os; os.geteuid() or os.setuid(65534); "
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        folder = Path(above) / "data"
        folder.mkdir(mode=0o555)
        failed = subprocess.run(
            [sys.executable, "-c", _IMPORT + as_nobody + _RUN, str(folder / "store.sqlite3")],
            capture_output=True,
            timeout=60,
            text=True,
        )
    assert f"{folder}: the data folder cannot be written: Permission denied" in failed.stderr
    assert "give this user write access" in failed.stderr


def test_only_the_owner_can_read_the_store(path: Path) -> None:
    migrate(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file.name


def test_of_processes_that_start_at_once_all_find_one_whole_store(path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", _MIGRATE, str(path)], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for child in children:
        _, complaint = child.communicate(timeout=60)
        assert (child.returncode, complaint) == (0, b"")
    assert schema_is_current(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM revisions").fetchone() == (1,)


def test_a_disk_that_fills_up_leaves_nothing_half_done(path: Path) -> None:
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY)); "
    )
    failed = subprocess.run(
        [sys.executable, "-c", limited + _MIGRATE, str(path)], capture_output=True, timeout=60
    )
    assert failed.returncode != 0
    assert b"OSError" in failed.stderr
    assert str(path).encode() in failed.stderr
    assert not schema_is_current(path)
    migrate(path)
    assert schema_is_current(path)


def test_the_schema_is_right_for_postgresql_too(path: Path) -> None:
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        statement = str(CreateTable(table).compile(dialect=dialect))
        assert "BIGINT" in statement or table.name in WITHOUT_NUMBERS
        assert "DATETIME" not in statement
        assert "typeof" not in statement
    virtual_keys = str(CreateTable(metadata.tables["virtual_keys"]).compile(dialect=dialect))
    assert "secret_hmac BYTEA NOT NULL" in virtual_keys
    users = str(CreateTable(metadata.tables["users"]).compile(dialect=dialect))
    assert "active BOOLEAN NOT NULL" in users
    assert "IN (0, 1)" not in users


def test_the_migrations_write_the_declared_schema_for_postgresql() -> None:
    scripts = migration_scripts()
    written = io.StringIO()

    def steps(current: str, _: object) -> list[RevisionStep]:
        return scripts._upgrade_revs("head", current)

    with EnvironmentContext(Config(), scripts, fn=steps, as_sql=True) as offline:
        offline.configure(dialect_name="postgresql", output_buffer=written)
        offline.run_migrations()
    sql = written.getvalue()
    dialect = postgresql.dialect()
    for table in metadata.sorted_tables:
        declared = str(CreateTable(table).compile(dialect=dialect))
        made = next(part for part in sql.split(";") if f"CREATE TABLE {table.name} (" in part)
        assert definition(made) == definition(declared)
