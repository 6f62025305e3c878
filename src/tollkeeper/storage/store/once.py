"""An insert that happens once: whoever comes second changes nothing, and is told so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_POSTGRESQL: Final = "postgresql"


def insert_once(db: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; tell whether it was inserted."""
    if db.dialect.name == _POSTGRESQL:
        found = db.execute(postgresql.insert(table).values(**values).on_conflict_do_nothing())
    else:
        found = db.execute(sqlite.insert(table).values(**values).on_conflict_do_nothing())
    return found.rowcount > 0
