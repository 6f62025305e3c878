"""The ``Ledger`` port on SQLite: exactly-once batches in, compiled Ibis queries out."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper import clock
from tollkeeper.domain.errors import EntriesRejected, LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.zones import UnevenDays
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import NO_JOBS, NO_VALUES, Position
from tollkeeper.storage import plain_ranks
from tollkeeper.storage.bound_sql import BoundSql
from tollkeeper.storage.columns import COLUMNS, TABLE
from tollkeeper.storage.ledger_tables import require_tag_key, table
from tollkeeper.storage.sqlite import days, quarter_hours, rows
from tollkeeper.storage.sqlite.compiler import compiled, micros_of
from tollkeeper.storage.sqlite.handle import Handle, Settings
from tollkeeper.storage.summed_columns import DAY_ROW, ROW
from tollkeeper.telemetry import logger

if TYPE_CHECKING:
    import ibis.expr.types as ir

_QUERIES_REMEMBERED: Final = 512
_STEPS: Final = 20  # of sums, each time that is maintained
_LOG_BYTES_MAX: Final = 64 << 20
_OF_FUNCTION: Final = "user-defined function raised exception"


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="json_extract", signature=((dt.Map(dt.string, dt.string), dt.string), dt.string)
)
def _json_extract(tags: object, path: object) -> object:
    """Stand for the engine's look-up in a JSON object."""


@ibis.udf.agg.builtin(  # type: ignore[untyped-decorator]
    name="tk_rank", signature=((dt.int64, dt.int64), dt.int64)
)
def _rank(value: object, percent: object) -> object:
    """Stand for the value at a rank."""


