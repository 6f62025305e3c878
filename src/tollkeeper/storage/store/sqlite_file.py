"""Opens the store's SQLite file: settings, permissions, and errors in words.

Standard library only, because the gateway process uses it. SQL that only SQLite
understands is here and in ``sqlite_engine.py``, nowhere else.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from tollkeeper.domain.errors import ConfigError

BUSY_TIMEOUT_S = 5.0
_RETRY_S = 0.02

_SETTINGS = (
    "PRAGMA synchronous = FULL",  # a key that was revoked stays revoked when power fails
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA secure_delete = ON",
)


def create(path: Path) -> None:
    """Create the data folder and an empty store file that only its owner can read.

    Does nothing where the file exists. Raises ConfigError when the folder cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise unwritable(path.parent, error) from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise unwritable(path.parent, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def unwritable(folder: Path, error: OSError) -> ConfigError:
    """Say which folder cannot be written, and what to do."""
    return ConfigError(
        f"the data folder cannot be written: {error.strerror or error}",
        file=str(folder),
        hint="give this user write access to the folder, or name another one with --data",
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for reading and writing, without implicit transactions."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        _use_write_ahead_log(connection, path)
        for setting in _SETTINGS:
            connection.execute(setting)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the file for reading. Raises sqlite3.Error, also when there is no such file."""
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def data_version(connection: sqlite3.Connection) -> int:
    """Give a number that changes when another connection has written. Nearly free."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Tell whether a table exists."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    return found.fetchone() is not None


def as_os_error(error: BaseException, path: Path) -> OSError:
    """Put a failure of SQLite into words for the person who runs Tollkeeper."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return OSError(
            errno.EBUSY,
            f"the store {path} is busy: another process has been writing for more than "
            f"{BUSY_TIMEOUT_S:g} seconds; try again",
        )
    if name.startswith("SQLITE_FULL"):
        return OSError(
            errno.ENOSPC, f"the disk under the store {path} is full: free some space on it"
        )
    if name.startswith("SQLITE_READONLY"):
        return OSError(
            errno.EROFS, f"the store {path} is read-only: give this user write access to it"
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return OSError(errno.ENOENT, f"the store {path} cannot be opened: is its folder there?")
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return OSError(
            errno.EIO, f"the store {path} is damaged ({error}): restore it from a backup"
        )
    return OSError(errno.EIO, f"the store {path} cannot be used: {error}")


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    """Switch a new file to WAL; several processes may try it at once."""
    deadline_s = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself for the lock that this change needs.
            busy = error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
            if not busy or time.monotonic() > deadline_s:
                raise
            time.sleep(_RETRY_S)
    if mode != "wal":
        raise ConfigError(
            f"the store cannot keep a write-ahead log here (journal mode {mode})",
            file=str(path),
            hint="keep the data folder on a local disk, not on a network share",
        )
