"""Sums up what a DuckDB ledger was given: quarter-hours, finer ones, days; and makes notes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import duckdb

from tollkeeper.domain.zones import UnevenDays
from tollkeeper.failpoints import FailPoint
from tollkeeper.storage.duckdb import (
    cache_sums,
    days,
    finer_quarter_hours,
    noted_entries,
    quarter_hours,
    request_times,
    several_entries,
)
from tollkeeper.storage.duckdb.handle import Handle, transaction
from tollkeeper.telemetry import logger

_SUMS: Final = (quarter_hours, finer_quarter_hours, request_times, days, cache_sums)
_COUNT_OF: Final = {each.SLOT: each.COUNT for each in (*_SUMS, several_entries)}
_COUNTS: Final = f"SELECT {', '.join(_COUNT_OF.values())} FROM summed_entries"  # noqa: S608

_LOOSE: Final = {
    finer_quarter_hours.SLOT: finer_quarter_hours.tell_loose_sessions,
    several_entries.SLOT: several_entries.tell_loose_entries,
}
"""Who makes tables of what follows such sums."""

SLOTS: Final = frozenset({*_COUNT_OF, noted_entries.SLOT})
"""Slots of queries that read sums: how much is in these, when it is asked."""

STEPS: Final = 8
"""So many steps of each kind of sums are made each time that a ledger is maintained."""

_left_of_times = partial(quarter_hours.left, count=request_times.COUNT)
_left_of_finer = partial(quarter_hours.left, count=finer_quarter_hours.COUNT)
_left_of_caches = partial(quarter_hours.left, count=cache_sums.COUNT)
_left_of_notes = partial(quarter_hours.left, count=noted_entries.COUNT)
_left_of_several = partial(quarter_hours.left, count=several_entries.COUNT)


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
            with self._handle.cursor() as cursor:
                found = days.zone_of(cursor)
            self._days_zone = found if self._zone in {"", found} else ""
            self._looked_at = opened
        return self._days_zone

    def sum_up(self, steps: int, left_max: int) -> None:
        """Sum up what was not yet, where that is more than ``left_max``, in so many steps."""
        for _ in range(steps):
            with self._step(quarter_hours.left, left_max) as cursor:
                if cursor is None:
                    break
                quarter_hours.sum_up(cursor)
                self._failpoint("ledger.sums.before")
            self._failpoint("ledger.sums.after")
        for _ in range(steps):
            with self._step(_left_of_times, left_max) as cursor:
                if cursor is None:
                    break
                request_times.sum_up(cursor)
                self._failpoint("ledger.times.before")
            self._failpoint("ledger.times.after")
        for _ in range(steps):
            with self._step(_left_of_finer, left_max) as cursor:
                if cursor is None:
                    break
                finer_quarter_hours.sum_up(cursor)
                self._failpoint("ledger.finer.before")
            self._failpoint("ledger.finer.after")
        for _ in range(steps):
            with self._step(_left_of_caches, left_max) as cursor:
                if cursor is None:
                    break
                cache_sums.sum_up(cursor)
                self._failpoint("ledger.caches.before")
            self._failpoint("ledger.caches.after")
        for _ in range(steps):
            with self._step(_left_of_notes, left_max) as cursor:
                if cursor is None:
                    break
                noted_entries.sum_up(cursor)
                self._failpoint("ledger.notes.before")
            self._failpoint("ledger.notes.after")
        for _ in range(steps):
            # Of those that are left, all that has gone on is looked for each time it is asked.
            with self._step(_left_of_several, 0) as cursor:
                if cursor is None:
                    break
                several_entries.sum_up(cursor)
                self._failpoint("ledger.several.before")
            self._failpoint("ledger.several.after")
        if self._zone:
            try:
                self._sum_up_days(self._zone, steps, left_max)
            except UnevenDays as error:
                logger.warning("days not summed up", extra={"reason": str(error)})
                self._zone = self._days_zone = ""  # quarter-hours do as well

    def _sum_up_days(self, zone: str, steps: int, left_max: int) -> None:
        if self.days_zone() != zone:
            with self._writing, self._handle.cursor() as writer, transaction(writer):
                days.start_over(writer, zone)
            self._days_zone = zone
        for _ in range(steps):
            with self._step(days.left, left_max) as cursor:
                if cursor is None:
                    break
                days.sum_up(cursor, zone)
                self._failpoint("ledger.days.before")
            self._failpoint("ledger.days.after")

    @contextmanager
    def _step(
        self, left: Callable[[duckdb.DuckDBPyConnection], int], left_max: int
    ) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """Lend a transaction to sum up in; None where too little is left."""
        with self._writing, self._handle.cursor() as cursor:
            if left(cursor) <= left_max:
                yield None
                return
            with transaction(cursor):
                yield cursor


def add_counts(
    cursor: duckdb.DuckDBPyConnection, names: Collection[str], known: dict[str, Any]
) -> None:
    """Say how much is in the sums that a query reads, as far as it is not known. In a snapshot."""
    missing = SLOTS.intersection(names).difference(known)
    if noted_entries.SLOT in missing:
        known |= noted_entries.open_windows(cursor)
        missing -= {noted_entries.SLOT}
    if not missing:
        return
    (counts,) = cursor.execute(_COUNTS).fetchall()
    found: dict[str, Any] = dict(zip(_COUNT_OF, counts, strict=True))
    for slot, tell in _LOOSE.items():
        if slot in missing:
            tell(cursor, found[slot])
        elif slot not in known:
            del found[slot]  # not known before what follows is told
    known |= found
