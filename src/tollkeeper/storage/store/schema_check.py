"""Tells cheaply whether a store's schema is the one this version knows.

Standard library only: a start on an existing data folder must not pay for Alembic.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import sqlite_file

SCHEMA_HEAD: Final = "0006"
"""The newest migration in ``migrations/versions``. Versions are numbers of four digits."""


def schema_is_current(path: Path) -> bool:
    """Tell whether the store needs no migration.

    False when there is no store yet, or an older one. Raises ConfigError when a newer
    Tollkeeper has written it, OSError when it cannot be read.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return False
    try:
        with closing(sqlite_file.connect_read_only(path)) as connection:
            version = schema_version(connection)
    except sqlite3.Error as error:
        raise sqlite_file.as_os_error(error, path) from error
    refuse_newer(version, path)
    return version == SCHEMA_HEAD


def has_organisation(path: Path) -> bool:
    """Tell whether the first start has filled the store."""
    return _has_rows(path, "SELECT 1 FROM orgs LIMIT 1")


def has_provider_secrets(path: Path) -> bool:
    """Tell whether the store keeps a key of any provider."""
    return _has_rows(path, "SELECT 1 FROM provider_secrets LIMIT 1")


def organisation_name(path: Path) -> str:
    """Give the organisation's name, "" before the first start is done."""
    row = _first_row(path, "SELECT name FROM orgs LIMIT 1")
    return str(row[0]) if row else ""


def _has_rows(path: Path, query: str) -> bool:
    return _first_row(path, query) is not None


def _first_row(path: Path, query: str) -> tuple[object, ...] | None:
    if not schema_is_current(path):
        return None
    with closing(sqlite_file.connect_read_only(path)) as connection:
        row: tuple[object, ...] | None = connection.execute(query).fetchone()
        return row


def schema_version(connection: sqlite3.Connection) -> str:
    """Give the version that the store's schema has, "" when it has none yet."""
    if not sqlite_file.has_table(connection, "alembic_version"):
        return ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def require_current(version: str, path: Path) -> None:
    """Raise ConfigError unless this is the version that we know."""
    refuse_newer(version, path)
    if version != SCHEMA_HEAD:
        raise ConfigError(
            f"the store's schema is {version or 'missing'}, not {SCHEMA_HEAD}",
            file=str(path),
            hint="start Tollkeeper, which brings it up to date",
        )


def refuse_newer(version: str, path: Path) -> None:
    """Raise ConfigError when a newer Tollkeeper has written this store."""
    if version > SCHEMA_HEAD:
        raise ConfigError(
            f"this store was written by a newer Tollkeeper: its schema is {version}, "
            f"this version knows schemas up to {SCHEMA_HEAD}",
            file=str(path),
            hint="install the newer version, or restore the backup made before the update",
        )
