"""The ``Ledger`` port on SQLite: exactly-once batches in, compiled Ibis queries out."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tollkeeper import clock
from tollkeeper.domain.beside import Beside
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import NO_JOBS, NO_VALUES, Position
from tollkeeper.storage import plain_ranks
from tollkeeper.storage.bound_sql import BoundSql
from tollkeeper.storage.columns import COLUMNS, TABLE
from tollkeeper.storage.ledger_tables import require_tag_key, table
from tollkeeper.storage.sqlite import (
    cache_sums,
    days,
    finer_quarter_hours,
    functions,
    noted_entries,
    quarter_hours,
    ranks,
    rows,
)
from tollkeeper.storage.sqlite.compiler import compiled, micros_of
from tollkeeper.storage.sqlite.handle import Handle, Settings, transaction, written_aside
from tollkeeper.storage.sqlite.numbered_parts import NumberedPart, numbered_parts, read
from tollkeeper.storage.sqlite.several_entries import CallsByIndex
from tollkeeper.storage.sqlite.snapshots import Snapshots
from tollkeeper.storage.sqlite.summing import STEPS, Summing
from tollkeeper.storage.sqlite.value_columns import together
from tollkeeper.storage.summed_columns import DAY_ROW, ROW
from tollkeeper.storage.timed_columns import ROW as TIMED_ROW
from tollkeeper.telemetry import logger

if TYPE_CHECKING:
    import ibis.expr.types as ir

T = TypeVar("T")

_QUERIES_REMEMBERED: Final = 512
_LOG_BYTES_MAX: Final = 64 << 20
_OF_FUNCTIONS: Final = ("user-defined function raised exception", "string or blob too big")


class SqliteLedger(cache_sums.CacheSums, noted_entries.Notes, CallsByIndex):
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
        self._snapshots = Snapshots(self._handle)
        self._compiled = lru_cache(_QUERIES_REMEMBERED)(_compile)
        self._numbered_parts = lru_cache(_QUERIES_REMEMBERED)(_numbered_parts)
        self._entries = table(TABLE, COLUMNS)
        self._quarter_hours = table(quarter_hours.TABLE, ROW)
        self._days = table(days.TABLE, DAY_ROW)
        self._summing = Summing(self._handle, self._writing, failpoint, settings.zone)

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
        batch = rows.rows_of(entries)
        with self._writing, self._handle.writer() as connection:
            with transaction(connection):
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
            raise rows.rejected(entries, error) from error
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
        """Give finer sums of whole quarter-hours, and single entries at their edges."""
        return finer_quarter_hours.together(self._entries, edges, alone=alone)

    def sums_finely(self) -> bool:
        """Say whether finer sums have all entries but a few."""
        with self.snapshot():
            return finer_quarter_hours.are_of_use(self._snapshots.connection)

    def days_zone(self) -> str:
        """Name the zone whose days can be used."""
        return self._summing.days_zone()

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
        return functions.json_extract(table.tags, f'$."{key}"')

    def nearest_rank(self, value: ir.IntegerValue, percent: int) -> ir.IntegerScalar:
        """Give a percentile, counted in whole numbers; ``each_value`` leaves lists as they are."""
        function = functions.rank_of_lists if value.type().is_array() else functions.rank
        rank: ir.IntegerScalar = function(value, percent)
        return rank

    def keeps_times(self) -> bool:
        """Say whether they are kept: finer sums have them."""
        return self.sums_finely()

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the requests by the quarter-hour, single ones at their edges."""
        found = finer_quarter_hours.together(self._entries, edges, alone=False)
        return found.select(*(column.name for column in TIMED_ROW))

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
        """Find a percentile of several groupings from one reading."""
        names = [name for name in table.columns if name != column]
        keys = [name for name in cells.columns if name not in names]
        expression = ranks.of_known_cells(cells, tuple(names)).select(*names, *keys)

        def found(connection: sqlite3.Connection, wide: bool) -> list[dict[str, Any]]:
            begun = self._snapshots.ahead.pop((table.op(), column), None)
            known: ranks.Read | None = begun() if begun else None
            if known is None or known.asked != (wide, dict(values)):
                known = self._cells(connection, table, column, values, wide)
            of_values = known.values
            ranks.keep_cells(connection, names, of_values.cells)
            rows_ = self._rows(connection, expression, values, wide)
            found_labels, of_cell = ranks.labelled(of_values.cells, rows_)
            labels = rows.given(cells.schema(), keys, found_labels)
            return list(ranks.nearest_ranks(of_values, of_cell, labels, keys, sets, percent))

        return self._exactly(found)

    def read_ahead(
        self,
        lent: Beside,
        table: ir.Table,
        column: str,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        """Begin to read the values, on another connection."""

        def found(connection: sqlite3.Connection, wide: bool) -> ranks.Read:
            return self._cells(connection, table, column, values, wide)

        get = self.beside(lent, lambda: self._exactly(found))
        self._snapshots.ahead[table.op(), column] = get

    def _cells(
        self,
        connection: sqlite3.Connection,
        table: ir.Table,
        column: str,
        values: Mapping[str, Any],
        wide: bool,
    ) -> ranks.Read:
        """Read the values of a column, put together by all else that its rows have."""
        names = [name for name in table.columns if name != column]

        def ask(query: ir.Table, slots: Mapping[str, Any]) -> sqlite3.Cursor:
            return self._rows(connection, query, {**values, **slots}, wide)

        parts = [read(part, names, ask) for part in self._numbered_parts(table, column)]
        return ranks.Read((wide, dict(values)), together(parts))

    def run(
        self, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> list[dict[str, Any]]:
        """Run a query and read it to its end; anew where a number needs more than 64 bits."""

        def found(connection: sqlite3.Connection, wide: bool) -> list[dict[str, Any]]:
            cursor = self._rows(connection, expression, values, wide)
            names = [column[0] for column in cursor.description]
            return rows.given(expression.schema(), names, cursor.fetchall())

        return self._exactly(found)

    def _exactly(self, found: Callable[[sqlite3.Connection, bool], T]) -> T:
        """Answer in 64 bits, and, where these are too few, with numbers of any width."""
        with self.snapshot():
            connection = self._snapshots.connection
            (wide,) = connection.execute("SELECT wide FROM summed_entries").fetchone()
            if not (wide or self._snapshots.wide):
                try:
                    return found(connection, False)
                except (sqlite3.OperationalError, sqlite3.DataError, rows.Rounded) as error:
                    if not _is_overflow(error):
                        raise
            return found(connection, True)

    def _rows(
        self,
        connection: sqlite3.Connection,
        expression: ir.Table,
        values: Mapping[str, Any],
        wide: bool,
    ) -> sqlite3.Cursor:
        query = self._compiled(expression, wide)
        return connection.execute(query.text, self._bound(connection, query, values))

    def _bound(
        self, connection: sqlite3.Connection, query: BoundSql, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        slots = self._snapshots.slots
        if noted_entries.SLOT in query.names and noted_entries.SLOT not in slots:
            slots[noted_entries.SLOT] = noted_entries.of_open_windows(connection)
        values = {**values, **slots}
        return {name: _engine_value(values[name]) for name in query.names}

    def hashes_texts(self) -> bool:
        """Say that there is no such function."""
        return False

    def set_aside(
        self, name: str, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> None:
        """Make a temporary table, for the rest of the snapshot."""

        def kept(connection: sqlite3.Connection, wide: bool) -> None:
            query = self._compiled(expression, wide)
            bound = self._bound(connection, query, values)
            with written_aside(connection):
                connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
                connection.execute(f"CREATE TEMP TABLE {name} AS {query.text}", bound)
            self._snapshots.wide = wide

        self._exactly(kept)

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all queries that this thread runs inside see one state of the ledger."""
        return self._snapshots.one()

    def beside(self, lent: Beside, make: Callable[[], T]) -> Callable[[], T]:
        """Begin on another connection: SQLite runs each query on one core."""
        return self._snapshots.beside(lent, make)

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

    def sum_up(self, steps: int = STEPS, left_max: int = quarter_hours.LEFT_MAX) -> None:
        """Sum up what was not yet, where that is more than ``left_max``."""
        self._summing.sum_up(steps, left_max)

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


def _numbered_parts(table: ir.Table, column: str) -> tuple[NumberedPart, ...]:
    return tuple(numbered_parts(table, column))


def _compile(expression: ir.Table, wide: bool) -> BoundSql:
    return compiled(expression, wide=wide)


def _is_overflow(error: Exception) -> bool:
    return isinstance(error, rows.Rounded) or str(error) in {quarter_hours.OVERFLOW, *_OF_FUNCTIONS}


def _engine_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return micros_of(value)
    return json.dumps(value) if isinstance(value, (list, tuple)) else value
