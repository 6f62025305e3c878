"""Lines that are found wherever a stream is cut, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provider_replies import pieces
from tollkeeper.wire.json_lines import LINE_BYTES_MAX, LineStream, are_lines, lines_in

TEXT = st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"\n"))


@given(TEXT, st.lists(st.integers(0, 200), max_size=8))
def test_lines_are_the_same_wherever_the_stream_is_cut(text: bytes, cuts: list[int]) -> None:
    stream = LineStream()
    regions = [stream.feed(piece) for piece in pieces(text, cuts)]
    regions.append(stream.feed(stream.rest()))
    assert all(not region or region.endswith(b"\n") for region in regions)
    found = [line for region in regions for line in lines_in(region)]
    assert found == [line for line in text.split(b"\n") if line.strip()]


def test_a_line_without_end_is_not_kept() -> None:
    stream = LineStream()
    for _ in range(2 + LINE_BYTES_MAX // (1 << 20)):
        assert stream.feed(b'"\\' * (1 << 19)) == b""  # what cannot be shortened
    assert stream.rest() == b""
    assert stream.feed(b'behind"}\n{"a":1}\n') == b'{"a":1}\n'


def test_a_long_text_in_a_line_is_shortened() -> None:
    stream = LineStream()
    stream.feed(b'{"a":"')
    for _ in range(64):
        stream.feed(b"x" * (1 << 18))
    region = stream.feed(b'","b":1}\n')
    assert len(region) < 1 << 20
    assert region.startswith(b'{"a":"x')
    assert region.endswith(b'x","b":1}\n')


def test_types_of_bodies_that_are_lines() -> None:
    assert are_lines("application/x-ndjson")
    assert are_lines("Application/Stream+JSON; charset=utf-8")
    assert not are_lines("application/json")
    assert not are_lines("text/event-stream")
    assert not are_lines("")
