"""The ``Ledger`` port on DuckDB: exactly-once batches in, compiled Ibis queries out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar

import duckdb

from tollkeeper import clock
from tollkeeper.domain.beside import Beside
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ledger_sums import CallsApart
from tollkeeper.ports import NO_JOBS, NO_VALUES, Position
from tollkeeper.storage import small_columns
from tollkeeper.storage.columns import COLUMNS, TABLE
from tollkeeper.storage.duckdb import (
    cache_sums,
    days,
    finer_quarter_hours,
    job_states,
    noted_entries,
    quarter_hours,
    ranks,
    request_times,
    several_entries,
)
from tollkeeper.storage.duckdb.adding import batch_of, insert, move, naive_utc, without_copies
from tollkeeper.storage.duckdb.compiling import compiled
from tollkeeper.storage.duckdb.functions import (
    list_extract,
    list_position,
    map_keys,
    map_values,
    quantile_disc,
)
from tollkeeper.storage.duckdb.handle import Handle, Settings, transaction
from tollkeeper.storage.duckdb.parsed import ParsedQueries
from tollkeeper.storage.duckdb.summing import SLOTS, STEPS, Summing, add_counts
from tollkeeper.storage.ledger_tables import require_tag_key, table
from tollkeeper.storage.summed_columns import DAY_ROW, FINER_SUMS, ROW
from tollkeeper.storage.timed_columns import ROW as TIMED_ROW
from tollkeeper.telemetry import logger

if TYPE_CHECKING:
    import ibis.expr.types as ir

T = TypeVar("T")

_QUERIES_REMEMBERED: Final = 512
_CHECKPOINT_TRIES: Final = 40
_CHECKPOINT_PAUSE_S: Final = 0.025
_LOG_BYTES_MAX: Final = 128 << 20  # opening a ledger takes 4.5 s for each GB of log


class DuckDbLedger:
    """The ledger in one DuckDB file.

    Opening raises LedgerInUse when another process has the file, and LedgerUnavailable
    when it cannot be opened.
    """

    engine = "duckdb"

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
        self._log_bytes_max = settings.log_bytes_max
        self._writing = threading.Lock()
        self._summing = Summing(self._handle, self._writing, failpoint, settings.zone)
        self._of_thread = threading.local()
        self._compiled = lru_cache(_QUERIES_REMEMBERED)(compiled)
        self._rankings = lru_cache(_QUERIES_REMEMBERED)(ranks.nearest_ranks)
        self._parsed = ParsedQueries(_QUERIES_REMEMBERED)
        self._entries = table(TABLE, COLUMNS)
        self._quarter_hours = table(quarter_hours.TABLE, ROW)
        self._days = table(days.TABLE, DAY_ROW)
        anything = [column._replace(nullable=True) for column in FINER_SUMS]  # as joins give it
        self._finer = table(finer_quarter_hours.TABLE, anything)
        self._several = table(several_entries.TABLE, several_entries.ROW)
        self._request_times = table(request_times.TABLE, TIMED_ROW)

    def positions(self) -> Mapping[str, int]:
        """Give the loaded offset of every segment that the ledger remembers."""
        with self._handle.cursor() as cursor:
            rows = cursor.execute("SELECT segment, loaded_bytes FROM loaded_segments").fetchall()
        return dict(rows)

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        """Add a batch, move its segment's position and keep states of jobs: all, or nothing."""
        fresh = without_copies(entries)
        batch = batch_of(fresh) if fresh else None
        with self._writing, self._handle.cursor() as cursor:
            with transaction(cursor):
                added = insert(cursor, fresh, batch) if batch is not None else 0
                self._failpoint("ledger.insert.after")
                if position is not None:
                    move(cursor, position)
                if jobs:
                    job_states.keep(cursor, jobs)
                self._failpoint("ledger.commit.before")
            self._failpoint("ledger.commit.after")
        if self._log_bytes() > self._log_bytes_max:
            self._checkpoint("CHECKPOINT")
        return added

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that no longer exist."""
        if not segments:
            return
        with self._writing, self._handle.cursor() as cursor:
            cursor.execute(
                "DELETE FROM loaded_segments WHERE list_contains($segments, segment)",
                {"segments": list(segments)},
            )
        self._failpoint("ledger.forget.after")

    def jobs(self, names: Sequence[str]) -> Mapping[str, str]:
        """Give the states of jobs, as they were kept; those that are not known are left out."""
        with self._handle.cursor() as cursor:
            return job_states.states(cursor, names)

    def known(self, entry_ids: Sequence[str], started_at_us: int) -> frozenset[str]:
        """Say which entries of one start are there."""
        with self._handle.cursor() as cursor:
            return job_states.known(cursor, entry_ids, naive_utc(started_at_us))

    def entries(self) -> ir.Table:
        """Give the entries table as an Ibis expression."""
        return self._entries

    def summed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the sums of whole quarter-hours, and single entries at their edges."""
        return quarter_hours.together(self._entries, self._quarter_hours, edges)

    def days_zone(self) -> str:
        """Name the zone whose days are summed up."""
        return self._summing.days_zone()

    def summed_daily(
        self,
        edges: Sequence[tuple[ir.Value, ir.Value]],
        edge_days: Sequence[tuple[ir.Value, ir.Value]],
    ) -> ir.Table:
        """Give the sums of whole days, of quarter-hours at their edges, and single entries."""
        quarters = self._quarter_hours
        return days.together(self._entries, quarters, self._days, edges, edge_days)

    def summed_finely(
        self, edges: Sequence[tuple[ir.Value, ir.Value]], *, alone: bool = False
    ) -> ir.Table:
        """Give finer sums of whole quarter-hours, and single entries at their edges."""
        return finer_quarter_hours.together(self._entries, self._finer, edges, alone=alone)

    def sums_finely(self) -> bool:
        """Say whether finer sums have all entries but a few."""
        finer = finer_quarter_hours
        with self._cursor() as cursor:
            return not quarter_hours.more_follow(cursor, finer.COUNT, finer.LEFT_MAX)

    def summed_caches(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the sums of calls that used a cache, and single ones at their edges."""
        return cache_sums.together(self._entries, edges)

    def sums_small_calls(self) -> bool:
        """Say that they are not: the columns of those that are noted are read as fast."""
        return False

    def summed_small(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give small calls as they are, each standing for itself."""
        return small_columns.single(self._entries)

    def notes_entries(self) -> bool:
        """Say whether all entries but a few were looked at."""
        with self._cursor() as cursor:
            return noted_entries.are_of_use(cursor)

    def noted(self, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
        """Give the noted entries, from which those of some time are read as fast."""
        return noted_entries.together(self._entries, finding)

    def gaps(self) -> ir.Table:
        """Give the calls that wrote to a cache anew, and what was before them."""
        return noted_entries.GAPS

    def open_sessions(self) -> frozenset[str]:
        """Give the sessions of calls that were not looked at yet."""
        with self._cursor() as cursor:
            return noted_entries.open_sessions(cursor)

    def of_sessions(self, slot: str) -> ir.Table:
        """Give all entries, of which those of some sessions are found as fast."""
        return self._entries

    def keeps_calls_apart(self) -> bool:
        """Say whether nearly all entries have been looked at for it."""
        several = several_entries
        with self._cursor() as cursor:
            return not quarter_hours.more_follow(cursor, several.COUNT, several.LEFT_MAX)

    def calls_apart(self) -> CallsApart:
        """Give all entries, and those of calls that have several, which are kept."""
        return several_entries.apart(self._entries, self._several)

    def tag(self, table: ir.Table, key: str) -> ir.StringValue:
        """Give the value of one tag (NULL where absent)."""
        require_tag_key(key)
        return list_extract(map_values(table.tags), list_position(map_keys(table.tags), key))

    def nearest_rank(self, value: ir.IntegerValue, percent: int) -> ir.IntegerScalar:
        """Give a percentile. With a share that is a DECIMAL, ranks are found in whole numbers."""
        share: ir.IntegerScalar = quantile_disc(value, Decimal(percent).scaleb(-2))
        return share

    def keeps_times(self) -> bool:
        """Say that they are kept by the quarter-hour."""
        return True

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        """Give the requests by the quarter-hour, single ones at their edges."""
        return request_times.together(self._entries, self._request_times, edges)

    each_value = staticmethod(ranks.each_value)

    def nearest_ranks(
        self,
        table: ir.Table,
        column: str,
        cells: ir.Table,
        sets: Sequence[Sequence[str]],
        percent: int,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> list[dict[str, Any]]:
        """Find a percentile of several groupings in two passes, with small tables between them."""
        ranking = self._rankings(table, column, cells, tuple(map(tuple, sets)), percent)
        with self.snapshot():
            for name, rows in ranking.tables:
                self.set_aside(name, rows, values)
            return self.run(ranking.answer, values)

    def read_ahead(
        self,
        lent: Beside,
        table: ir.Table,
        column: str,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        """Do nothing: a query keeps all cores busy."""

    def run(
        self, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> list[dict[str, Any]]:
        """Run a query on a cursor of its own and read it to its end."""
        names, rows = self._executed(expression, values)
        times = [name for name, kind in expression.schema().items() if kind.is_timestamp()]
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for row in found if times else ():
            for name in times:
                if row[name] is not None:
                    row[name] = row[name].replace(tzinfo=UTC)
        return found

    def hashes_texts(self) -> bool:
        """Say that there is such a function."""
        return True

    def set_aside(
        self, name: str, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> None:
        """Make a temporary table, which goes as the transaction ends."""
        self._executed(expression, values, f"CREATE OR REPLACE TEMP TABLE {name} AS ")

    def _executed(
        self, expression: ir.Table, values: Mapping[str, Any], verb: str = ""
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query, or what ``verb`` does with it; give the columns' names and the rows."""
        query = self._compiled(expression)
        of_sums = not SLOTS.isdisjoint(query.names)
        with self.snapshot() if of_sums else nullcontext(), self._cursor() as cursor:
            if of_sums:
                counts: dict[str, Any] = self._of_thread.summed
                add_counts(cursor, query.names, counts)
                values = {**values, **counts}
            bound = {name: _engine_value(values[name]) for name in query.names}
            cursor.execute(self._parsed.of(cursor, verb + query.text), bound or None)
            names = [column[0] for column in cursor.description or ()]
            return names, cursor.fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all queries that this thread runs inside see one state of the ledger."""
        if self._shared_cursor() is not None:
            yield  # already inside one
            return
        with self._handle.cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            self._of_thread.cursor = cursor
            self._of_thread.summed = {}  # which does not change within it
            try:
                yield
            finally:
                self._of_thread.cursor = None
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")

    def beside(self, lent: Beside, make: Callable[[], T]) -> Callable[[], T]:
        """Leave it to the one who asks: a query keeps all cores busy."""
        return make

    def _shared_cursor(self) -> duckdb.DuckDBPyConnection | None:
        return getattr(self._of_thread, "cursor", None)

    def _cursor(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        shared = self._shared_cursor()
        return self._handle.cursor() if shared is None else nullcontext(shared)

    def maintain(self) -> None:
        """Sum up what is new, and move the write-ahead log into the file (a checkpoint).

        A checkpoint cannot start while a query runs, so a gap between queries is looked
        for. Only a log that has grown large is worth making queries wait.
        """
        try:
            self.sum_up()
        except (duckdb.Error, LedgerUnavailable) as error:  # what is not summed up is read anyway
            logger.error("entries not summed up", extra={"reason": str(error).partition("\n")[0]})
        log_bytes = self._log_bytes()
        for _ in range(_CHECKPOINT_TRIES if log_bytes else 0):
            if self._checkpoint("CHECKPOINT"):
                return
            sleep(_CHECKPOINT_PAUSE_S)
        if log_bytes > _LOG_BYTES_MAX:
            self._checkpoint("FORCE CHECKPOINT")

    def sum_up(self, steps: int = STEPS, left_max: int = quarter_hours.LEFT_MAX) -> None:
        """Sum up what was not yet, where that is more than ``left_max``."""
        self._summing.sum_up(steps, left_max)

    def _checkpoint(self, statement: str) -> bool:
        with self._writing, self._handle.cursor() as cursor:
            self._failpoint("ledger.checkpoint.before")
            self._handle.keep_blocks(cursor)
            self._failpoint("ledger.checkpoint.kept")
            try:
                cursor.execute(statement)
            except duckdb.TransactionException as error:
                if "Cannot CHECKPOINT" not in str(error):
                    raise
                return False
            self._failpoint("ledger.checkpoint.after")
        return True

    def _log_bytes(self) -> int:
        log = self._handle.path.with_name(f"{self._handle.path.name}.wal")
        return log.stat().st_size if log.exists() else 0

    def close(self) -> None:
        """Let running queries end, write everything out and release the file."""
        with self._writing:
            self._handle.close()


def _engine_value(value: object) -> object:
    """Make an aware time naive UTC: compared with anything else, the column would be cast."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
