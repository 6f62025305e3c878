"""AWS's event streams: every cut, every checksum, every size that a hostile peer may claim."""

from __future__ import annotations

import json
from itertools import pairwise
from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from aws_frames import converse_events, event, exception, frame, header
from tollkeeper.wire.aws_event_stream import MESSAGE_BYTES_MAX, STORED_BYTES_MAX, AwsEventStream

STREAM = converse_events() + exception("modelStreamErrorException", "Grüße")


def _read(*pieces: bytes) -> tuple[list[tuple[str, str, bytes]], str, bool]:
    stream = AwsEventStream()
    found = [tuple(message) for piece in pieces for message in stream.feed(piece)]
    return found, stream.fault, stream.at_boundary


def _cut(data: bytes, *places: int) -> list[bytes]:
    return [data[start:end] for start, end in pairwise((0, *sorted(places), len(data)))]


def _prelude(total: int, headers: int) -> bytes:
    lengths = pack(">II", total, headers)
    return lengths + pack(">I", crc32(lengths))


def test_the_messages_are_those_that_aws_reads() -> None:
    theirs = EventStreamBuffer()
    theirs.add_data(STREAM)
    expected = [
        (
            message.headers[":message-type"],
            message.headers.get(":event-type") or message.headers.get(":exception-type"),
            message.payload,
        )
        for message in theirs
    ]
    assert _read(STREAM) == (expected, "", True)
    assert json.loads(expected[-1][2]) == {"message": "Grüße"}


def test_every_cut_in_two_gives_the_same_messages() -> None:
    whole = _read(STREAM)
    for cut in range(len(STREAM) + 1):
        assert _read(STREAM[:cut], STREAM[cut:]) == whole
    assert _read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == whole


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_many_cuts_give_the_same_messages(cuts: list[int]) -> None:
    assert _read(*_cut(STREAM, *cuts)) == _read(STREAM)


def test_headers_of_every_kind_are_passed_over() -> None:
    values = {
        0: b"",
        1: b"",
        2: b"\x01",
        3: b"\x00\x01",
        4: bytes(4),
        5: bytes(8),
        6: b"\x00\x03abc",
        8: bytes(8),
        9: bytes(16),
    }
    extra = b"".join(b"\x01x" + bytes([kind]) + value for kind, value in values.items())
    headers = extra + header(":message-type", "error") + header(":error-code", "Teapot")
    assert _read(frame(headers, b"{}")) == ([("error", "Teapot", b"{}")], "", True)


def test_every_changed_byte_is_noticed() -> None:
    one, after = event("messageStop", {"stopReason": "end_turn"}), event("metadata", {})
    for at in range(len(one)):
        bad = bytearray(one)
        bad[at] ^= 0x01
        found, fault, _ = _read(bytes(bad) + after)
        assert found == []
        assert fault in {"prelude_checksum", "checksum"}


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (_prelude(0xFFFFFFFF, 0), "message_size"),
        (_prelude(0x80000000, 0), "message_size"),  # negative, for who reads it with a sign
        (_prelude(MESSAGE_BYTES_MAX + 1, 0), "message_size"),
        (_prelude(15, 0), "message_size"),
        (_prelude(0, 0), "message_size"),
        (_prelude(20, 5), "message_size"),
        (_prelude(1 << 20, 0xFFFFFFFF), "message_size"),
        (_prelude(1 << 20, (128 << 10) + 1), "headers_size"),
        (b"HTTP/1.1 200 OK\r\n", "prelude_checksum"),
        (frame(b"\xff", b""), "headers"),
        (frame(b"\x01a\x63", b""), "headers"),  # a kind of value that there is not
        (frame(b"\x01a\x07\xff\xff", b""), "headers"),
        (frame(b"\x01a\x04\x00", b""), "headers"),
    ],
)
def test_hostile_frames_end_the_reading(data: bytes, fault: str) -> None:
    stream = AwsEventStream()
    assert stream.feed(data) == []
    assert stream.fault == fault
    assert stream.feed(STREAM) == []


@pytest.mark.parametrize("size", [0, 1, 11, 12, 40])
def test_a_stream_that_ends_within_a_message_is_not_at_a_boundary(size: int) -> None:
    stream = AwsEventStream()
    stream.feed(STREAM[:size])
    assert stream.at_boundary == (size == 0)
    assert not stream.fault


@pytest.mark.parametrize("cut", [1, 100_000, STORED_BYTES_MAX - 1, STORED_BYTES_MAX + 40])
@pytest.mark.parametrize("back", [0, 1, 3, 4, 5])
def test_a_message_too_large_to_store_is_checked_as_it_goes_by(cut: int, back: int) -> None:
    big = frame(header(":message-type", "event"), b"x" * STORED_BYTES_MAX)
    data, end = big + STREAM, len(big) - back
    found, fault, _ = _read(*_cut(data, cut, end, end + 2))
    assert (found, fault) == (_read(STREAM)[0], "")
    wrong = big[:-1] + bytes([big[-1] ^ 1]) + STREAM
    assert _read(*_cut(wrong, cut, end))[1] == "checksum"


def test_what_is_kept_of_a_large_message_is_bounded() -> None:
    stream = AwsEventStream()
    big = frame(header(":message-type", "event"), b"x" * (STORED_BYTES_MAX + (1 << 20)))
    for at in range(0, len(big), 1 << 16):
        stream.feed(big[at : at + (1 << 16)])
        assert len(stream._pending) <= 1 << 16
    assert stream.at_boundary


@given(st.binary(max_size=200), st.integers(0, len(STREAM)))
def test_garbage_takes_nothing_from_the_messages_before_it(garbage: bytes, place: int) -> None:
    found, _, _ = _read(STREAM[:place] + garbage + STREAM[place:])
    before, _, _ = _read(STREAM[:place])
    assert found[: len(before)] == before
