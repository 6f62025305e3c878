"""SQLAlchemy's engine over the store's SQLite file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from tollkeeper.storage.store import sqlite_file

_CONNECTIONS_KEPT = 8
_CONNECTIONS_MORE = 24


def open_engine(path: Path, *, for_migration: bool = False) -> Engine:
    """Give an engine whose transactions are real ones, for reads and schema changes too.

    One ``for_migration`` takes the writer's lock before it reads anything.
    """
    engine = create_engine(
        "sqlite://",
        creator=partial(sqlite_file.connect, path),
        poolclass=QueuePool,
        pool_size=_CONNECTIONS_KEPT,
        max_overflow=_CONNECTIONS_MORE,
        hide_parameters=True,
    )
    begin = "BEGIN IMMEDIATE" if for_migration else "BEGIN"

    # The driver would begin only before a write, and never before a schema change.
    def begin_now(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", begin_now)
    return engine
