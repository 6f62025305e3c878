"""The journal folder as the loader reads it: segments of living and dead gateways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from tollkeeper import clock
from tollkeeper.domain.calls import Held
from tollkeeper.domain.jobs import JobMark
from tollkeeper.domain.ledger import LedgerEntry, entries_of
from tollkeeper.ports import SegmentChunk, SegmentInfo
from tollkeeper.storage.journal import frames
from tollkeeper.storage.journal.segments import SegmentName, list_segments
from tollkeeper.telemetry import logger

READ_BYTES: Final = 4 << 20
DAMAGE_AGE_S: Final = 1.0
"""A stretch that cannot be read this long after it was first seen is damaged. Before that
it may be a write that the reader overtook."""


class FolderTail:
    """Implements ``ports.JournalTail`` on a folder of segments."""

    def __init__(self, folder: Path, *, now_s: Callable[[], float] = clock.monotonic_s) -> None:
        self._folder = folder
        self._now_s = now_s
        self._suspects: dict[str, tuple[int, float]] = {}  # segment → (offset, first seen)
        self._held: dict[str, tuple[int, dict[str, Held]]] = {}  # segment → (offset, open calls)
        self._closed: frozenset[str] = frozenset()
        self._foreign: dict[str, bool] = {}  # segment → whether another version wrote it

    def segments(self) -> list[SegmentInfo]:
        """List the segments, oldest first.

        A segment is closed when its instance went on in a later one, or has ended. The
        last segment of an instance that died stays open until recovery has added one.
        Segments of another version of the journal are left alone: they are not listed.
        """
        names = [name for name in list_segments(self._folder) if not self._is_foreign(name.file)]
        found = [
            SegmentInfo(
                name.file,
                closed=(index + 1 < len(names) and names[index + 1].instance == name.instance)
                or self._has_ended(name),
                first=not index or names[index - 1].instance != name.instance,
            )
            for index, name in enumerate(names)
        ]
        self._closed = frozenset(info.name for info in found if info.closed)
        return found

    def read(self, name: str, offset: int, entries_max: int) -> SegmentChunk:
        """Read the entries that follow an offset (0 for the start)."""
        start = max(offset, len(frames.HEADER))
        held = self._held_before(name, start)
        data = self._bytes(name, start)
        view = memoryview(data)
        entries: list[LedgerEntry] = []
        marks: dict[str, JobMark] = {}
        damaged = int(not offset and self._header_is_damaged(name))
        end = 0
        at_end = False
        while len(entries) < entries_max and not at_end:
            found = frames.frame_at(view, end)
            if found is not None:
                end = found.end
                if not _take(found, held, entries, marks):
                    damaged += 1
            elif _is_zero(data, end) or (name not in self._closed and _unwritten(data, end)):
                at_end = len(data) < READ_BYTES or name not in self._closed
                if not at_end:
                    end = len(data)  # space that was left free, and perhaps not the end
                    break
            elif end and len(data) == READ_BYTES:
                break  # the frame goes on behind what was read
            else:
                skipped_to = self._after_damage(name, data, start, end)
                if skipped_to is None:
                    at_end = True
                else:
                    damaged += 1
                    end = skipped_to
        self._held[name] = (start + end, held)
        return SegmentChunk(entries, start + end, at_end, damaged, marks)

    def _held_before(self, name: str, offset: int) -> dict[str, Held]:
        """Give the calls that are open at an offset; after a restart they are read again."""
        known_offset, held = self._held.get(name, (-1, {}))
        if known_offset == offset:
            return held
        held = {}
        at = len(frames.HEADER)
        while at < offset:
            data = self._bytes(name, at)[: offset - at]
            end = 0
            for step in frames.scan(data, 0):
                end = step.end
                if step.frame is not None:
                    _take(step.frame, held, [], {})
            if not end:
                break
            at += end
        return held

    def _bytes(self, name: str, start: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(start)
                first = file.read(frames.FRAME_BYTES_MIN)
                if not first.strip(b"\0") and name not in self._closed:
                    return first  # nothing new: the usual case, and worth being cheap
                return first + file.read(READ_BYTES - len(first))
        except FileNotFoundError:
            raise LookupError(f"journal segment {name} is gone") from None

    def _after_damage(self, name: str, data: bytes, start: int, end: int) -> int | None:
        """Find where reading can go on; None at the end, or while it is too early to tell."""
        seen_offset, seen_s = self._suspects.get(name, (-1, 0.0))
        if seen_offset != start + end:
            self._suspects[name] = (start + end, self._now_s())
            return None
        if self._now_s() - seen_s < DAMAGE_AGE_S:
            return None
        following = frames.next_frame_start(data, end + 1)
        if following is None and len(data) == READ_BYTES:
            following = len(data) - frames.RECORD_BYTES_MAX  # a whole read without a frame
        if following is None and name in self._closed:
            following = len(data)  # its last record is damaged: nothing will complete it
        return following

    def remove(self, name: str) -> None:
        """Delete a segment that has been loaded to its end."""
        (self._folder / name).unlink(missing_ok=True)
        self._suspects.pop(name, None)
        self._held.pop(name, None)
        self._foreign.pop(name, None)

    def _header(self, name: str) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(len(frames.HEADER))
        except FileNotFoundError:
            raise LookupError(f"journal segment {name} is gone") from None

    def _header_is_damaged(self, name: str) -> bool:
        """Tell whether a segment begins with something else; a power cut leaves zeros."""
        header = self._header(name)
        return header != frames.HEADER and bool(header.strip(b"\0"))

    def _is_foreign(self, name: str) -> bool:
        known = self._foreign.get(name)
        if known is None:
            try:
                known = frames.other_version(self._header(name))
            except LookupError:
                return False
            self._foreign[name] = known
            if known:
                logger.error(
                    "journal segment is of another version and waits for it",
                    extra={"segment": name},
                )
        return known

    def _has_ended(self, name: SegmentName) -> bool:
        """Tell whether the last record says that the instance left nothing open."""
        end = frames.frame(frames.KIND_END, None)
        try:
            with (self._folder / name.file).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - len(end)))
                last = file.read()
        except FileNotFoundError:
            return False
        return last == end


def _take(
    found: frames.Frame,
    held: dict[str, Held],
    entries: list[LedgerEntry],
    marks: dict[str, JobMark],
) -> bool:
    """Take in one record.

    False for one that cannot be read although its checksum holds, and for an outcome whose
    beginning is missing: it was damaged.
    """
    try:
        return _taken(found, held, entries, marks)
    except msgspec.DecodeError:
        return False


def _taken(
    found: frames.Frame,
    held: dict[str, Held],
    entries: list[LedgerEntry],
    marks: dict[str, JobMark],
) -> bool:
    if found.kind == frames.KIND_HELD:
        call = found.held()
        held[call.entry_id] = call
    elif found.kind == frames.KIND_POSTED:
        settled = found.settled()
        begun = held.pop(settled.entry_id, None)
        if begun is None:
            return False
        entries.extend(entries_of(begun, settled))
        if settled.job is not None:
            marks[settled.entry_id] = settled.job
    elif found.kind == frames.KIND_VOIDED:
        held.pop(found.entry_id(), None)
    elif found.kind == frames.KIND_ENTRY:
        entries.append(found.entry())
    elif found.kind == frames.KIND_BILL:
        billed = found.billed()
        entries.extend(billed.entries)
        marks.update((entry.entry_id, billed.mark) for entry in billed.entries)
    return True


def _unwritten(data: bytes, end: int) -> bool:
    """Tell whether an offset lies in space that was allocated and not written yet."""
    return not data[end : end + frames.FRAME_BYTES_MIN].strip(b"\0")


def _is_zero(data: bytes, end: int) -> bool:
    """Tell whether nothing at all was written behind an offset, as far as it was read."""
    return not data[end : end + frames.FRAME_BYTES_MIN].strip(b"\0") and not data[end:].strip(b"\0")
