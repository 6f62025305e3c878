"""An insert that happens once: whoever comes second changes nothing, and is told so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_POSTGRESQL: Final = "postgresql"
_COUNTED: Final[Mapping[str, Any]] = {"preserve_rowcount": True}
"""Of an insert SQLAlchemy otherwise forgets how many rows it was, on PostgreSQL."""


def insert_once(db: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; tell whether it was inserted."""
    make = postgresql.insert if db.dialect.name == _POSTGRESQL else sqlite.insert
    statement = make(table).values(**values).on_conflict_do_nothing()
    return db.execute(statement, execution_options=_COUNTED).rowcount > 0
