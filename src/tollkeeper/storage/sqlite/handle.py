"""One open SQLite file: one connection that writes, several that read; mended when it breaks."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from tollkeeper import clock
from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.storage.sqlite import wide_numbers
from tollkeeper.storage.sqlite.schema import migrate, require_current
from tollkeeper.telemetry import logger

# After these every connection is closed, and opened anew on the next use.
_BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_OPERATIONAL: Final = _BROKEN | {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_SCHEMA,
}
_BUSY_S: Final = 10.0
_REOPEN_DELAY_S: Final = 0.5
_REOPEN_DELAY_MAX_S: Final = 30.0
_READERS_WAIT_S: Final = 10.0
_INTERRUPTED_WAIT_S: Final = 5.0
_READERS_KEPT: Final = 8
_STATEMENTS: Final = 512


class Settings(NamedTuple):
    """What an operator may choose: the memory of each connection for pages of the file.

    ``zone`` is the time zone whose days are summed up; "" leaves those that there are alone.
    ``read_only`` opens a file that is there and current, and changes nothing in it. Entries may
    be lost when power fails, not when a process does, where ``synchronous`` is not FULL.
    """

    cache_mb: int = 16
    synchronous: str = "FULL"
    read_only: bool = False
    zone: str = ""


class Handle:
    """Lends connections: one for writing, and one to each query that reads.

    A file that cannot be read or written any more is closed when its last connection is back,
    and opened again on the next use; while that fails, uses fail at once with
    LedgerUnavailable, and opening is tried again with growing pauses.

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
        self._lent: set[sqlite3.Connection] = set()
        self._idle: list[sqlite3.Connection] = []
        self._broken = False
        self._closed = False
        self._delay_s = _REOPEN_DELAY_S
        self._retry_at_s = 0.0
        self.times_opened = 0
        self._lock = _hold(path, settings)
        try:
            self._writer = self._open()
        except LedgerUnavailable:
            self._lock.close()
            raise
        self._opened = _identity(path)

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that reads. Raises LedgerUnavailable where the file cannot be used."""
        with self._guarded(), self._changed:
            self._require_open()
            connection = self._idle.pop() if self._idle else self._connect(reads=True)
            self._lent.add(connection)
        try:
            with self._guarded():
                yield connection
        finally:
            self._take_back(connection)

    @contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection that writes, to one at a time. Raises as ``reader`` does."""
        with self._changed:
            self._require_open()
            connection = self._writer
            self._lent.add(connection)
        try:
            with self._guarded():
                yield connection
        finally:
            self._take_back(connection)

    def close(self) -> None:
        """Wait for the connections that are out, then close the file."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if not self._all_back(_READERS_WAIT_S):
                for connection in self._lent:
                    connection.interrupt()
                self._all_back(_INTERRUPTED_WAIT_S)
            self._close_all()
        self._lock.close()

    def _all_back(self, wait_s: float) -> bool:
        return self._changed.wait_for(lambda: not self._lent, wait_s)

    def _take_back(self, connection: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        with self._changed:
            self._lent.discard(connection)
            if connection is not self._writer:
                kept = not (self._broken or self._closed) and len(self._idle) < _READERS_KEPT
                if kept:
                    self._idle.append(connection)
                else:
                    _discard(connection)
            self._changed.notify_all()

    def _close_all(self) -> None:
        for connection in (*self._idle, self._writer):
            if connection not in self._lent:
                _discard(connection)
        self._idle.clear()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Put a failure of the file into words; one of a query is left as it is."""
        try:
            yield
        except sqlite3.Error as error:
            code = _code(error)
            if code not in _OPERATIONAL:
                raise
            if code in _BROKEN:
                with self._changed:
                    if not self._broken:
                        logger.error("ledger broke", extra={"reason": str(error)})
                    self._broken = True
            raise LedgerUnavailable(f"the ledger failed: {_words(error)}") from error

    def _require_open(self) -> None:
        """Raise LedgerUnavailable unless there is a file to use; with the lock held."""
        if self._closed:
            raise LedgerUnavailable("the ledger is closed")
        if not self._broken:
            self._look_for_the_file()
        if self._broken:
            self._reopen()

    def _look_for_the_file(self) -> None:
        found = _identity(self.path)
        if found == self._opened:
            return
        if found is None:
            raise LedgerUnavailable(
                f"the ledger {self.path} is gone: put it back, or stop Tollkeeper and restore it"
            )
        logger.error("ledger broke", extra={"reason": "another file has taken its place"})
        self._broken = True

    def _reopen(self) -> None:
        """Open again, with the lock held, when all connections are back."""
        if self._now_s() < self._retry_at_s:
            raise LedgerUnavailable("the ledger is broken and will be opened again shortly")
        if not self._all_back(_READERS_WAIT_S):
            raise LedgerUnavailable("the ledger is broken and still in use by running queries")
        if not self._broken:
            return  # another thread was faster
        self._close_all()
        try:
            self._writer = self._open()
            self._opened = _identity(self.path)
        except LedgerUnavailable:
            self._retry_at_s = self._now_s() + self._delay_s
            self._delay_s = min(2 * self._delay_s, _REOPEN_DELAY_MAX_S)
            raise
        self._broken = False
        self._delay_s = _REOPEN_DELAY_S
        logger.info("ledger opened again")

    def _open(self) -> sqlite3.Connection:
        self._failpoint("ledger.open.before")
        connection = None
        try:
            if not self._settings.read_only:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = self._connect(reads=self._settings.read_only)
            if self._settings.read_only:
                require_current(connection)
            else:
                self._failpoint("ledger.migrate.before")
                migrate(connection)
        except (sqlite3.Error, OSError) as error:
            _discard(connection)
            raise LedgerUnavailable(
                f"cannot open the ledger {self.path}: {_words(error)}"
            ) from error
        except LedgerUnavailable:
            _discard(connection)
            raise
        self._failpoint("ledger.open.after")
        self.times_opened += 1
        return connection

    def _connect(self, *, reads: bool) -> sqlite3.Connection:
        mode = "ro" if self._settings.read_only else "rw"
        connection = sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode={mode}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            wide_numbers.install(connection)
            if not self._settings.read_only:
                _keep_a_log(connection, self.path)
            for setting in self._pragmas(reads=reads):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _pragmas(self, *, reads: bool) -> tuple[str, ...]:
        return (
            f"synchronous = {self._settings.synchronous}",
            f"cache_size = {-1024 * self._settings.cache_mb}",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            "wal_autocheckpoint = 4000",
            f"query_only = {'ON' if reads else 'OFF'}",
        )


