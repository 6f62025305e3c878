"""Tells cheaply whether a store's schema is the one this version knows.

Standard library only on SQLite, the driver alone on PostgreSQL: a start on a store that is
there must not pay for Alembic.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.store_address import StoreAddress

SCHEMA_HEAD: Final = "0017"
"""The newest migration in ``migrations/versions``. Versions are numbers of four digits."""


class Reader(Protocol):
    """An open connection of either driver."""

    def execute(self, query: str, /) -> Any: ...


class OpenStore(NamedTuple):
    """A store that was opened to read, and the version of its schema ("" when it has none)."""

    connection: Reader
    version: str


@contextmanager
def reading(at: StoreAddress) -> Iterator[OpenStore]:
    """Open a store to read it. Raises OSError when it cannot be read."""
    if isinstance(at, Path):
        try:
            with closing(sqlite_file.connect_read_only(at)) as connection:
                yield OpenStore(connection, schema_version(connection))
        except sqlite3.Error as error:
            raise sqlite_file.as_os_error(error, at) from error
        return
    server: Any = import_module("tollkeeper.storage.store.postgres_server")
    with server.reading(at) as found:
        yield OpenStore(found, server.schema_version(found))


def store_exists(at: StoreAddress) -> bool:
    """Tell whether there is a store, whatever its schema. Raises OSError where nobody answers."""
    return at.exists() if isinstance(at, Path) else bool(stored_version(at))


def stored_version(at: StoreAddress) -> str:
    """Give the version of a store's schema, "" where there is no store yet. Raises OSError."""
    if isinstance(at, Path) and (not at.is_file() or at.stat().st_size == 0):
        return ""
    with reading(at) as store:
        return store.version


def schema_is_current(at: StoreAddress) -> bool:
    """Tell whether the store needs no migration.

    False when there is no store yet, or an older one. Raises ConfigError when a newer
    Tollkeeper has written it, OSError when it cannot be read.
    """
    version = stored_version(at)
    refuse_newer(version, at)
    return version == SCHEMA_HEAD


def has_organisation(at: StoreAddress) -> bool:
    """Tell whether the first start has filled the store."""
    return first_row(at, "SELECT 1 FROM orgs LIMIT 1") is not None


def has_provider_secrets(at: StoreAddress) -> bool:
    """Tell whether the store keeps a key of any provider."""
    return first_row(at, "SELECT 1 FROM provider_secrets LIMIT 1") is not None


def organisation_name(at: StoreAddress) -> str:
    """Give the organisation's name, "" before the first start is done."""
    row = first_row(at, "SELECT name FROM orgs LIMIT 1")
    return str(row[0]) if row else ""


def key_file_fingerprint(at: StoreAddress) -> bytes | None:
    """Give the mark of the key file that the store belongs to, None where none is noted."""
    row = first_row(at, "SELECT fingerprint FROM key_file")
    return bytes(row[0]) if row else None


def sealed_secrets(at: StoreAddress) -> dict[str, bytes]:
    """Give the sealed keys of providers by their names."""
    rows = rows_of(at, "SELECT provider, sealed FROM provider_secrets")
    return {provider: bytes(sealed) for provider, sealed in rows}


def first_row(at: StoreAddress, query: str) -> tuple[Any, ...] | None:
    """Give the first row of an answer; None as well where the store is not there or not current."""
    return next(iter(rows_of(at, query)), None)


def rows_of(at: StoreAddress, query: str) -> list[tuple[Any, ...]]:
    """Ask a store; no rows where it is not there yet, or is not current."""
    if isinstance(at, Path) and not stored_version(at):
        return []
    with reading(at) as store:
        refuse_newer(store.version, at)
        if store.version != SCHEMA_HEAD:
            return []
        found: list[tuple[Any, ...]] = store.connection.execute(query).fetchall()
        return found


def schema_version(connection: sqlite3.Connection) -> str:
    """Give the version that a SQLite store's schema has, "" when it has none yet."""
    if not sqlite_file.has_table(connection, "alembic_version"):
        return ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def require_current(version: str, at: StoreAddress) -> None:
    """Raise ConfigError unless this is the version that we know."""
    refuse_newer(version, at)
    if version != SCHEMA_HEAD:
        raise ConfigError(
            f"the store's schema is {version or 'missing'}, not {SCHEMA_HEAD}",
            file=str(at),
            hint="start Tollkeeper, which brings it up to date",
        )


def refuse_newer(version: str, at: StoreAddress) -> None:
    """Raise ConfigError when a newer Tollkeeper has written this store."""
    if version > SCHEMA_HEAD:
        raise ConfigError(
            f"this store was written by a newer Tollkeeper: its schema is {version}, "
            f"this version knows schemas up to {SCHEMA_HEAD}",
            file=str(at),
            hint="install the newer version, or restore the backup made before the update",
        )
