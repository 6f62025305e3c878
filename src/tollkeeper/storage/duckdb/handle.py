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
from tollkeeper.storage.duckdb.kept_blocks import BlockGuard
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
_NEVER: Final = "900TB"
_FIRST_ROWS_MAX: Final = 1_000
"""Of so many first rows in some order, an engine reads by what they are ordered alone, and all
other columns afterwards: 50 would be too few for a page's rows and one more."""


class Settings(NamedTuple):
    """What an operator may choose. ``threads`` None means one per core.

    ``read_only`` opens a file that is there and current, and leaves every byte of it alone.
    ``zone`` is the time zone whose days are summed up; "" leaves those that there are alone.
    ``log_bytes_max`` is how long the write-ahead log may grow before it is moved into the file.
    """

    memory_limit: str = "1GB"
    threads: int | None = None
    log_bytes_max: int = 512 << 20
    read_only: bool = False
    zone: str = ""


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
        self.times_opened = 0
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

    def keep_blocks(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Copy the blocks that a checkpoint writes over. Nobody may write meanwhile."""
        found = cursor.execute("SELECT block_id FROM pragma_metadata_info()").fetchall()
        (size,) = cursor.execute("SELECT block_size FROM pragma_database_size()").fetchall()
        try:
            self._guard.keep(sorted({int(block) for (block,) in found}), int(size[0]))
        except OSError as error:
            raise LedgerUnavailable(f"the ledger cannot be kept safe: {error}") from error

    def close(self) -> None:
        """Wait for the cursors that are out, then close the file."""
        with self._changed:
            connection, self._connection = self._connection, None
            self._changed.wait_for(lambda: not self._in_use, _READERS_WAIT_S)
            if connection is not None:
                self._end(connection)

    def _end(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Write everything into the file, where that is possible still, and close it."""
        with suppress(duckdb.Error, LedgerUnavailable):  # what is not is in the log
            if not self._settings.read_only:
                self.keep_blocks(connection)
                connection.execute("CHECKPOINT")
                self._guard.forget()
        with suppress(duckdb.Error):
            connection.close()
        self._guard.close()

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
        self._end(broken)  # also of a file that was moved: its log fits no other one
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
        self._guard = _guard_of(self.path, self._settings)
        try:
            connection = duckdb.connect(
                str(self.path),
                read_only=self._settings.read_only,
                config=_hardening(self._settings),
            )
            self._guard.begin()
            for statement in _lock_down():
                connection.execute(statement)
            if self._settings.read_only:
                require_current(connection)
            else:
                self._failpoint("ledger.migrate.before")
                migrate(connection)
        except (duckdb.Error, OSError) as error:
            _discard(connection)
            self._guard.close()
            locked = _LOCKED_BY.search(str(error))
            if locked:
                raise _in_use(self.path, int(locked[1])) from error
            raise LedgerUnavailable(
                f"cannot open the ledger {self.path}: {_first_line(error)}"
            ) from error
        except LedgerUnavailable:
            _discard(connection)
            self._guard.close()
            raise
        self._failpoint("ledger.open.after")
        self.times_opened += 1
        return connection


def _guard_of(path: Path, settings: Settings) -> BlockGuard:
    """Guard the file, and mend it where a checkpoint did not end. Raises LedgerUnavailable."""
    if settings.read_only:
        return BlockGuard(Path(":memory:"))
    try:
        guard = BlockGuard(path)
        if guard.give_back():
            logger.warning("ledger mended", extra={"reason": "a checkpoint of it did not end"})
    except OSError as error:
        raise LedgerUnavailable(f"cannot open the ledger {path}: {error.strerror}") from error
    return guard


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what is done inside, or, after an error of the engine, take it back."""
    cursor.execute("BEGIN TRANSACTION")
    try:
        yield
        cursor.execute("COMMIT")
    except duckdb.Error:
        with suppress(duckdb.Error):
            cursor.execute("ROLLBACK")
        raise


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


def _lock_down() -> tuple[str, ...]:
    """Statements that no query can undo: the last one locks the configuration.

    No checkpoint is made by itself, in a commit or when the file is closed: ``Ledger.maintain``
    makes them at a quiet moment, after it has kept what they write over.
    """
    return (
        "SET GLOBAL TimeZone = 'UTC'",
        f"SET wal_autocheckpoint = '{_NEVER}'",
        "PRAGMA disable_checkpoint_on_shutdown",
        f"SET late_materialization_max_rows = {_FIRST_ROWS_MAX}",
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


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
