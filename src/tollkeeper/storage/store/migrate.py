"""Brings a store to the newest schema, all in one transaction."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.schema import metadata
from tollkeeper.storage.store.schema_check import refuse_newer
from tollkeeper.storage.store.sqlite_engine import open_engine


def migrate(path: Path) -> None:
    """Create the store if there is none, and bring its schema up to date.

    Processes that do this at once wait for each other. Nothing has changed when it fails.
    Raises ConfigError when the folder cannot be written or when a newer Tollkeeper has
    written the store, OSError when the store cannot be used.
    """
    sqlite_file.create(path)
    engine = open_engine(path, for_migration=True)
    try:
        with engine.begin() as connection:
            version = MigrationContext.configure(connection).get_current_revision() or ""
            refuse_newer(version, path)
            run_migrations(connection)
    except DBAPIError as error:
        raise sqlite_file.as_os_error(error.orig or error, path) from error
    finally:
        engine.dispose()


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
