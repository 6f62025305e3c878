"""A ledger that is opened when it can be: its process starts, and runs on, without it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tollkeeper import clock
from tollkeeper.domain.beside import Beside
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ledger_sums import CallsApart
from tollkeeper.ports import NO_JOBS, NO_VALUES, Ledger, Position
from tollkeeper.telemetry import logger

if TYPE_CHECKING:
    import ibis.expr.types as ir

T = TypeVar("T")

RETRY_S: Final = 1.0
WAIT_S: Final = 5.0
"""How long a use waits while another thread opens; after a crash that can take longer."""


class LateLedger:
    """The ``Ledger`` port in front of one that may not be open yet.

    Whoever uses it first opens it. While that fails (another process has the file, the disk
    is full) every use raises the same LedgerUnavailable, and opening is tried again by the
    next use after a second. Once open, the ledger takes care of itself.
    """

    def __init__(
        self,
        engine: str,
        opened: Callable[[], Ledger],
        *,
        now_s: Callable[[], float] = clock.monotonic_s,
        wait_s: float = WAIT_S,
    ) -> None:
        self.engine = engine
        self._opened = opened
        self._now_s = now_s
        self._wait_s = wait_s
        self._opening = threading.Lock()
        self._ledger: Ledger | None = None
        self._failure = LedgerUnavailable("the ledger is being opened")
        self._retry_at_s = 0.0
        self._closed = False

    @property
    def fault(self) -> str:
        """Say why the ledger is not open, "" when it is."""
        return "" if self._ledger is not None else self._failure.message

    def positions(self) -> Mapping[str, int]:
        return self._required().positions()

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        return self._required().append(entries, position, jobs)

    def forget(self, segments: Sequence[str]) -> None:
        self._required().forget(segments)

    def jobs(self, names: Sequence[str]) -> Mapping[str, str]:
        return self._required().jobs(names)

    def known(self, entry_ids: Sequence[str], started_at_us: int) -> frozenset[str]:
        return self._required().known(entry_ids, started_at_us)

    def entries(self) -> ir.Table:
        return self._required().entries()

    def summed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return self._required().summed(edges)

    def days_zone(self) -> str:
        return self._required().days_zone()

    def summed_daily(
        self,
        edges: Sequence[tuple[ir.Value, ir.Value]],
        edge_days: Sequence[tuple[ir.Value, ir.Value]],
    ) -> ir.Table:
        return self._required().summed_daily(edges, edge_days)

    def summed_finely(
        self, edges: Sequence[tuple[ir.Value, ir.Value]], *, alone: bool = False
    ) -> ir.Table:
        return self._required().summed_finely(edges, alone=alone)

    def sums_finely(self) -> bool:
        return self._required().sums_finely()

    def summed_caches(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return self._required().summed_caches(edges)

    def sums_small_calls(self) -> bool:
        return self._required().sums_small_calls()

    def summed_small(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return self._required().summed_small(edges)

    def notes_entries(self) -> bool:
        return self._required().notes_entries()

    def noted(self, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
        return self._required().noted(finding, begin, end)

    def gaps(self) -> ir.Table:
        return self._required().gaps()

    def open_sessions(self) -> frozenset[str]:
        return self._required().open_sessions()

    def of_sessions(self, slot: str) -> ir.Table:
        return self._required().of_sessions(slot)

    def keeps_calls_apart(self) -> bool:
        return self._required().keeps_calls_apart()

    def calls_apart(self) -> CallsApart:
        return self._required().calls_apart()

    def tag(self, table: ir.Table, key: str) -> ir.StringValue:
        return self._required().tag(table, key)

    def nearest_rank(self, value: ir.IntegerValue, percent: int) -> ir.IntegerScalar:
        return self._required().nearest_rank(value, percent)

    def keeps_times(self) -> bool:
        return self._required().keeps_times()

    def timed(self, edges: Sequence[tuple[ir.Value, ir.Value]]) -> ir.Table:
        return self._required().timed(edges)

    def each_value(self, table: ir.Table, column: str) -> ir.Table:
        return self._required().each_value(table, column)

    def nearest_ranks(
        self,
        table: ir.Table,
        column: str,
        cells: ir.Table,
        sets: Sequence[Sequence[str]],
        percent: int,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> list[dict[str, Any]]:
        return self._required().nearest_ranks(table, column, cells, sets, percent, values)

    def read_ahead(
        self,
        lent: Beside,
        table: ir.Table,
        column: str,
        values: Mapping[str, Any] = NO_VALUES,
    ) -> None:
        self._required().read_ahead(lent, table, column, values)

    def run(
        self, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> list[dict[str, Any]]:
        return self._required().run(expression, values)

    def hashes_texts(self) -> bool:
        return self._required().hashes_texts()

    def set_aside(
        self, name: str, expression: ir.Table, values: Mapping[str, Any] = NO_VALUES
    ) -> None:
        self._required().set_aside(name, expression, values)

    def snapshot(self) -> AbstractContextManager[None]:
        return self._required().snapshot()

    def beside(self, lent: Beside, make: Callable[[], T]) -> Callable[[], T]:
        return self._required().beside(lent, make)

    def maintain(self) -> None:
        self._required().maintain()

    def close(self) -> None:
        """Close the ledger; it is not opened again."""
        with self._opening:
            self._closed = True
            ledger, self._ledger = self._ledger, None
            self._failure = LedgerUnavailable("the ledger is closed")
        if ledger is not None:
            ledger.close()

    def _required(self) -> Ledger:
        ledger = self._ledger
        return self._open() if ledger is None else ledger

    def _open(self) -> Ledger:
        if self._opening.acquire(timeout=self._wait_s):
            try:
                if self._ledger is not None:
                    return self._ledger
                if not self._closed and self._now_s() >= self._retry_at_s:
                    return self._try_to_open()
            finally:
                self._opening.release()
        raise copy(self._failure)  # one that is raised twice collects the tracebacks of both

    def _try_to_open(self) -> Ledger:
        try:
            self._ledger = self._opened()
        except LedgerUnavailable as failure:
            if failure.message != self._failure.message:
                logger.error("ledger not open", extra={"reason": failure.message})
            self._failure = failure
            self._retry_at_s = self._now_s() + RETRY_S
            raise
        logger.info("ledger open", extra={"engine": self.engine})
        return self._ledger