def _keep_a_log(connection: sqlite3.Connection, path: Path) -> None:
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        raise LedgerUnavailable(
            f"cannot open the ledger {path}: no write-ahead log can be kept there; keep it on a "
            "local disk"
        )


class _Lock:
    """The lock of the one process that writes; the kernel takes it back when that ends."""

    def __init__(self, descriptor: int | None, *, writes: bool = False) -> None:
        self._descriptor = descriptor
        self._writes = writes

    def close(self) -> None:
        """Let others have the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                if self._writes:
                    os.truncate(descriptor, 0)
            os.close(descriptor)


def _hold(path: Path, settings: Settings) -> _Lock:
    """Take the lock file beside a ledger, or, to read only, look whether somebody has it.

    SQLite's own locks let several processes write in turns: each would count as loaded what
    only it has loaded. Raises LedgerInUse, and LedgerUnavailable where no file can be made.
    """
    beside = path.with_name(f"{path.name}.lock")
    flags = os.O_RDWR if settings.read_only else os.O_RDWR | os.O_CREAT
    try:
        descriptor = os.open(beside, flags, 0o600)
    except FileNotFoundError as error:
        if settings.read_only:
            return _Lock(None)
        raise LedgerUnavailable(f"cannot open the ledger {path}: {_words(error)}") from error
    except OSError as error:
        raise LedgerUnavailable(f"cannot open the ledger {path}: {_words(error)}") from error
    try:
        kind = fcntl.LOCK_SH if settings.read_only else fcntl.LOCK_EX
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if not settings.read_only:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        pid = int(text) if text.isdigit() else None
        raise LedgerInUse(
            f"the ledger {path} is in use by process {pid or '?'}: ask the running server, "
            "or stop it first",
            pid=pid,
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise LedgerUnavailable(f"cannot open the ledger {path}: {_words(error)}") from error
    return _Lock(descriptor, writes=not settings.read_only)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or, after any error, take it back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


@contextmanager
def written_aside(connection: sqlite3.Connection) -> Iterator[None]:
    """Let a connection that reads make temporary tables, of which it is told as of others."""
    connection.execute("PRAGMA query_only = OFF")
    try:
        yield
    finally:
        connection.execute("PRAGMA query_only = ON")


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell one file at a path from another that came in its place; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL:
        return "No space left on device: free some space on the disk under it"
    return str(error)


def _discard(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()
