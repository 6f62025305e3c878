"""The loader: moves journal segments into the ledger, exactly once, and removes what is done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tollkeeper import clock
from tollkeeper.domain.errors import EntriesRejected, LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import NO_JOBS, JournalTail, Ledger, Position, SegmentChunk, SegmentInfo
from tollkeeper.services.job_memory import JobMemory, written
from tollkeeper.telemetry import logger

BATCH_MAX: Final = 5_000
POLL_S: Final = 0.15
PAUSE_S: Final = 0.25
PAUSE_MAX_S: Final = 30.0
REMOVE_AFTER_S: Final = 5.0
"""A closed segment is removed when nothing more was found in it for this long. The tail
itself needs a moment to tell damage from a write that it overtook."""
_RATE_WINDOW_S: Final = 10.0
_CHUNKS_COUNTED_MAX: Final = 20
_IDS_LOGGED_MAX: Final = 20

OnLoaded = Callable[[Sequence[LedgerEntry]], None]


@dataclass(frozen=True, slots=True)
class LoaderStatus:
    """How the loader is doing, for metrics and the health page.

    ``lag_entries`` counts what is known to wait: exact while the ledger is unavailable, at
    least so many while a backlog is being worked off. ``lag_s`` is how long ago the oldest
    waiting call ended. ``damaged`` counts journal records that failed their checksum,
    ``rejected`` entries that no column could hold. ``fault`` says what is wrong now ("" if
    nothing is).
    """

    loaded: int = 0
    rate_per_s: float = 0.0
    lag_entries: int = 0
    lag_s: float = 0.0
    damaged: int = 0
    rejected: int = 0
    failures: int = 0
    segments: int = 0
    fault: str = ""


class Loader:
    """Loads the segments of all gateway processes, oldest first, a batch of each at a time.

    ``on_loaded`` gets the entries of every batch once they are in the ledger, on the
    loader's own thread; it must return soon. The journal is the memory: nothing is kept
    here that a crash could lose, and while the ledger is down nothing piles up here.
    """

    def __init__(
        self,
        tail: JournalTail,
        ledger: Ledger,
        *,
        on_loaded: OnLoaded | None = None,
        failpoint: FailPoint = nowhere,
    ) -> None:
        self.status = LoaderStatus()
        self._tail = tail
        self._ledger = ledger
        self._on_loaded = on_loaded
        self._failpoint = failpoint
        self._offsets: dict[str, int] = {}
        self._offsets_certain = False
        self._ended: dict[str, tuple[int, float]] = {}  # segment → (its end, when first seen)
        self._jobs = JobMemory(ledger)
        self._backlog = _Backlog()
        self._pause_s = PAUSE_S
        self._loaded = self._damaged = self._rejected = self._failures = 0
        self._recent: deque[tuple[float, int]] = deque()

    def run(self, stop: threading.Event) -> None:
        """Load until told to stop. Runs on a thread of its own."""
        while not stop.wait(self.advance(clock.now_us(), clock.monotonic_s())):
            pass

    def advance(self, now_us: int, now_s: float) -> float:
        """Load what is there. Gives the seconds to wait before the next time.

        Never raises: a ledger or a disk that fails is tried again after growing pauses.
        """
        fault = ""
        segments: list[SegmentInfo] = []
        try:
            segments = self._tail.segments()
            more = self._load(segments, now_us, now_s)
            self._pause_s = PAUSE_S
            wait_s = 0.0 if more else POLL_S
        except Exception as error:  # noqa: BLE001 - the loader must outlive any failure
            fault = _words(error)
            self._failed(error, fault, segments)
            wait_s = self._pause_s
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
        self.status = self._status(now_us, now_s, len(segments), fault)
        return wait_s

    def _load(self, segments: Sequence[SegmentInfo], now_us: int, now_s: float) -> bool:
        """Load one batch of each segment. Tells whether more is waiting."""
        if not self._offsets_certain:
            self._ask_offsets(segments)
        more = False
        names = {info.name for info in segments}
        for info in segments:
            try:
                chunk = self._tail.read(info.name, self._offsets.get(info.name, 0), BATCH_MAX)
            except LookupError:
                logger.warning("journal segment is gone", extra={"segment": info.name})
                continue
            self._failpoint("loader.read.after")
            if chunk.marks and self._jobs.waits(info.name, chunk, names - {info.name}, now_s):
                continue
            if chunk.at_end:
                self._jobs.read_to_end(info.name)
            if chunk.entries or chunk.damaged:  # holds alone need no place in the ledger
                self._store(info.name, chunk, now_us, now_s)
            self._offsets[info.name] = chunk.offset
            if not chunk.at_end:
                more = True
            elif info.closed:
                self._remove_when_settled(info, chunk.offset, now_s)
        if more:
            self._backlog.entries = max(self._backlog.entries, 1)
        else:
            self._backlog = _Backlog()
        return more

    def _ask_offsets(self, segments: Sequence[SegmentInfo]) -> None:
        """Ask the ledger how far it got: at the start, and after every failure."""
        stored = dict(self._ledger.positions())
        gone = stored.keys() - {info.name for info in segments}
        if gone and segments:  # an empty folder may be one that is not mounted
            self._ledger.forget(sorted(gone))
        self._offsets = stored
        self._offsets_certain = True

    def _store(self, name: str, chunk: SegmentChunk, now_us: int, now_s: float) -> None:
        position = Position(name, chunk.offset)
        entries: Sequence[LedgerEntry] = chunk.entries
        jobs = NO_JOBS
        if chunk.marks:
            entries, changed = self._jobs.resolve(chunk, now_us)
            jobs = written(changed)
        try:
            added = self._ledger.append(entries, position, jobs)
        except EntriesRejected as error:
            entries = [entry for entry in entries if entry.entry_id not in error.entry_ids]
            added = self._ledger.append(entries, position, jobs)
            self._count_rejected(error)
        self._failpoint("loader.append.after")
        if chunk.damaged:
            self._damaged += chunk.damaged
            logger.error(
                "journal records damaged", extra={"segment": name, "records": chunk.damaged}
            )
        self._loaded += added
        self._recent.append((now_s, added))
        self._backlog.worked_off(entries)
        if entries and self._on_loaded is not None:
            try:
                self._on_loaded(entries)
            except Exception:  # noqa: BLE001 - what is stored is stored
                logger.exception("a listener of the loader failed")

    def _count_rejected(self, error: EntriesRejected) -> None:
        self._rejected += len(error.entry_ids)
        ids = sorted(error.entry_ids)[:_IDS_LOGGED_MAX]
        logger.error(
            "entries rejected by the ledger",
            extra={"entries": len(error.entry_ids), "entry_ids": " ".join(ids)},
        )

    def _remove_when_settled(self, info: SegmentInfo, end: int, now_s: float) -> None:
        """Remove a segment in which nothing more was found, those before it first.

        The last one says that its gateway ended well. Were it gone before the others, a gateway
        that starts would take them for what a crash has left.
        """
        name = info.name
        seen_end, since_s = self._ended.get(name, (-1, now_s))
        if seen_end != end:
            self._ended[name] = (end, now_s)
        elif info.first and now_s - since_s >= REMOVE_AFTER_S:
            self._failpoint("loader.remove.before")
            self._tail.remove(name)
            self._failpoint("loader.remove.after")
            self._ledger.forget([name])
            del self._ended[name], self._offsets[name]

    def _failed(self, error: Exception, words: str, segments: Sequence[SegmentInfo]) -> None:
        """Take note of a failure, and count what waits because of it."""
        self._failures += 1
        self._offsets_certain = False  # an error does not say what was stored
        if self.status.fault != words:
            expected = isinstance(error, LedgerUnavailable | OSError)
            logger.error(
                "loading failed", extra={"reason": words}, exc_info=None if expected else error
            )
        try:
            self._backlog.count(self._tail, segments, self._offsets)
        except (OSError, LookupError) as unreadable:
            logger.warning("journal cannot be read", extra={"reason": _words(unreadable)})

    def _status(self, now_us: int, now_s: float, segments: int, fault: str) -> LoaderStatus:
        while self._recent and now_s - self._recent[0][0] > _RATE_WINDOW_S:
            self._recent.popleft()
        oldest_us = self._backlog.oldest_us
        return LoaderStatus(
            loaded=self._loaded,
            rate_per_s=sum(added for _, added in self._recent) / _RATE_WINDOW_S,
            lag_entries=self._backlog.entries,
            lag_s=0.0 if oldest_us is None else max(0, now_us - oldest_us) / 1e6,
            damaged=self._damaged,
            rejected=self._rejected,
            failures=self._failures,
            segments=segments,
            fault=fault,
        )


class _Backlog:
    """What is known to wait: how many entries, and when the oldest of them ended."""

    def __init__(self) -> None:
        self.entries = 0
        self.oldest_us: int | None = None
        self._counted: dict[str, int] = {}

    def worked_off(self, entries: Sequence[LedgerEntry]) -> None:
        """Take what was loaded off; what still waits ended after it."""
        if entries:
            self.entries = max(0, self.entries - len(entries))
            self.oldest_us = _ended_us(entries[-1])

    def count(
        self, tail: JournalTail, segments: Sequence[SegmentInfo], loaded: Mapping[str, int]
    ) -> None:
        """Count on where the last count stopped, a limited number of chunks."""
        chunks_left = _CHUNKS_COUNTED_MAX
        for info in segments:
            at_end = False
            while not at_end and chunks_left:
                offset = self._counted.get(info.name, loaded.get(info.name, 0))
                chunk = tail.read(info.name, offset, BATCH_MAX)
                self._counted[info.name], at_end = chunk.offset, chunk.at_end
                self.entries += len(chunk.entries)
                ended_us = [_ended_us(entry) for entry in chunk.entries[:1]]
                self.oldest_us = min(
                    (each for each in (self.oldest_us, *ended_us) if each is not None),
                    default=None,
                )
                chunks_left -= 1


def _ended_us(entry: LedgerEntry) -> int:
    return entry.started_at_us + entry.duration_ms * 1_000


def _words(error: Exception) -> str:
    """Describe a failure without quoting data: our own errors and the system's say enough."""
    told = isinstance(error, LedgerUnavailable | OSError)
    return str(error) if told else type(error).__name__
