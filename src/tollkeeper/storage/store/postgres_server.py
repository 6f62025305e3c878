"""Opens connections to a PostgreSQL server: settings, and errors in words.

The gateway process uses it as the others do, so it knows the driver and nothing heavier.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from tollkeeper import clock
from tollkeeper.storage.store.store_address import PostgresDatabase

BUSY_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30
PAUSE_S: Final = 1.0
_LOOK_S: Final = 0.1
_Answer = TypeVar("_Answer")
ANSWER_MARGIN_S: Final = 3
"""How much longer than it allows itself we wait for a server's answer, until it counts as gone."""
STALLED_S: Final = 60
"""How long a process may stop within a transaction (paused, swapped out) before it is undone."""

_CONNECTION: Final = {
    "application_name": "tollkeeper",
    "connect_timeout": "3",
    # A server that is cut off without a word is noticed after this long, also when idle.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "5000",
}
_SETTINGS: Final = """
    SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', %s, false),
        set_config('default_transaction_read_only', %s, false)
"""
_INSPECTED: Final = "SELECT current_setting('server_version'), host(inet_server_addr())"
_LOST: Final = ("08", "25P03", "57P01", "57P02", "57P03")
_WORDS: Final = {
    "28": (errno.EACCES, "does not let this user in: {reason}"),
    "3D000": (errno.ENXIO, "is not there: make the database first, with createdb"),
    "42501": (errno.EACCES, "does not allow this ({reason}): give the user its own database"),
    "25006": (errno.EROFS, "is read-only: is this a standby? name the primary server"),
    "53100": (errno.ENOSPC, "has a full disk: free some space on it"),
    "53300": (errno.EBUSY, "has no free connection: raise max_connections, or try again"),
    "55P03": (
        errno.EBUSY,
        "is busy: another process has been writing for more than "
        f"{BUSY_TIMEOUT_S} seconds; try again",
    ),
    "57014": (errno.ETIME, f"did not answer within {STATEMENT_TIMEOUT_S} seconds; try again"),
    "40": (errno.EBUSY, "had another change at the same moment; try again"),
}
_SAID: Final = (
    (re.compile(r'database ".*" does not exist'), "3D000"),
    (re.compile(r'authentication|password|role ".*" does not exist|pg_hba'), "28"),
    (re.compile(r"too many (clients|connections)|remaining connection slots"), "53300"),
)
"""What a server says at the connection, where the client library gives no code."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that does not wait for ever for a server that has stopped answering."""

    answer_s = float(STATEMENT_TIMEOUT_S)

    def wait(
        self, gen: PQGen[_Answer], interval: float = _LOOK_S, timeout: float | None = None
    ) -> _Answer:
        """Wait for an answer. Raises psycopg.OperationalError when none comes in time."""
        try:
            return super().wait(gen, interval, self.answer_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()  # a question is still under way: this was the limit
            raise psycopg.OperationalError(f"no answer within {self.answer_s:g} seconds") from None


def connect(
    database: PostgresDatabase,
    *,
    autocommit: bool = False,
    read_only: bool = False,
    wait_s: int = BUSY_TIMEOUT_S,
    statement_s: int = STATEMENT_TIMEOUT_S,
) -> Connection:
    """Connect. Raises psycopg.Error.

    A transaction sees what was committed before each of its statements, whatever the server's
    default is. ``wait_s`` is how long it waits for others, ``statement_s`` how long a
    statement may take.
    """
    options: dict[str, Any] = {**_CONNECTION, **database.options, "client_encoding": "utf8"}
    connection = Connection.connect(**options, autocommit=True)
    try:
        connection.answer_s = statement_s + ANSWER_MARGIN_S
        writes = "on" if read_only else "off"
        connection.execute(_SETTINGS, (f"{wait_s}s", f"{statement_s}s", f"{STALLED_S}s", writes))
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(database: PostgresDatabase) -> Connection:
    """Connect for questions alone; the server refuses every change. Raises psycopg.Error."""
    return connect(database, autocommit=True, read_only=True, statement_s=BUSY_TIMEOUT_S)


class Way:
    """The way to a server. While nobody answers, trying again pauses, so that whoever asks
    meanwhile is told at once and does not queue up."""

    def __init__(self, database: PostgresDatabase, connect: Callable[[], Connection]) -> None:
        self.database = database
        self._connect = connect
        self._closed: psycopg.Error | None = None
        self._closed_until_s = 0.0

    def connect(self) -> Connection:
        """Connect, or raise the last psycopg.Error again."""
        if self._closed is not None and clock.monotonic_s() < self._closed_until_s:
            raise self._closed.with_traceback(None)
        try:
            connection = self._connect()
        except psycopg.Error as error:
            self._closed, self._closed_until_s = error, clock.monotonic_s() + PAUSE_S
            raise
        self._closed = None
        return connection


@contextmanager
def reading(database: PostgresDatabase) -> Iterator[Connection]:
    """Open a store to read it. Raises OSError when it cannot be read."""
    try:
        with closing(connect_to_read(database)) as connection:
            yield connection
    except psycopg.Error as error:
        raise as_os_error(error, database) from error


class Inspected(NamedTuple):
    """What is to be known of a server. ``is_open_to_listeners`` tells that what goes to another
    machine is not encrypted."""

    version: str
    is_open_to_listeners: bool


def inspect(database: PostgresDatabase) -> Inspected:
    """Look at a server. Raises OSError when it cannot be reached."""
    with reading(database) as connection:
        (version, address) = connection.execute(_INSPECTED).fetchone() or ("", None)
        is_elsewhere = address is not None and not ip_address(address).is_loopback
        return Inspected(version, is_elsewhere and not connection.pgconn.ssl_in_use)


def schema_version(connection: Connection) -> str:
    """Give the version that the store's schema has, "" when it has none yet."""
    found = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    if found is None or not found[0]:
        return ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def as_os_error(error: BaseException, database: PostgresDatabase) -> OSError:
    """Put a failure of the server, or of the way to it, into words for who runs Tollkeeper."""
    reason = _reason(error)
    state = getattr(error, "sqlstate", None) or ""
    if not state:
        state = next((code for said, code in _SAID if said.search(reason)), "")
    for prefix, (number, words) in _WORDS.items():
        if state.startswith(prefix):
            return OSError(number, f"the store {database} {words.format(reason=reason)}")
    if is_lost(error):
        return ConnectionError(
            errno.ENOTCONN, f"the store {database} cannot be reached: {reason or 'no connection'}"
        )
    return OSError(errno.EIO, f"the store {database} cannot be used: {reason}")


def is_lost(error: BaseException) -> bool:
    """Tell whether the connection is gone, and another one may be good."""
    state = getattr(error, "sqlstate", None) or ""
    return state.startswith(_LOST) or (isinstance(error, psycopg.OperationalError) and not state)


def is_undone(error: BaseException) -> bool:
    """Tell whether the server undid a transaction for another one: it may be tried again."""
    return (getattr(error, "sqlstate", None) or "").startswith("40")


def _reason(error: BaseException) -> str:
    """Give one line of what was said. Further lines quote whole rows; where several addresses
    were tried, the last line says why the last one failed."""
    lines = str(error).strip().splitlines() or [""]
    line = lines[-1] if lines[0].startswith("Multiple connection attempts") else lines[0]
    return " ".join(line.split())
