"""Cohere's own API: what is billed is read, and nothing else is taken for it."""

from __future__ import annotations

from typing import Any

import pytest

from native_replies import (
    BILLED,
    CHAT_END,
    COHERE_BEGIN,
    COHERE_META,
    COHERE_USAGE,
    JSON,
    SSE,
    STREAM_JSON,
    cohere_chat,
    cohere_events,
    cohere_lines,
    cohere_text,
    compact,
    events,
    lines,
)
from provider_replies import read, read_cut
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readings import Reading

CHAT = "cohere_chat"
QUANTITIES = {"input": 62, "output": 35}


def _usage(reading: Reading) -> Usage:
    assert reading.usage is not None
    return reading.usage


def test_a_chat_is_billed_by_its_billed_units() -> None:
    reading = read(CHAT, compact(cohere_chat()), JSON)
    assert reading.usage == Usage(QUANTITIES, raw=compact(COHERE_USAGE).decode())
    assert reading.response_id == "c-1"
    assert '"cached_tokens":208' in _usage(reading).raw  # and nothing is made of it


def test_the_first_version_says_it_in_its_meta() -> None:
    reply = {"response_id": "r-1", "text": "Grüße", "meta": COHERE_META}
    reading = read(CHAT, compact(reply), JSON)
    assert _usage(reading).quantities == QUANTITIES
    assert reading.response_id == "r-1"
    generated = {"id": "g-1", "generations": [{"text": "Grüße"}], "meta": COHERE_META}
    assert _usage(read(CHAT, compact(generated), JSON)).quantities == QUANTITIES


@pytest.mark.parametrize(
    ("body", "content_type"), [(cohere_events(), SSE), (cohere_lines(), STREAM_JSON)]
)
def test_a_stream_says_it_in_its_last_event(body: bytes, content_type: str) -> None:
    reading = read(CHAT, body, content_type)
    assert (_usage(reading).quantities, _usage(reading).fault) == (QUANTITIES, "")
    assert reading.final
    assert not reading.error_code


def test_lines_in_the_frame_of_events_are_read_too() -> None:
    framed = b"".join(b"data: " + line + b"\n\n" for line in cohere_lines().splitlines())
    assert _usage(read(CHAT, framed, SSE)).quantities == QUANTITIES


@pytest.mark.parametrize(
    ("reader", "units", "quantities"),
    [
        ("cohere_embed", {"input_tokens": 208}, {"input": 208}),
        ("cohere_embed", {"input_tokens": 3, "image_tokens": 7}, {"input": 3, "input_image": 7}),
        ("cohere_embed", {"input_tokens": None, "images": 1}, {"images": 1}),
        ("rerank", {"search_units": 2}, {"rerank_searches": 2}),
        ("rerank", {"classifications": 5}, {"classifications": 5}),
        ("cohere_embed", {"input_tokens": 0}, {}),
    ],
)
def test_every_kind_of_call_has_units_of_its_own(
    reader: str, units: dict[str, Any], quantities: dict[str, int]
) -> None:
    usage = _usage(read(reader, compact({"id": "1", "meta": {"billed_units": units}}), JSON))
    assert (usage.quantities, usage.fault) == (quantities, "")


@pytest.mark.parametrize(
    ("billed", "fault"),
    [
        ({"input_tokens": -1, "output_tokens": 2}, "negative_count"),
        ({"input_tokens": 2**63, "output_tokens": 2}, "count_too_large"),
        ({"input_tokens": "7", "output_tokens": 2}, "not_a_count"),
        ({"input_tokens": True, "output_tokens": 2}, "not_a_count"),
        ({"input_tokens": 1.5, "output_tokens": 2}, "fractional_count"),
        ({"input_tokens": float("nan"), "output_tokens": 2}, "not_a_count"),
        ({"output_tokens": 2}, "missing_count"),
        ({"input_tokens": 7}, "missing_count"),
        ({"input_tokens": 7, "output_tokens": None}, "missing_count"),
        ({}, "missing_count"),
    ],
)
def test_counts_that_are_none_are_a_state(billed: dict[str, Any], fault: str) -> None:
    usage = {"billed_units": billed, "tokens": {"input_tokens": 968, "output_tokens": 90}}
    plain = _usage(read(CHAT, compact(cohere_chat(usage=usage)), JSON))
    end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}
    streamed = _usage(read(CHAT, cohere_events(end=end), SSE))
    assert plain.fault == streamed.fault == fault
    assert plain.quantities == streamed.quantities
    assert 968 not in plain.quantities.values()


def test_whole_numbers_written_as_fractions_are_counts() -> None:
    usage = {"billed_units": {"input_tokens": 62.0, "output_tokens": 35.0}}
    assert _usage(read(CHAT, compact(cohere_chat(usage=usage)), JSON)).quantities == QUANTITIES


def test_what_was_counted_is_not_what_is_billed() -> None:
    usage = _usage(read(CHAT, compact(cohere_chat(usage={"tokens": BILLED})), JSON))
    assert (usage.quantities, usage.fault) == (QUANTITIES, "missing_count")


@pytest.mark.parametrize("usage", [None, {}, [], "x", {"tokens": None}])
def test_a_reply_without_usage_is_sized(usage: Any) -> None:
    reading = read(CHAT, compact(cohere_chat(usage=usage)), JSON)
    if reading.usage is None:
        assert reading.output_bytes == len("Grüße".encode())
    else:
        assert reading.usage.fault == "unreadable"


def test_usage_in_the_wrong_event_is_none() -> None:
    wrong = {"type": "content-delta", "delta": {"message": {}, "usage": COHERE_USAGE}}
    reading = read(CHAT, events(COHERE_BEGIN, wrong, cohere_text("Grüße")), SSE)
    assert reading.usage is None
    assert (reading.final, reading.marked, reading.output_bytes) == (False, True, 7)
    early = cohere_lines(kind="text-generation")
    assert read(CHAT, early, STREAM_JSON).usage is None


def test_usage_behind_the_end_is_not_added() -> None:
    twice = {"type": "message-end", "delta": {"usage": {"billed_units": {"input_tokens": 9}}}}
    body = cohere_events() + events(twice, CHAT_END)
    assert _usage(read(CHAT, body, SSE)).quantities == QUANTITIES


def test_a_stream_that_broke_off_is_sized() -> None:
    reading = read_cut(CHAT, cohere_events(end=None), SSE)
    assert reading.usage is None
    assert reading.response_id == "c-1"
    assert reading.output_bytes is not None
    assert reading.output_bytes > len("I will Grüße")
    cut = read_cut(CHAT, cohere_lines(end=False), STREAM_JSON)
    assert cut.usage is None
    assert cut.output_bytes == len('Grü "stream-end"ße 🌍'.encode())
    assert not cut.final


def test_an_end_that_was_an_error_says_so() -> None:
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "usage": COHERE_USAGE}}
    reading = read(CHAT, cohere_events(end=end), SSE)
    assert (reading.error_code, reading.final) == ("ERROR", True)
    assert _usage(reading).quantities == QUANTITIES  # and is billed all the same
    assert read(CHAT, compact(cohere_chat(finish_reason="TIMEOUT")), JSON).error_code == "TIMEOUT"
    failed = {"is_finished": True, "event_type": "stream-end", "finish_reason": "ERROR_TOXIC"}
    assert read(CHAT, lines(failed), STREAM_JSON).error_code == "ERROR_TOXIC"
