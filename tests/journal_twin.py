"""The journal folder in memory: a real implementation of ``JournalTail`` for tests.

It also lets tests write, close, damage and lose segments.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.jobs import JobMark
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import SegmentChunk, SegmentInfo

RECORD_BYTES = 10
"""Every record, whatever is in it, is counted as this many bytes."""


class Damage:
    """A record that fails its checksum."""


class Hold:
    """A record without an entry."""


Record = LedgerEntry | Billed | Damage | Hold


@dataclass
class Segment:
    closed: bool = False
    records: list[Record] = field(default_factory=list)


class MemoryTail:
    """Segments in the order in which they were first written.

    ``most_entries`` is how many one read gives at most; the segment ``endless`` never ends.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Segment] = {}
        self.fault: OSError | None = None
        self.reads = 0
        self.most_entries = 1 << 30
        self.endless = ""

    def write(self, name: str, *records: Record) -> None:
        self.kept.setdefault(name, Segment()).records.extend(records)

    def close(self, name: str) -> None:
        self.kept[name].closed = True

    def segments(self) -> list[SegmentInfo]:
        if self.fault is not None:
            raise self.fault
        return [SegmentInfo(name, segment.closed) for name, segment in self.kept.items()]

    def read(self, name: str, offset: int, entries_max: int) -> SegmentChunk:
        if self.fault is not None:
            raise self.fault
        if name not in self.kept:
            raise LookupError(f"journal segment {name} is gone")
        self.reads += 1
        records = self.kept[name].records
        entries: list[LedgerEntry] = []
        marks: dict[str, JobMark] = {}
        entries_max = min(entries_max, self.most_entries)
        damaged = 0
        index = offset // RECORD_BYTES
        while index < len(records) and len(entries) < entries_max:
            record = records[index]
            index += 1
            if isinstance(record, LedgerEntry):
                entries.append(record)
            elif isinstance(record, Billed):
                entries.extend(record.entries)
                marks.update((entry.entry_id, record.mark) for entry in record.entries)
            damaged += isinstance(record, Damage)
        at_end = index == len(records) and name != self.endless
        return SegmentChunk(entries, index * RECORD_BYTES, at_end, damaged, marks)

    def remove(self, name: str) -> None:
        assert self.kept[name].closed, "only closed segments may be removed"
        del self.kept[name]
