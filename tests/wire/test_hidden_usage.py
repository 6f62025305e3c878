"""The usage chunk that the client did not ask for is taken out, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_replies import CHAT_USAGE, chunk, pieces, sse, usage_chunk
from tollkeeper.wire.hidden_usage import HELD_BYTES_MAX, HiddenUsage

ENDS = ("\n", "\r\n", "\r")
OPENING = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "usage": None}


def _filtered(parts: list[bytes]) -> bytes:
    hidden = HiddenUsage()
    return b"".join([*(hidden.feed(part) for part in parts), hidden.flush()])


def _streams(end: str) -> list[tuple[bytes, bytes]]:
    """Give pairs: what the provider sends, and what the client is to see."""
    before = sse(": hi", OPENING, chunk("Grüße", usage=None), chunk('"choices":[]'), end=end)
    extra = sse(usage_chunk(), end=end)
    done = sse("data: [DONE]", end=end)
    content = sse(chunk("x", usage=CHAT_USAGE), end=end)
    spaced = (end + end).join(['data: {"choices" : [ ] , "usage": {"a": 1}}', ""]).encode()
    two_lines = (
        (end + end)
        .join([f'id: 1{end}data: {{"choices":[],{end}data: "usage":{{"a":1}}}}', ""])
        .encode()
    )
    return [
        (before + extra + done, before + done),
        (before + spaced + done, before + done),
        (before + two_lines + done, before + done),
        (extra + done, done),
        (b"\xef\xbb\xbf" + extra + done, done),
        (before + content + done, before + content + done),
        (before + done, before + done),
        (before + extra, before),
        (before + extra[: -len(end)], before),
        (before + extra + extra + done, before + extra + done),
    ]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("number", range(10))
def test_exactly_the_extra_chunk_is_removed_whatever_the_cut(end: str, number: int) -> None:
    sent, seen = _streams(end)[number]
    assert _filtered([sent]) == seen
    assert _filtered([sent[at : at + 1] for at in range(len(sent))]) == seen
    for cut in range(len(sent) + 1):
        assert _filtered([sent[:cut], sent[cut:]]) == seen, cut


@given(st.sampled_from(ENDS), st.integers(0, 9), st.lists(st.integers(0, 5_000), max_size=10))
def test_many_cuts(end: str, number: int, cuts: list[int]) -> None:
    sent, seen = _streams(end)[number]
    assert _filtered(pieces(sent, cuts)) == seen


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_other_bytes_pass_unchanged(parts: list[bytes]) -> None:
    assert _filtered(parts) == b"".join(parts)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b":", b"{}"]), max_size=30))
def test_blank_lines_of_any_kind_pass_unchanged(parts: list[bytes]) -> None:
    assert _filtered(parts) == b"".join(parts)


@pytest.mark.parametrize("end", ENDS)
def test_a_complete_event_never_waits(end: str) -> None:
    hidden = HiddenUsage()
    event = sse(chunk("a", usage=None), end=end)
    for _ in range(3):
        passed = hidden.feed(event)
        assert passed.strip(b"\r\n") == event.strip(b"\r\n")
    start = event[:20]
    assert hidden.feed(event + start).strip(b"\r\n") == event.strip(b"\r\n")
    assert hidden.feed(event[20:]).strip(b"\r\n") == event.strip(b"\r\n")


def test_a_long_incomplete_event_is_not_held_back() -> None:
    hidden = HiddenUsage()
    begun = b'data: {"choices":[{"delta":{"content":"' + b"x" * HELD_BYTES_MAX
    passed = hidden.feed(begun)
    assert len(passed) >= len(begun) - 3
    passed += hidden.feed(b"y" * 100)
    assert len(passed) >= len(begun) + 97
    rest = b'"}}]}\n\n' + sse(usage_chunk(), "data: [DONE]")
    passed += hidden.feed(rest) + hidden.flush()
    assert passed == begun + b"y" * 100 + b'"}}]}\n\n' + sse("data: [DONE]")


def test_at_most_so_much_is_held_back() -> None:
    hidden = HiddenUsage()
    sent = given_back = 0
    for _ in range(200):
        sent += 1_000
        given_back += len(hidden.feed(b"x" * 1_000))
        assert sent - given_back <= HELD_BYTES_MAX


def test_words_in_a_text_are_not_taken_for_the_chunk() -> None:
    stream = sse(chunk('{"choices":[],"usage":{}}'), chunk("b"), "data: [DONE]")
    assert _filtered([stream]) == stream
    nested = sse({"choices": [{"delta": {}}], "x": {"choices": [], "usage": {"a": 1}}})
    assert _filtered([nested]) == nested
