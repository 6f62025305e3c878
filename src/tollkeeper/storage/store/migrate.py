"""Brings a store to the newest schema, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.schema import metadata
from tollkeeper.storage.store.schema_check import refuse_newer
from tollkeeper.storage.store.sqlite_engine import open_engine
from tollkeeper.storage.store.store_address import PostgresDatabase, StoreAddress


class _Opened(NamedTuple):
    """How to change a store: its engine, what to do first, and its errors in words."""

    engine: Engine
    prepare: Callable[[Connection], None]
    explain: Callable[[BaseException], OSError]


def migrate(at: StoreAddress) -> None:
    """Create the store if there is none, and bring its schema up to date.

    Processes that do this at once wait for each other. Nothing has changed when it fails.
    Raises ConfigError when the folder cannot be written, the database is none that can be
    used, or a newer Tollkeeper has written the store; OSError when it cannot be used.
    """
    opened = _sqlite(at) if isinstance(at, Path) else _postgres(at)
    try:
        with opened.engine.begin() as connection:
            opened.prepare(connection)
            version = MigrationContext.configure(connection).get_current_revision() or ""
            refuse_newer(version, at)
            run_migrations(connection)
    except DBAPIError as error:
        raise opened.explain(error.orig or error) from error
    finally:
        opened.engine.dispose()


def _sqlite(path: Path) -> _Opened:
    sqlite_file.create(path)
    engine = open_engine(path, for_migration=True)
    return _Opened(engine, lambda _: None, partial(sqlite_file.as_os_error, path=path))


def _postgres(database: PostgresDatabase) -> _Opened:
    server: Any = import_module("tollkeeper.storage.store.postgres_server")
    engine: Any = import_module("tollkeeper.storage.store.postgres_engine")
    return _Opened(
        engine.open_engine(database, for_migration=True),
        partial(engine.begin_migration, database=database),
        partial(server.as_os_error, database=database),
    )


def run_migrations(connection: Connection) -> None:
    """Run what is missing, within the connection's transaction."""
    scripts = migration_scripts()

    def steps(current: str, _context: MigrationContext) -> list[RevisionStep]:
        return scripts._upgrade_revs("head", current)

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(
            connection=connection, target_metadata=metadata, transactional_ddl=True
        )
        environment.run_migrations()


def migration_scripts() -> ScriptDirectory:
    """Give the package's migrations as Alembic knows them."""
    return ScriptDirectory(str(Path(__file__).parent / "migrations"))