class SqliteLedger:
    """The ledger in one SQLite file.

    Opening raises LedgerInUse when another process has the file, and LedgerUnavailable
    when it cannot be opened.
    """

    engine = "sqlite"

    def __init__(
        self,
        path: Path,
        settings: Settings = Settings(),  # noqa: B008 - immutable
        *,
        now_s: Callable[[], float] = clock.monotonic_s,
        failpoint: FailPoint = nowhere,
    ) -> None:
        self._failpoint = failpoint
        self._handle = Handle(path, settings, now_s=now_s, failpoint=failpoint)
        self._writing = threading.Lock()
        self._of_thread = threading.local()
        self._compiled = lru_cache(_QUERIES_REMEMBERED)(_compile)
        self._entries = table(TABLE, COLUMNS)
        self._quarter_hours = table(quarter_hours.TABLE, ROW)
        self._days = table(days.TABLE, DAY_ROW)
        self._zone = settings.zone
        self._looked_at = 0
        self._days_zone = ""

    def positions(self) -> Mapping[str, int]:
        """Give the loaded offset of every segment that the ledger remembers."""
        with self._handle.reader() as connection:
            query = "SELECT segment, loaded_bytes FROM loaded_segments"
            return dict(connection.execute(query).fetchall())

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        """Add a batch, move its segment's position and keep states of jobs: all, or nothing."""
        batch = _rows(entries)
        with self._writing, self._handle.writer() as connection:
            with _transaction(connection):
                added = self._insert(connection, entries, batch) if batch else 0
                self._failpoint("ledger.insert.after")
                if position is not None:
                    connection.execute(_MOVE, position)
                if jobs:
                    connection.executemany(
                        "INSERT OR REPLACE INTO jobs VALUES (?, ?)", jobs.items()
                    )
                self._failpoint("ledger.commit.before")
            self._failpoint("ledger.commit.after")
        return added

    def _insert(
        self,
        connection: sqlite3.Connection,
        entries: Sequence[LedgerEntry],
        batch: Sequence[Sequence[Any]],
    ) -> int:
        try:
            added = connection.executemany(rows.INSERT, batch).rowcount
        except rows.UNSTORABLE as error:
            raise _rejected(entries, error) from error
        if any(rows.is_wide(row) for row in batch):
            connection.execute("UPDATE summed_entries SET wide = 1")
        return added

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that no longer exist."""
        if not segments:
            return
        with self._writing, self._handle.writer() as connection:
            connection.execute(
                "DELETE FROM loaded_segments WHERE segment IN (SELECT value FROM json_each(?))",
                (json.dumps(list(segments)),),
            )
        self._failpoint("ledger.forget.after")

    def jobs(self, names: Sequence[str]) -> Mapping[str, str]:
        """Give the states of jobs, as they were kept; those that are not known are left out."""
        query = "SELECT job, state FROM jobs WHERE job IN (SELECT value FROM json_each(?))"
        with self._handle.reader() as connection:
            return dict(connection.execute(query, (json.dumps(list(names)),)).fetchall())

    def known(self, entry_ids: Sequence[str], started_at_us: int) -> frozenset[str]:
        """Say which entries of one start are there."""
        query = (
            "SELECT entry_id FROM entries"
            " WHERE entry_id IN (SELECT value FROM json_each(?)) AND started_at = ?"
        )
        with self._handle.reader() as connection:
            found = connection.execute(query, (json.dumps(list(entry_ids)), started_at_us))
            return frozenset(row[0] for row in found.fetchall())

    def entries(self) -> ir.Table:
        """Give the entries table as an Ibis expression."""
        return self._entries

    def summed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the sums of whole quarter-hours, and single entries at their edges."""
        return quarter_hours.together(self._entries, self._quarter_hours, edges)

    def summed_finely(
        self, edges: Sequence[tuple[ir.Value, ir.Value]], *, alone: bool = False
    ) -> ir.Table:
        """Raise LookupError: this engine keeps no finer sums, as ``sums_finely`` says."""
        raise LookupError("no finer sums are kept in SQLite")

    def sums_finely(self) -> bool:
        """Say that there are none: what they would answer is read from single entries."""
        return False

    def days_zone(self) -> str:
        """Name the zone whose days can be used; it is looked up in each file that is opened."""
        opened = self._handle.times_opened
        if self._looked_at != opened:
            with self._handle.reader() as connection:
                found = days.zone_of(connection)
            self._days_zone = found if self._zone in {"", found} else ""
            self._looked_at = opened
        return self._days_zone

    def summed_daily(
        self,
        edges: Sequence[tuple[ir.Value, ir.Value]],
        edge_days: Sequence[tuple[ir.Value, ir.Value]],
    ) -> ir.Table:
        """Give the sums of whole days, of quarter-hours at their edges, and single entries."""
        quarters = self._quarter_hours
        return days.together(self._entries, quarters, self._days, edges, edge_days)

    def tag(self, table: ir.Table, key: str) -> ir.StringValue:
        """Give the value of one tag (NULL where absent)."""
        require_tag_key(key)
        return _json_extract(table.tags, f'$."{key}"')

    def nearest_rank(self, value: ir.IntegerValue, percent: int) -> ir.IntegerScalar:
        """Give a percentile, counted in whole numbers."""
        rank: ir.IntegerScalar = _rank(value, percent)
        return rank

    def keeps_times(self) -> bool:
        """Say that requests are single entries here."""
        return False

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give single requests: none are kept together."""
        return plain_ranks.timed(self._entries)

    each_value = staticmethod(plain_ranks.each_value)

    def nearest_ranks(
        self,
        table: ir.Table,
        column: str,
        cells: ir.Table,
        sets: Sequence[Sequence[str]],
        percent: int,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> list[dict[str, Any]]:
        """Find a percentile of several groupings, each by itself."""
        return plain_ranks.nearest_ranks(self, table, column, cells, sets, percent, values)

    def run(
        self, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> list[dict[str, Any]]:
        """Run a query and read it to its end; anew where a number needs more than 64 bits."""
        with self.snapshot():
            connection: sqlite3.Connection = self._of_thread.connection
            (wide,) = connection.execute("SELECT wide FROM summed_entries").fetchone()
            if not wide:
                try:
                    return self._answer(connection, expression, values, wide=False)
                except (sqlite3.OperationalError, rows.Rounded) as error:
                    if not _is_overflow(error):
                        raise
            return self._answer(connection, expression, values, wide=True)

    def _answer(
        self,
        connection: sqlite3.Connection,
        expression: ir.Table,
        values: Mapping[str, Any],
        *,
        wide: bool,
    ) -> list[dict[str, Any]]:
        query = self._compiled(expression, wide)
        bound = {name: _engine_value(values[name]) for name in query.names}
        cursor = connection.execute(query.text, bound)
        names = [column[0] for column in cursor.description]
        return rows.given(expression.schema(), names, cursor.fetchall())

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all queries that this thread runs inside see one state of the ledger."""
        if getattr(self._of_thread, "connection", None) is not None:
            yield  # already inside one
            return
        with self._handle.reader() as connection:
            connection.execute("BEGIN")
            self._of_thread.connection = connection
            try:
                connection.execute("SELECT entries FROM summed_entries").fetchone()
                yield
            finally:
                self._of_thread.connection = None
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    def maintain(self) -> None:
        """Sum up what is new, and move the write-ahead log into the file (a checkpoint).

        Only a log that has grown large is worth making queries wait.
        """
        try:
            self.sum_up()
        except (sqlite3.Error, LedgerUnavailable) as error:  # what is not summed up is read anyway
            logger.error("entries not summed up", extra={"reason": str(error)})
        log_bytes = self._log_bytes()
        if not log_bytes:
            return
        with self._writing, self._handle.writer() as connection:
            self._failpoint("ledger.checkpoint.before")
            kind = "TRUNCATE" if log_bytes > _LOG_BYTES_MAX else "PASSIVE"
            connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()
            self._failpoint("ledger.checkpoint.after")

    def sum_up(self, steps: int = _STEPS, left_max: int = quarter_hours.LEFT_MAX) -> None:
        """Sum up by the quarter-hour what was not yet, where that is more than ``left_max``."""
        for _ in range(steps):
            with self._writing, self._handle.writer() as connection:
                if not quarter_hours.left(connection, left_max):
                    break
                with _transaction(connection):
                    quarter_hours.sum_up(connection)
                    self._failpoint("ledger.sums.before")
                self._failpoint("ledger.sums.after")
        try:
            self._sum_up_days(steps, left_max)
        except UnevenDays as error:
            logger.warning("days not summed up", extra={"reason": str(error)})
            self._zone = self._days_zone = ""  # quarter-hours do as well

    def _sum_up_days(self, steps: int, left_max: int) -> None:
        if not self._zone:
            return
        if self.days_zone() != self._zone:
            with self._writing, self._handle.writer() as connection, _transaction(connection):
                days.start_over(connection, self._zone)
            self._days_zone = self._zone
        for _ in range(steps):
            with self._writing, self._handle.writer() as connection:
                if days.left(connection) <= left_max:
                    break
                with _transaction(connection):
                    days.sum_up(connection, self._zone)
                    self._failpoint("ledger.days.before")
                self._failpoint("ledger.days.after")

    def _log_bytes(self) -> int:
        log = self._handle.path.with_name(f"{self._handle.path.name}-wal")
        return log.stat().st_size if log.exists() else 0

    def close(self) -> None:
        """Let running queries end, write everything out and release the file."""
        with self._writing:
            self._handle.close()


_MOVE: Final = (
    "INSERT INTO loaded_segments VALUES (?, ?) ON CONFLICT (segment)"
    " DO UPDATE SET loaded_bytes = max(loaded_bytes, excluded.loaded_bytes)"
)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
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


def _compile(expression: ir.Table, wide: bool) -> BoundSql:
    return compiled(expression, wide=wide)


def _rows(entries: Sequence[LedgerEntry]) -> list[list[Any]]:
    try:
        return [rows.row_of(entry) for entry in entries]
    except rows.UNSTORABLE as error:
        raise _rejected(entries, error) from error


def _rejected(entries: Sequence[LedgerEntry], error: Exception) -> EntriesRejected:
    ids = rows.unstorable(entries)
    return EntriesRejected(
        f"{len(ids)} of {len(entries)} entries fit no column ({type(error).__name__})",
        entry_ids=ids,
    )


def _is_overflow(error: Exception) -> bool:
    return isinstance(error, rows.Rounded) or str(error) in {quarter_hours.OVERFLOW, _OF_FUNCTION}


def _engine_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return micros_of(value)
    return json.dumps(value) if isinstance(value, (list, tuple)) else value
