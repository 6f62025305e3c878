"""SQLAlchemy's engine over a PostgreSQL database, and what comes before a change of its schema."""

from __future__ import annotations

from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine, QueuePool, create_engine, text

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import postgres_server
from tollkeeper.storage.store.store_address import PostgresDatabase

_CONNECTIONS_KEPT: Final = 4
_CONNECTIONS_MORE: Final = 12
_CONNECTION_WAIT_S: Final = 10
_MIGRATION_WAIT_S: Final = 60
_MIGRATION_S: Final = 600
_MIGRATION_LOCK: Final = 0x746F6C6C6B6565  # any number that nobody else takes: "tollkee"
_VERSION_MIN: Final = 12


def open_engine(database: PostgresDatabase, *, for_migration: bool = False) -> Engine:
    """Give an engine; a connection that the server has closed meanwhile is made anew.

    One ``for_migration`` may take longer, and waits longer for others.
    """
    connect = partial(postgres_server.connect, database)
    if for_migration:
        connect = partial(connect, wait_s=_MIGRATION_WAIT_S, statement_s=_MIGRATION_S)
    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=_CONNECTIONS_KEPT,
        max_overflow=_CONNECTIONS_MORE,
        pool_timeout=_CONNECTION_WAIT_S,
        pool_pre_ping=True,
        hide_parameters=True,
    )


def begin_migration(connection: Connection, database: PostgresDatabase) -> None:
    """Wait for others who change the schema. Raises ConfigError for a database of no use."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    encoding = connection.scalar(text("SELECT current_setting('server_encoding')"))
    if encoding != "UTF8":
        raise ConfigError(
            f"the database keeps text as {encoding}, which has no room for every language",
            file=str(database),
            hint="make it anew: createdb --encoding UTF8 --template template0",
        )
    version = int(connection.scalar(text("SHOW server_version_num"))) // 10_000
    if version < _VERSION_MIN:
        raise ConfigError(
            f"the server is PostgreSQL {version}, which is too old",
            file=str(database),
            hint=f"use PostgreSQL {_VERSION_MIN} or later",
        )
