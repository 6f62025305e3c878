"""The journal folder in memory: a real implementation of ``JournalTail`` for tests.

It also lets tests write, close, damage and lose segments.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import SegmentChunk, SegmentInfo

RECORD_BYTES = 10
"""Every record, whatever is in it, is counted as this many bytes."""


class Damage:
    """A record that fails its checksum."""


class Hold:
    """A record without an entry."""


Record = LedgerEntry | Damage | Hold


@dataclass
class Segment:
    closed: bool = False
    records: list[Record] = field(default_factory=list)


class MemoryTail:
    """Segments in the order in which they were first written."""

    def __init__(self) -> None:
        self.kept: dict[str, Segment] = {}
        self.fault: OSError | None = None
        self.reads = 0

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
        damaged = 0
        index = offset // RECORD_BYTES
        while index < len(records) and len(entries) < entries_max:
            record = records[index]
            index += 1
            if isinstance(record, LedgerEntry):
                entries.append(record)
            damaged += isinstance(record, Damage)
        return SegmentChunk(entries, index * RECORD_BYTES, index == len(records), damaged)

    def remove(self, name: str) -> None:
        assert self.kept[name].closed, "only closed segments may be removed"
        del self.kept[name]
