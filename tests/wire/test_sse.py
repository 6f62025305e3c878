"""Event streams: compared with the WHATWG parser, written out plainly."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_replies import pieces
from tollkeeper.wire import sse
from tollkeeper.wire.sse import (
    EVENT_BYTES_MAX,
    EventStream,
    all_data,
    data_of,
    event_around,
    events_in,
    first_place,
)


def reference_events(stream: bytes) -> list[bytes]:
    """Give the data of each dispatched event, as the standard's algorithm says."""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))
    lines.pop()  # what comes behind the last line end is not a line yet
    found, data = [], []
    for line in lines:
        if not line:
            if data:
                found.append(b"\n".join(data))
            data = []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
    return found


def our_events(parts: list[bytes]) -> list[bytes]:
    stream = EventStream()
    regions = [stream.feed(part) for part in parts]
    found = []
    for region in regions:
        # An event without any data line is not dispatched.
        has_data = re.compile(rb"^data(?::|$)", re.MULTILINE).search
        found += [data_of(event) for event in events_in(region) if has_data(event)]
    return found


TOKENS = [
    *(b"\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r"),
    *(b"data: ", b"data:", b"data", b"data:  x", b": comment", b":", b"event: a", b"id: 1"),
    *(b"{", b"x", b" ", b"\xc3\xbc", b"\xef\xbb\xbf", b"retry: 5", b"database: 1"),
]
streams = st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join)


@given(streams, st.lists(st.integers(0, 1000), max_size=8))
def test_events_are_those_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    assert our_events(pieces(stream, cuts)) == reference_events(stream)


@given(streams)
def test_the_data_of_many_events_is_that_of_each(stream: bytes) -> None:
    region = EventStream().feed(stream + b"\n\n")
    one_by_one = [data for event in events_in(region) if (data := data_of(event))]
    assert [data for data in all_data(region) if data] == one_by_one


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_byte_alone(end: bytes) -> None:
    lines = [
        b"\xef\xbb\xbf: hi",
        b"event: a",
        b"data: 1",
        b"data:2",
        b"",
        b"data: \xf0\x9f\x8c\x8d",
    ]
    stream = end.join([*lines, b"", b""])
    expected = [b"1\n2", b"\xf0\x9f\x8c\x8d"]
    assert our_events([stream[at : at + 1] for at in range(len(stream))]) == expected
    assert our_events([stream]) == expected


def test_a_stream_of_plain_line_feeds_is_not_copied() -> None:
    stream = EventStream()
    data = b"data: 1\n\ndata: 2\n\n"
    assert stream.feed(data) is data


def test_what_is_left_at_the_end() -> None:
    stream = EventStream()
    assert stream.feed(b"data: 1\n\ndata: 2") == b"data: 1\n\n"
    assert stream.feed(stream.rest()) == b"data: 2\n\n"
    assert stream.rest() == b""
    assert EventStream().rest() == b""


def test_an_event_that_grows_without_end_is_given_up_and_the_next_is_read() -> None:
    stream = EventStream()
    piece = b'data: {"' + b'"' * (1 << 16)  # nothing of it can be cut out
    for _ in range((EVENT_BYTES_MAX >> 16) + 5):
        assert stream.feed(piece) == b""
    assert len(stream._pending) < 10
    assert stream.rest() == b""
    assert stream.feed(b'"}\n') == b""
    assert list(events_in(stream.feed(b"\ndata: next\n\n"))) == [b"data: next"]


def test_long_content_of_an_event_is_cut_out_as_it_comes() -> None:
    stream = EventStream()
    stream.feed(b'data: {"b64_json":"')
    for _ in range(1_000):
        stream.feed(b"QUJD" * 10_000)
    assert len(stream._pending) < 1 << 20
    region = stream.feed(b'","usage":{"a":1}}\n\n')
    assert region.endswith(b'","usage":{"a":1}}\n\n')
    assert region.startswith(b'data: {"b64_json":"QUJD')


def test_events_around_a_place() -> None:
    region = b"data: 1\n\nevent: x\ndata: 2\n\ndata: 3\n\n"
    for place in re.finditer(rb"[^\n]", region):
        start, end = event_around(region, place.start())
        assert region[start:end] in {b"data: 1", b"event: x\ndata: 2", b"data: 3"}
        assert start <= place.start() < end


def test_recent_events_are_read_in_one_go_however_they_are_written() -> None:
    plain = b'data: {"a":1}\n\ndata: {"a":2}\n\n'
    named = b'event: x\ndata: {"a":1}\n\n: c\n\ndata:{"a":\ndata: 2}\n\n'
    for region in (plain, named):
        data = [text for text in sse.all_data(region) if text]
        assert [text.replace(b"\n", b"") for text in data] == [b'{"a":1}', b'{"a":2}']


@given(st.text("ab", max_size=12), st.sampled_from(("a", "ab", "aa", "aba", '"a"')))
def test_the_first_place_is_the_same_from_behind(text: str, word: str) -> None:
    region, sought = text.encode(), word.encode()
    assert first_place(region, sought) == region.find(sought)
