"""The bytes of a journal segment: header, frames, records.

A segment starts with ``HEADER`` and goes on with frames::

    marker (2 bytes) | length (u32) | crc32 (u32) | kind (1 byte) | body (msgpack)

``length`` counts kind and body; the checksum covers the length and what it counts. All
integers are little-endian. Segments are allocated ahead, so the first zero marker means
"nothing written yet". After a damaged frame a reader looks for the next marker whose
checksum holds, so that one bad byte costs one record.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from tollkeeper.domain.calls import Held, Settled
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.leases import Account
from tollkeeper.domain.ledger import LedgerEntry

HEADER: Final = b"TOLLKEEPER JOURNAL 1\n"
MARKER: Final = b"\xf5\x17"
RECORD_BYTES_MAX: Final = 1 << 20
_ACCOUNTS_AT_A_TIME: Final = 1_000
_HEADER_OF_ANY_VERSION: Final = re.compile(rb"TOLLKEEPER JOURNAL [0-9]+\n")

KIND_HELD: Final = b"H"  # body: Held
KIND_SENT: Final = b"S"  # body: entry id
KIND_POSTED: Final = b"P"  # body: Settled; together with its Held it makes the entries
KIND_ENTRY: Final = b"L"  # body: LedgerEntry; of a call that was never held
KIND_BILL: Final = b"B"  # body: Billed; work that an earlier call began
KIND_VOIDED: Final = b"V"  # body: entry id
KIND_CARRIED: Final = b"C"  # body: how many held records were carried over before it
KIND_SPENT: Final = b"A"  # body: Spent; what was spent of budgets by all that stands before it
KIND_END: Final = b"E"  # body: nil; the process ended and left nothing open

_PREFIX = struct.Struct("<2sII")
PREFIX_BYTES: Final = _PREFIX.size
FRAME_BYTES_MIN: Final = PREFIX_BYTES + 1


class Spent(NamedTuple):
    """What was spent of rows of budgets. ``counted`` are calls whose outcomes are in it already,
    although their records follow, because there was no room for them.

    The field order is the journal's format: add at the end only.
    """

    accounts: list[Account]
    counted: list[str]


_encoder = msgspec.msgpack.Encoder()
_decode_held = msgspec.msgpack.Decoder(Held).decode
_decode_settled = msgspec.msgpack.Decoder(Settled).decode
_decode_entry = msgspec.msgpack.Decoder(LedgerEntry).decode
_decode_billed = msgspec.msgpack.Decoder(Billed).decode
_decode_spent = msgspec.msgpack.Decoder(Spent).decode
_decode_id = msgspec.msgpack.Decoder(str).decode
_decode_count = msgspec.msgpack.Decoder(int).decode


def other_version(header: bytes) -> bool:
    """Tell whether a segment's first bytes are those of another version of the journal."""
    return header != HEADER and _HEADER_OF_ANY_VERSION.match(header) is not None


def frame(kind: bytes, body: object) -> bytes:
    """Write one record. Raises ValueError for a record that no reader would accept."""
    record = kind + _encoder.encode(body)
    length = len(record)
    if length > RECORD_BYTES_MAX:
        raise ValueError(f"a journal record of {length} bytes")
    # The length is added to the checksum so that a damaged length cannot pass.
    return _PREFIX.pack(MARKER, length, zlib.crc32(record, length)) + record


def spent_frames(accounts: Sequence[Account], counted: Iterable[str]) -> bytes:
    """Write what was spent of rows of budgets, in as many records as it takes."""
    late = list(counted)
    return b"".join(
        frame(KIND_SPENT, Spent(list(accounts[start : start + _ACCOUNTS_AT_A_TIME]), late))
        for start in range(0, len(accounts), _ACCOUNTS_AT_A_TIME)
    )


class Frame(NamedTuple):
    """One valid frame: its kind, its body and where the next one starts."""

    kind: bytes
    body: memoryview
    end: int

    def held(self) -> Held:
        return _decode_held(self.body)

    def settled(self) -> Settled:
        return _decode_settled(self.body)

    def entry(self) -> LedgerEntry:
        return _decode_entry(self.body)

    def billed(self) -> Billed:
        return _decode_billed(self.body)

    def spent(self) -> Spent:
        return _decode_spent(self.body)

    def entry_id(self) -> str:
        return _decode_id(self.body)

    def number(self) -> int:
        return _decode_count(self.body)


def frame_at(data: memoryview, start: int) -> Frame | None:
    """Read the frame at an offset; None if there is no whole, undamaged one."""
    if start + FRAME_BYTES_MIN > len(data):
        return None
    marker, length, checksum = _PREFIX.unpack_from(data, start)
    first = start + PREFIX_BYTES
    end = first + length
    if marker != MARKER or not 0 < length <= RECORD_BYTES_MAX or end > len(data):
        return None
    record = data[first:end]
    if zlib.crc32(record, length) != checksum:
        return None
    return Frame(bytes(record[:1]), record[1:], end)


def next_frame_start(data: bytes | memoryview, start: int) -> int | None:
    """Find the next offset at or after ``start`` that holds a whole, valid frame."""
    haystack = bytes(data[start:])
    view = memoryview(haystack)
    found = haystack.find(MARKER)
    while found >= 0:
        if frame_at(view, found) is not None:
            return start + found
        found = haystack.find(MARKER, found + 1)
    return None


class Scan(NamedTuple):
    """One step of a scan: a frame, or None for a damaged stretch that was skipped."""

    frame: Frame | None
    end: int


def scan(data: bytes, start: int) -> Iterator[Scan]:
    """Walk the frames of a segment's bytes from an offset.

    Yields damaged stretches that are followed by a valid frame; stops quietly where
    nothing valid follows, because that is where a segment ends. Only for segments that
    nobody writes any more: in a living one a stretch may merely not be visible yet.
    """
    view = memoryview(data)
    while True:
        found = frame_at(view, start)
        if found is not None:
            yield Scan(found, found.end)
            start = found.end
            continue
        following = next_frame_start(data, start + 1)
        if following is None:
            return
        yield Scan(None, following)
        start = following
