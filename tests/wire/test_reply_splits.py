"""Every reader gives the same reading wherever the reply is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_replies import REPLIES, pieces, read, read_cut


@pytest.mark.parametrize("name", REPLIES)
def test_any_cut_in_two_gives_the_same_reading(name: str) -> None:
    reader, content_type, body = REPLIES[name]
    whole = read(reader, body, content_type)
    for cut in range(len(body) + 1):
        assert read(reader, [body[:cut], body[cut:]], content_type) == whole, cut


@pytest.mark.parametrize("name", REPLIES)
def test_single_bytes_give_the_same_reading(name: str) -> None:
    reader, content_type, body = REPLIES[name]
    single = [body[at : at + 1] for at in range(len(body))]
    assert read(reader, single, content_type) == read(reader, body, content_type)


@given(st.sampled_from(sorted(REPLIES)), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_many_cuts_give_the_same_reading(name: str, cuts: list[int]) -> None:
    reader, content_type, body = REPLIES[name]
    assert read(reader, pieces(body, cuts), content_type) == read(reader, body, content_type)


@given(st.sampled_from(sorted(REPLIES)), st.integers(0, 1 << 20), st.integers(0, 1 << 20))
def test_a_reply_that_breaks_off_anywhere_is_read_alike(name: str, end: int, cut: int) -> None:
    reader, content_type, body = REPLIES[name]
    body = body[: end % (len(body) + 1)]
    whole = read_cut(reader, body, content_type)
    assert read_cut(reader, pieces(body, [cut]), content_type) == whole


@given(st.sampled_from(sorted(REPLIES)), st.binary(max_size=300), st.integers(0, 1 << 20))
def test_garbage_is_read_without_an_error(name: str, garbage: bytes, place: int) -> None:
    reader, content_type, body = REPLIES[name]
    place %= len(body) + 1
    read(reader, body[:place] + garbage + body[place:], content_type)
    read(reader, body[:place] + garbage, content_type)
    read(reader, garbage, content_type)


@pytest.mark.parametrize("name", REPLIES)
def test_deep_nesting_is_not_followed(name: str) -> None:
    reader, content_type, _ = REPLIES[name]
    deep = b'{"usage":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    body = b"data: " + deep + b"\n\n" if "event-stream" in content_type else deep
    reading = read(reader, body, content_type)
    assert reading.usage is None or not reading.usage.quantities
