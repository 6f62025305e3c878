"""Checks of the store: a file beside the others, or a database on a server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from tollkeeper.bootstrap.checks import Check, Place, fail, ok, warn
from tollkeeper.domain.errors import ConfigError
from tollkeeper.storage.store import sqlite_file
from tollkeeper.storage.store.schema_check import (
    organisation_name,
    schema_is_current,
    stored_version,
)
from tollkeeper.storage.store.store_address import PostgresDatabase, store_of

_NAME: Final = "store"
_START: Final = "start it once with: tollkeeper serve"
_UPDATE: Final = "start Tollkeeper, which brings it up to date"


def store(place: Place) -> Iterator[Check]:
    """Look whether the store can be read, is whole, and is of this version."""
    at = store_of(place.data)
    try:
        yield from _file(at) if isinstance(at, Path) else _database(at)
    except ConfigError as error:
        yield fail(_NAME, without_hint(error), error.hint)


def _file(path: Path) -> Iterator[Check]:
    if not path.exists():
        yield warn(_NAME, "not there yet", _START)
        return
    try:
        current = schema_is_current(path)
        damage = _damage(path)
        org = organisation_name(path) if current else ""
    except sqlite3.Error as error:
        found = sqlite_file.as_os_error(error, path)
        yield fail(_NAME, str(found.strerror), "restore it from a backup if it is damaged")
    except OSError as error:
        yield fail(_NAME, error.strerror or str(error), "restore it from a backup if it is damaged")
    else:
        if damage:
            yield fail(_NAME, f"{path} is damaged: {damage}", "restore it from a backup")
        elif not current:
            yield warn(_NAME, f"{path} has the schema of an older version", _UPDATE)
        elif not org:
            yield warn(_NAME, f"{path} has no organisation yet", _START)
        else:
            yield ok(_NAME, f"{path} is whole and up to date; organisation: {org}")


def _database(database: PostgresDatabase) -> Iterator[Check]:
    server: Any = import_module("tollkeeper.storage.store.postgres_server")
    try:
        found = server.inspect(database)
        version = stored_version(database)
        org = organisation_name(database) if schema_is_current(database) else ""
    except OSError as error:
        remedy = "is the server running, and may this machine and user come in?"
        yield fail(_NAME, error.strerror or str(error), remedy)
        return
    if not version:
        yield warn(_NAME, f"{database} is empty yet", _START)
    elif not schema_is_current(database):
        yield warn(_NAME, f"{database} has the schema of an older version", _UPDATE)
    elif not org:
        yield warn(_NAME, f"{database} has no organisation yet", _START)
    elif found.is_open_to_listeners:
        finding = f"{database} is up to date, but the way to it is not encrypted"
        yield warn(_NAME, finding, "add ?sslmode=verify-full to store, as far as its server can")
    else:
        finding = f"{database} (PostgreSQL {found.version}) is up to date; organisation: {org}"
        yield ok(_NAME, finding)


def _damage(path: Path) -> str:
    with closing(sqlite_file.connect_read_only(path)) as connection:
        answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if answer == "ok" else answer


def without_hint(error: ConfigError) -> str:
    """Give what is wrong, without what to do about it."""
    return error.message.removesuffix(f" ({error.hint})") if error.hint else error.message
