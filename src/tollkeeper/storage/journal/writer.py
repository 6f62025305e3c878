"""The journal of one gateway process: what is written before anything else happens.

Records are collected and written once per turn of the event loop, so that the cost of a
system call is shared by all calls that move in that turn. Space for the outcome of every
open call is reserved when the call is held: a full disk refuses new calls, and never
loses an outcome.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.leases import Account
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.storage.journal import frames, segments, spent_files
from tollkeeper.telemetry import logger

Written = Callable[[OSError | None], None]
Accounts = Callable[[], Sequence[Account]]

OUTCOME_BYTES: Final = 1_024
"""Room kept for the outcome of a call, on top of the size of its held record. An outcome
that is larger than its room loses the raw usage, and nothing else, when the disk is full."""

RETRY_S: Final = 0.25
NOTES_WAITING_MAX: Final = 10_000
SEGMENT_BYTES: Final = 32 << 20
SYNC_INTERVAL_S: Final = 0.05


_Record = tuple[bytes, Written | None, str]
"""A frame, its callback, and the entry id if it holds a call (else "")."""


class _Outcome(NamedTuple):
    entry_id: str
    frame: bytes
    on_written: Written | None


class JournalWriter:
    """Implements ``ports.Journal`` on segment files.

    ``sync_always`` runs the callbacks only after the data is on the disk itself; otherwise
    the disk is synced every 50 ms and a power cut (not a crash) may lose that much.
    ``on_fatal`` is called when a sync fails: the process must stop, because nothing is
    known any more about what the disk holds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now_us: int,
        on_fatal: Callable[[OSError], None],
        segment_bytes: int = SEGMENT_BYTES,
        sync_always: bool = False,
        failpoint: FailPoint | None = None,
    ) -> None:
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._on_fatal = on_fatal
        self._segment_bytes = segment_bytes
        self._sync_always = sync_always
        self._failpoint = failpoint
        self._pass = failpoint or nowhere  # where a call more does not matter
        self.instance = segments.unused_instance(folder, now_us)
        lock = segments.InstanceLock.take(folder, self.instance)
        if lock is None:
            raise OSError(f"journal instance {self.instance} is in use")
        self._lock = lock
        self._held: dict[str, bytes] = {}  # entry id → the frame of an open call
        self._room_bytes = 0  # kept for the outcomes of the open calls
        self._batch: list[_Record] = []
        self._batch_bytes = 0
        self._waiting: deque[_Outcome] = deque()  # outcomes that found no room
        self.accounts: Accounts | None = None  # what was spent of budgets, where there are any
        self._flush_scheduled = False
        self._failing: OSError | None = None
        self._full: OSError | None = None  # why there is no next segment
        self._lost_disk = False  # a sync failed: nothing is acknowledged any more
        self._dirty = False
        self._number = 0
        self._fd = -1
        self._offset = 0
        self._capacity = 0
        self.records_written = 0
        self.refused = 0
        self.notes_lost = 0
        self._start_segment(0)
        segments.sync_folder(folder)
        self._pass("journal.start.synced")
        self._sync_timer = self._loop.call_later(SYNC_INTERVAL_S, self._sync_tick)

    # ------------------------------------------------------------------ records

    @property
    def open_calls(self) -> int:
        """Count the calls that are held and not resolved."""
        return len(self._held)

    def hold(self, held: Held, on_written: Written) -> None:
        """Record a call before its first upstream byte, and keep room for its outcome."""
        frame = frames.frame(frames.KIND_HELD, held)
        size = len(frame)
        room = size + OUTCOME_BYTES
        error = self._failing
        if error is None and self._used + size + room > self._capacity:
            error = self._rotate(size + room)
        if error is not None:
            self.refused += 1
            on_written(error)
            return
        self._held[held.entry_id] = frame
        self._room_bytes += room
        self._write(frame, on_written, held.entry_id)

    def sent(self, held: Held, on_written: Written) -> None:
        """Record that a held call's bytes follow now."""
        entry_id = held.entry_id
        if entry_id in self._held:  # what a later segment will start with; of the same size
            self._held[entry_id] = frames.frame(frames.KIND_HELD, held._replace(sent=True))
        self._write(frames.frame(frames.KIND_SENT, entry_id), on_written, "")

    def post(self, settled: Settled, on_written: Written | None) -> None:
        """Resolve a held call with its outcome, for which room was kept."""
        entry_id = settled.entry_id
        frame = frames.frame(frames.KIND_POSTED, settled)
        held = self._held.get(entry_id)
        room = 0 if held is None else len(held) + OUTCOME_BYTES
        if self._used + len(frame) - room > self._capacity and self._rotate(len(frame)):
            parts = [part._replace(usage_raw="") for part in settled.parts]
            frame = frames.frame(frames.KIND_POSTED, settled._replace(parts=parts))
            if self._used + len(frame) - room > self._capacity:
                self._wait(_Outcome(entry_id, frame, on_written))
                return
        if held is not None:
            del self._held[entry_id]
            self._room_bytes -= room
        self._write(frame, on_written, "")

    def bill(self, bills: Sequence[Billed], on_written: Written) -> None:
        """Record bills of work from before: all, or none where there is no room.

        They will be told again, so nothing is kept for later.
        """
        data = b"".join([frames.frame(frames.KIND_BILL, bill) for bill in bills])
        error = self._failing
        if error is None and self._used + len(data) > self._capacity:
            error = self._rotate(len(data))
        if error is not None:
            on_written(error)
        else:
            self._write(data, on_written, "")

    def note(self, entry: LedgerEntry) -> None:
        """Record a call that was never held. Where there is no room for it, it waits."""
        frame = frames.frame(frames.KIND_ENTRY, entry)
        if self._used + len(frame) > self._capacity and self._rotate(len(frame)):
            self._wait(_Outcome("", frame, None))
        else:
            self._write(frame, None, "")

    def account(self, accounts: Sequence[Account]) -> None:
        """Record what was spent of some rows of budgets, by all that was recorded before."""
        data = self._spent(accounts)
        if self._used + len(data) <= self._capacity or not self._rotate(len(data)):
            # Without room for it the next segment begins with it.
            self._write(data, None, "")

    def flush(self) -> bool:
        """Write what was recorded; False where some of it has to wait."""
        batch = self._write_batch()
        if batch:  # who waits for these is told as usual, in a turn of its own
            self._loop.call_soon(self._written, batch)
        return not (self._batch or self._waiting or self._failing)

    def void(self, entry_id: str) -> None:
        """Resolve a call that never reached the provider."""
        self._close_call(entry_id)
        self._write(frames.frame(frames.KIND_VOIDED, entry_id), None, "")

    def _room_of(self, entry_id: str) -> int:
        held = self._held.get(entry_id)
        return 0 if held is None else len(held) + OUTCOME_BYTES

    def _close_call(self, entry_id: str) -> None:
        held = self._held.pop(entry_id, None)
        if held is not None:
            self._room_bytes -= len(held) + OUTCOME_BYTES

    def _wait(self, outcome: _Outcome) -> None:
        if not self._waiting:
            self._loop.call_later(RETRY_S, self._retry_waiting)
        if outcome.entry_id or len(self._waiting) < NOTES_WAITING_MAX:
            self._waiting.append(outcome)
        else:
            self.notes_lost += 1  # refusals only: nothing that was spent is ever dropped

    def _retry_waiting(self) -> None:
        while self._waiting:
            entry_id, frame, on_written = self._waiting[0]
            needed = len(frame) - self._room_of(entry_id)
            if self._used + needed > self._capacity and self._rotate(len(frame)):
                self._loop.call_later(RETRY_S, self._retry_waiting)
                return
            self._waiting.popleft()
            self._close_call(entry_id)
            self._write(frame, on_written, "")

    def _spent(self, accounts: Sequence[Account]) -> bytes:
        counted = [waiting.entry_id for waiting in self._waiting if waiting.entry_id]
        return frames.spent_frames(accounts, counted)

    # ------------------------------------------------------------------ writing

    @property
    def _used(self) -> int:
        """Count the bytes of the segment that are written, about to be, or kept free."""
        return self._offset + self._batch_bytes + self._room_bytes

    def _write(self, frame: bytes, on_written: Written | None, held_id: str) -> None:
        self._batch.append((frame, on_written, held_id))
        self._batch_bytes += len(frame)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        batch = self._write_batch()
        if batch:
            self._written(batch)

    def _write_batch(self) -> list[_Record]:
        """Write the records that were collected, and give those that are written now."""
        self._flush_scheduled = False
        batch = self._batch
        if not batch or self._lost_disk:
            return []
        data = batch[0][0] if len(batch) == 1 else b"".join([record[0] for record in batch])
        if self._failpoint:
            self._failpoint("journal.write.before")
        try:
            segments.write_at(self._fd, data, self._offset)
        except OSError as error:
            self._write_failed(error)
            return []
        if self._failpoint:
            self._failpoint("journal.write.after")
        if self._failing is not None:
            self._failing = None
            logger.warning("journal can be written again")
        self._offset += len(data)
        self.records_written += len(batch)
        self._batch, self._batch_bytes = [], 0
        self._dirty = True
        return batch

    def _written(self, batch: list[_Record]) -> None:
        if self._sync_always:
            self._sync(batch)
        else:
            _report(batch)

    def _write_failed(self, error: OSError) -> None:
        """Refuse the calls that wanted to start; keep all records and write them again.

        The next attempt writes the same bytes to the same offset, so that a reader which saw
        a part of them has seen nothing that changes. What was refused is voided behind them.
        """
        if self._failing is None:
            logger.error("journal cannot be written", extra={"error": str(error)})
        self._failing = error
        refused = [record for record in self._batch if record[2]]
        self._batch = [
            (frame, None if held_id else on_written, "")
            for frame, on_written, held_id in self._batch
        ]
        self._flush_scheduled = True
        self._loop.call_later(RETRY_S, self._flush)
        self.refused += len(refused)
        for _, on_written, held_id in refused:
            self.void(held_id)
            if on_written is not None:
                self._loop.call_soon(on_written, error)

    # ------------------------------------------------------------------ segments

    def _start_segment(self, needed_bytes: int) -> None:
        carried = b"".join(
            [*self._held.values(), frames.frame(frames.KIND_CARRIED, len(self._held))]
        )
        carried += b"" if self.accounts is None else self._spent(self.accounts())
        size = max(self._segment_bytes, 2 * (len(carried) + self._room_bytes + needed_bytes))
        name = segments.SegmentName(self.instance, self._number + 1)
        fd = segments.create(self._folder, name, carried, size, self._pass)
        self._number += 1
        self._fd, self._capacity = fd, size
        self._offset = len(frames.HEADER) + len(carried)
        self._dirty = True

    def _rotate(self, needed_bytes: int) -> OSError | None:
        """Go on in a new segment that starts with the open calls. Returns what prevented it.

        Who waits for a record is told later: told now, it might add an outcome to a batch
        whose segment does not begin with that call any more.
        """
        batch = self._write_batch()
        if batch:
            self._loop.call_soon(self._written, batch)
        if self._failing is not None:
            return self._failing
        old_fd, old_end = self._fd, self._offset
        self._pass("journal.rotate.before")
        try:
            self._start_segment(needed_bytes)
        except OSError as error:
            if self._full is None:
                logger.error("journal cannot grow", extra={"error": str(error)})
            self._full = error
            return error
        if self._full is not None:
            self._full = None
            logger.warning("journal can grow again")
        self._pass("journal.rotate.after")
        self._on_disk(segments.finish, self._folder, old_fd, old_end, self._pass)
        return None

    # ------------------------------------------------------------------ durability

    def _sync_tick(self) -> None:
        if self._dirty and not self._lost_disk:
            self._sync([])
        self._sync_timer = self._loop.call_later(SYNC_INTERVAL_S, self._sync_tick)

    def _sync(self, batch: list[_Record]) -> None:
        self._dirty = False
        self._on_disk(segments.sync, self._fd, self._pass).add_done_callback(
            lambda future: None if future.exception() or self._lost_disk else _report(batch)
        )

    def _on_disk(self, work: Callable[..., None], *args: object) -> asyncio.Future[None]:
        """Run disk work in the journal's one thread, in order; a failure there is fatal."""
        future = self._loop.run_in_executor(self._disk, work, *args)
        future.add_done_callback(self._disk_work_ended)
        return future

    def _disk_work_ended(self, future: asyncio.Future[None]) -> None:
        error = future.exception()
        if isinstance(error, OSError) and not self._lost_disk:
            self._lost_disk = True
            self._failing = error
            self._on_fatal(error)

    def probe(self) -> None:
        """Prove that the journal can be written and read. Raises OSError when it cannot.

        A journal that could not grow tries again now: no call may come to make it try.
        """
        if self._failing is not None:
            raise self._failing
        if self._full is not None:
            error = self._rotate(OUTCOME_BYTES)
            if error is not None:
                raise error
        segments.probe(self._folder, self.instance)

    def close(self) -> None:
        """Write what is left and end the instance. Open calls stay open for recovery."""
        self._sync_timer.cancel()
        self._retry_waiting()
        self._flush()
        self._pass("journal.close.before")
        if not (self._held or self._batch or self._waiting or self._lost_disk):
            if self.accounts is not None:
                spent_files.write(self._folder, self.instance, self.accounts(), self._pass)
            end = frames.frame(frames.KIND_END, None)
            segments.write_at(self._fd, end, self._offset)
            self._offset += len(end)
            self._pass("journal.close.written")
        self._disk.shutdown(wait=True)
        segments.finish(self._folder, self._fd, self._offset, self._pass)
        self._pass("journal.close.after")
        self._lock.release()


def _report(batch: list[_Record]) -> None:
    for _, on_written, _ in batch:
        if on_written is not None:
            on_written(None)
