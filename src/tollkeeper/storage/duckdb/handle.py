"""One open DuckDB file: hardened, shared by threads, and opened again when it breaks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from tollkeeper import clock
from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.storage.duckdb.schema import migrate, require_current
from tollkeeper.telemetry import logger

# After these the database inside this process is unusable until it is opened again.
_BROKEN: Final = (duckdb.FatalException, duckdb.InternalException)
_OPERATIONAL: Final = (
    *_BROKEN,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,
    duckdb.ConnectionException,
    duckdb.InterruptException,
)
_LOCKED_BY: Final = re.compile(r"Could not set lock.*?(?:PID (\d+))", re.DOTALL)
_REOPEN_DELAY_S: Final = 0.5
_REOPEN_DELAY_MAX_S: Final = 30.0
_READERS_WAIT_S: Final = 10.0


class Settings(NamedTuple):
    """What an operator may choose. ``threads`` None means one per core.

    ``read_only`` opens a file that is there and current, and leaves every byte of it alone.
    """

    memory_limit: str = "1GB"
    threads: int | None = None
    wal_autocheckpoint: str = "512MB"
    read_only: bool = False


class Handle:
    """Gives out cursors, one for each query or transaction.

    A database that DuckDB has declared broken (a full disk does that) is closed when its
    last cursor is back and opened again on the next use; while that fails, uses fail at
    once with LedgerUnavailable, and opening is tried again with growing pauses.

    A file that somebody took away lives on until it is closed, and with it would go whatever is
    still written to it. So nothing is, until a file is back: the same one is gone on with,
    another one is opened.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings = Settings(),  # noqa: B008 - immutable
        *,
        now_s: Callable[[], float] = clock.monotonic_s,
        failpoint: FailPoint = nowhere,
    ) -> None:
        self.path = path
        self._failpoint = failpoint
        self._settings = settings
        self._now_s = now_s
        self._changed = threading.Condition()
        self._in_use = 0
        self._broken = False
        self._delay_s = _REOPEN_DELAY_S
        self._retry_at_s = 0.0
        self._connection: duckdb.DuckDBPyConnection | None = self._open()
        self._opened = _identity(path)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a cursor. Raises LedgerUnavailable when the engine fails or is closed."""
        connection = self._take()
        try:
            cursor = connection.cursor()
            try:
                yield cursor
            finally:
                with suppress(duckdb.Error):
                    cursor.close()
        except _OPERATIONAL as error:
            if isinstance(error, _BROKEN):
                self._declare_broken(error)
            raise LedgerUnavailable(f"the ledger failed: {_first_line(error)}") from error
        finally:
            with self._changed:
                self._in_use -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Wait for the cursors that are out, then close the file."""
        with self._changed:
            connection, self._connection = self._connection, None
            self._changed.wait_for(lambda: not self._in_use, _READERS_WAIT_S)
            if connection is not None:
                with suppress(duckdb.Error):
                    connection.close()

    def _take(self) -> duckdb.DuckDBPyConnection:
        with self._changed:
            if self._connection is None:
                raise LedgerUnavailable("the ledger is closed")
            if not self._broken:
                self._look_for_the_file()
            if self._broken:
                self._reopen(self._connection)
            self._in_use += 1
            return self._connection

    def _look_for_the_file(self) -> None:
        """Raise LedgerUnavailable while there is no file; note that there is another one."""
        found = _identity(self.path)
        if found == self._opened:
            return
        if found is None:
            raise LedgerUnavailable(
                f"the ledger {self.path} is gone: put it back, or stop Tollkeeper and restore it"
            )
        logger.error("ledger broke", extra={"reason": "another file has taken its place"})
        self._broken = True

    def _declare_broken(self, error: duckdb.Error) -> None:
        with self._changed:
            if not self._broken:
                logger.error("ledger broke", extra={"reason": _first_line(error)})
            self._broken = True

    def _reopen(self, broken: duckdb.DuckDBPyConnection) -> None:
        """Open again, with the lock held. The old database ends with its last cursor."""
        if self._now_s() < self._retry_at_s:
            raise LedgerUnavailable("the ledger is broken and will be opened again shortly")
        if not self._changed.wait_for(lambda: not self._in_use, _READERS_WAIT_S):
            raise LedgerUnavailable("the ledger is broken and still in use by running queries")
        if not self._broken:
            return  # another thread was faster
        with suppress(duckdb.Error):
            broken.close()
        try:
            self._connection = self._open()
            self._opened = _identity(self.path)
        except LedgerUnavailable:
            self._retry_at_s = self._now_s() + self._delay_s
            self._delay_s = min(2 * self._delay_s, _REOPEN_DELAY_MAX_S)
            raise
        self._broken = False
        self._delay_s = _REOPEN_DELAY_S
        logger.info("ledger opened again")

    def _open(self) -> duckdb.DuckDBPyConnection:
        connection = None
        self._failpoint("ledger.open.before")
        try:
            connection = duckdb.connect(
                str(self.path),
                read_only=self._settings.read_only,
                config=_hardening(self._settings),
            )
            for statement in _lock_down(self._settings):
                connection.execute(statement)
            if self._settings.read_only:
                require_current(connection)
            else:
                self._failpoint("ledger.migrate.before")
                migrate(connection)
        except duckdb.Error as error:
            _discard(connection)
            locked = _LOCKED_BY.search(str(error))
            if locked:
                raise _in_use(self.path, int(locked[1])) from error
            raise LedgerUnavailable(
                f"cannot open the ledger {self.path}: {_first_line(error)}"
            ) from error
        except LedgerUnavailable:
            _discard(connection)
            raise
        self._failpoint("ledger.open.after")
        return connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell one file at a path from another that came in its place; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _hardening(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.memory_limit,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_unsigned_extensions": "false",
        "python_enable_replacements": "false",
    }
    if settings.threads is not None:
        config["threads"] = settings.threads
    return config


def _lock_down(settings: Settings) -> tuple[str, ...]:
    """Statements that no query can undo: the last one locks the configuration.

    Automatic checkpoints run inside the commit that crosses the limit, so the limit is
    high and ``Ledger.maintain`` makes them at a quiet moment.
    """
    return (
        "SET GLOBAL TimeZone = 'UTC'",
        f"SET wal_autocheckpoint = '{settings.wal_autocheckpoint}'",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    )


def _in_use(path: Path, pid: int) -> LedgerInUse:
    return LedgerInUse(
        f"the ledger {path} is in use by process {pid}: ask the running server, or stop it first",
        pid=pid,
    )


def _discard(connection: duckdb.DuckDBPyConnection | None) -> None:
    if connection is not None:
        with suppress(duckdb.Error):
            connection.close()


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
