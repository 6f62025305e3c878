"""What a reader of the journal learns of its files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tollkeeper.domain.jobs import JobMark
from tollkeeper.domain.ledger import LedgerEntry


class SegmentInfo(NamedTuple):
    """One journal file. ``closed`` files never grow again and hold no unresolved call;
    ``first`` tells that no earlier one of its gateway is there."""

    name: str
    closed: bool
    first: bool = True


NO_MARKS: Final[Mapping[str, JobMark]] = MappingProxyType({})


class SegmentChunk(NamedTuple):
    """What one read of a segment gave.

    ``offset`` is where the next read starts. ``at_end`` tells that nothing more is there
    at the moment. ``damaged`` counts records that failed their checksum and were skipped.
    ``marks`` says, by entry id, which entries belong to jobs, and how.
    """

    entries: list[LedgerEntry]
    offset: int
    at_end: bool
    damaged: int
    marks: Mapping[str, JobMark] = NO_MARKS
