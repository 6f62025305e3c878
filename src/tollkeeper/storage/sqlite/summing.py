"""Sums up what an SQLite ledger was given: quarter-hours, finer ones, days; and makes notes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from tollkeeper.domain.zones import UnevenDays
from tollkeeper.failpoints import FailPoint
from tollkeeper.storage.sqlite import (
    cache_sums,
    days,
    finer_quarter_hours,
    noted_entries,
    quarter_hours,
)
from tollkeeper.storage.sqlite.handle import Handle, transaction
from tollkeeper.telemetry import logger

STEPS: Final = 20
"""So many steps of each kind of sums are made each time that a ledger is maintained."""

_left_of_finer = partial(quarter_hours.left, count=finer_quarter_hours.COUNT)
_left_of_caches = partial(quarter_hours.left, count=cache_sums.COUNT)
_left_of_notes = partial(quarter_hours.left, count=noted_entries.COUNT)


def _left_of_days(connection: sqlite3.Connection, left_max: int) -> int:
    found = days.left(connection)
    return found if found > left_max else 0


class Summing:
    """All sums of one ledger. ``writing`` is held by whoever writes to it.

    ``zone`` is the one whose days are to be summed up; "" leaves those that there are alone.
    """

    def __init__(
        self, handle: Handle, writing: threading.Lock, failpoint: FailPoint, zone: str
    ) -> None:
        self._handle = handle
        self._writing = writing
        self._failpoint = failpoint
        self._zone = zone
        self._looked_at = 0
        self._days_zone = ""

    def days_zone(self) -> str:
        """Name the zone whose days can be used; it is looked up in each file that is opened."""
        opened = self._handle.times_opened
        if self._looked_at != opened:
            with self._handle.reader() as connection:
                found = days.zone_of(connection)
            self._days_zone = found if self._zone in {"", found} else ""
            self._looked_at = opened
        return self._days_zone

    def sum_up(self, steps: int, left_max: int) -> None:
        """Sum up what was not yet, where that is more than ``left_max``, in so many steps."""
        for _ in range(steps):
            with self._step(quarter_hours.left, left_max) as connection:
                if connection is None:
                    break
                quarter_hours.sum_up(connection)
                self._failpoint("ledger.sums.before")
            self._failpoint("ledger.sums.after")
        try:
            self._sum_up_days(steps, left_max)
        except UnevenDays as error:
            logger.warning("days not summed up", extra={"reason": str(error)})
            self._zone = self._days_zone = ""  # quarter-hours do as well
        for _ in range(steps):
            with self._step(_left_of_finer, left_max) as connection:
                if connection is None:
                    break
                finer_quarter_hours.sum_up(connection)
                self._failpoint("ledger.finer.before")
            self._failpoint("ledger.finer.after")
        for _ in range(steps):
            with self._step(_left_of_caches, left_max) as connection:
                if connection is None:
                    break
                cache_sums.sum_up(connection)
                self._failpoint("ledger.caches.before")
            self._failpoint("ledger.caches.after")
        for _ in range(steps):
            with self._step(_left_of_notes, left_max) as connection:
                if connection is None:
                    break
                noted_entries.sum_up(connection)
                self._failpoint("ledger.notes.before")
            self._failpoint("ledger.notes.after")

    def _sum_up_days(self, steps: int, left_max: int) -> None:
        if not self._zone:
            return
        if self.days_zone() != self._zone:
            with self._writing, self._handle.writer() as connection, transaction(connection):
                days.start_over(connection, self._zone)
            self._days_zone = self._zone
        for _ in range(steps):
            with self._step(_left_of_days, left_max) as found:
                if found is None:
                    break
                days.sum_up(found, self._zone)
                self._failpoint("ledger.days.before")
            self._failpoint("ledger.days.after")

    @contextmanager
    def _step(
        self, left: Callable[[sqlite3.Connection, int], int], left_max: int
    ) -> Iterator[sqlite3.Connection | None]:
        """Lend a transaction to sum up in; None where too little is left."""
        with self._writing, self._handle.writer() as connection:
            if not left(connection, left_max):
                yield None
                return
            with transaction(connection):
                yield connection
