"""Usage in chat completions and what imitates them."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from provider_replies import (
    CHAT_QUANTITIES,
    CHAT_USAGE,
    JSON,
    SSE,
    chat_reply,
    chat_stream,
    chunk,
    read,
    read_cut,
    sse,
    text_of,
    usage_chunk,
)
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading

CHAT = "openai_chat"


def _usage(usage: Any, **reply: Any) -> Usage:
    found = read(CHAT, chat_reply(usage=usage, **reply)).usage
    assert found is not None
    return found


def test_a_plain_reply() -> None:
    reading = read(CHAT, chat_reply())
    assert reading.response_id == "chatcmpl-2"
    assert reading.usage == Usage(
        CHAT_QUANTITIES, "gpt-4.1-2025-04-14", "default", raw=text_of(CHAT_USAGE)
    )


def test_a_stream_with_a_chunk_for_the_usage() -> None:
    reader = reader_for(CHAT, streamed=True, content_type=SSE)
    reader.feed(chat_stream())
    assert reader.finished
    reading = reader.close(complete=True)
    assert reading.usage is not None
    assert reading.usage.quantities == CHAT_QUANTITIES
    assert reading.usage.model == "gpt-4.1-2025-04-14"
    assert reading.output_bytes is None


def test_embeddings_and_legacy_completions() -> None:
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    body = {"object": "list", "data": [], "model": "text-embedding-3-small", "usage": usage}
    found = read("openai_embeddings", text_of(body).encode()).usage
    assert found == Usage({"input": 7}, "text-embedding-3-small", raw=text_of(usage))
    assert _usage({"total_tokens": 12}).quantities == {"input": 12}
    body = {"id": "cmpl-1", "choices": [{"text": "a"}], "usage": CHAT_USAGE}
    found = read("openai_completions", text_of(body).encode()).usage
    assert found is not None
    assert found.quantities == CHAT_QUANTITIES


@pytest.mark.parametrize(
    "last",
    [
        chunk("", usage=CHAT_USAGE),  # DeepSeek, Mistral: in the last chunk with content
        chunk(x_groq={"id": "req_1", "usage": CHAT_USAGE}),
        chunk(x_groq={"usage": CHAT_USAGE}, usage=CHAT_USAGE),  # a copy is not added
        {"id": "1", "choices": [{"delta": {}, "usage": CHAT_USAGE}]},  # Moonshot, formerly
    ],
)
def test_where_compatible_servers_put_the_usage(last: dict[str, Any]) -> None:
    found = read(CHAT, sse(chunk("a"), last, "data: [DONE]"), SSE).usage
    assert found is not None
    assert found.quantities == CHAT_QUANTITIES


def test_a_growing_usage_counts_once() -> None:
    growing = [
        chunk("a", usage={"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n})
        for n in (1, 2, 3)
    ]
    found = read(CHAT, sse(*growing, chunk("b", usage=None)), SSE).usage
    assert found is not None
    assert found.quantities == {"input": 5, "output": 3}


def test_a_usage_in_the_first_chunk_is_used_if_no_other_comes() -> None:
    found = read(CHAT, sse(chunk("a", usage=CHAT_USAGE), chunk("b"), "data: [DONE]"), SSE).usage
    assert found is not None
    assert found.quantities == CHAT_QUANTITIES


def test_nothing_counts_after_the_end_marker() -> None:
    late = usage_chunk(usage={"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18})
    assert read(CHAT, sse(chunk("a"), "data: [DONE]", late), SSE).usage is None
    found = read(CHAT, sse(usage_chunk(), "data:[DONE]", late), SSE).usage
    assert found is not None
    assert found.quantities == CHAT_QUANTITIES


@pytest.mark.parametrize(
    "extra",
    [
        {"prompt_tokens_details": None, "prompt_cache_hit_tokens": 1000},  # DeepSeek
        {"prompt_tokens_details": None, "cached_tokens": 1000},  # Moonshot, Together
        {"prompt_tokens_details": {}, "num_cached_tokens": 1000},  # Mistral
    ],
)
def test_cached_tokens_under_other_names(extra: dict[str, Any]) -> None:
    assert _usage(CHAT_USAGE | extra).quantities == CHAT_QUANTITIES


def test_details_of_the_prompt_and_the_output() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {
            "cached_tokens": 10,
            "cache_write_tokens": 5,
            "audio_tokens": 20,
            "image_tokens": 30,
            "video_tokens": 1,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 7,
            "audio_tokens": 11,
            "image_tokens": 2,
            "accepted_prediction_tokens": 3,
            "rejected_prediction_tokens": 4,
        },
    }
    assert _usage(usage).quantities == {
        "input": 34,
        "cache_read": 10,
        "cache_write": 5,
        "input_audio": 20,
        "input_image": 30,
        "input_video": 1,
        "output": 30,
        "reasoning": 7,
        "output_audio": 11,
        "output_image": 2,
    }


def test_cached_pictures_do_not_make_the_rest_negative() -> None:
    usage = {
        "prompt_tokens": 265,
        "completion_tokens": 1,
        "total_tokens": 266,
        "prompt_tokens_details": {"cached_tokens": 162, "image_tokens": 256},
    }
    found = _usage(usage)
    assert (found.quantities, found.fault) == (
        {"cache_read": 162, "input_image": 103, "output": 1},
        "",
    )


def test_reasoning_beside_the_output_shows_in_the_total() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 115,
        "completion_tokens_details": {"reasoning_tokens": 100},
    }
    assert _usage(usage, model="grok-4").quantities == {"input": 10, "output": 5, "reasoning": 100}


def test_geminis_compatible_endpoint_hides_its_thoughts_in_the_total() -> None:
    usage = {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}
    found = _usage(usage, model="gemini-2.5-pro")
    assert found.quantities == {"input": 35, "output": 12, "reasoning": 62}
    assert _usage(usage, model="gpt-4.1").fault == "contradicts_total"


@pytest.mark.parametrize(
    ("usage", "fault"),
    [
        (CHAT_USAGE | {"total_tokens": 1}, "contradicts_total"),
        (CHAT_USAGE | {"prompt_tokens_details": {"cached_tokens": 1201}}, "parts_exceed_whole"),
        (
            CHAT_USAGE | {"completion_tokens_details": {"reasoning_tokens": 35}},
            "parts_exceed_whole",
        ),
        (CHAT_USAGE | {"prompt_tokens": -1}, "negative_count"),
        (CHAT_USAGE | {"prompt_tokens": "1200"}, "not_a_count"),
        (CHAT_USAGE | {"prompt_tokens": True}, "not_a_count"),
        (CHAT_USAGE | {"prompt_tokens": 1200.5}, "fractional_count"),
        (CHAT_USAGE | {"prompt_tokens": 2**63}, "count_too_large"),
        (CHAT_USAGE | {"prompt_tokens": 10**13}, "count_too_large"),
        (CHAT_USAGE | {"completion_tokens": [34]}, "not_a_count"),
        (CHAT_USAGE | {"prompt_tokens_details": {"cached_tokens": -5}}, "negative_count"),
        (CHAT_USAGE | {"prompt_tokens": None}, "missing_count"),
        ({"completion_tokens": 4, "total_tokens": 4}, "missing_count"),
        ("much", "unreadable"),
        ([1], "unreadable"),
    ],
)
def test_counts_that_cannot_be_are_faults(usage: Any, fault: str) -> None:
    for found in (_usage(usage), read(CHAT, sse(chunk("a"), usage_chunk(usage=usage)), SSE).usage):
        if found is not None:  # a stream's usage is only one if it is an object
            assert found.fault == fault
            assert all(type(count) is int and count > 0 for count in found.quantities.values())


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "1E+309"])
def test_numbers_that_are_none(number: str) -> None:
    usage = json.dumps(CHAT_USAGE).replace("1200", number)
    body = chat_reply().replace(text_of(CHAT_USAGE).encode(), usage.encode())
    found = read(CHAT, body).usage
    assert found is not None
    assert found.fault in {"count_too_large", "negative_count", "not_a_count"}
    assert "input" not in found.quantities


def test_an_integer_written_as_a_float_is_a_count() -> None:
    found = _usage({"prompt_tokens": 5.0, "completion_tokens": 2, "total_tokens": 7})
    assert (found.quantities, found.fault) == ({"input": 5, "output": 2}, "")


def test_fields_of_other_types_are_passed_over() -> None:
    found = _usage(CHAT_USAGE, id=7, model=None, service_tier=[], choices={"no": "list"})
    assert found.quantities == CHAT_QUANTITIES
    assert (found.model, found.tier) == ("", "")
    assert _usage(CHAT_USAGE | {"prompt_tokens_details": []}).fault == ""


def test_the_raw_usage_is_kept_compact_and_never_too_long() -> None:
    pretty = json.dumps(json.loads(chat_reply()), indent=2).encode()
    found = read(CHAT, pretty).usage
    assert found is not None
    assert found.raw == text_of(CHAT_USAGE)
    long = _usage(CHAT_USAGE | {"note": "x" * (17 << 10)})
    assert (long.raw, long.fault, long.quantities) == ("", "", CHAT_QUANTITIES)


def test_without_a_usage_the_generated_text_is_sized() -> None:
    tool = {"index": 0, "function": {"name": "look", "arguments": '{"a":"ü"}'}}
    speech = {"transcript": "hi"}
    body = sse(
        chunk("Grüße 🌍"),
        chunk(None) | {"choices": [{"delta": {"reasoning_content": "hm"}}]},
        chunk(None) | {"choices": [{"delta": {"tool_calls": [tool]}}]},
        chunk(None) | {"choices": [{"delta": {"audio": speech}}, {"delta": {"refusal": "no"}}]},
        {"id": "x", "choices": [{"text": "old"}]},
        {"id": "x", "choices": [{"delta": {"content": [{"type": "text", "text": "part"}]}}]},
    )
    sized = len('Grüße 🌍hmlook{"a":"ü"}hinooldpart'.encode())
    for complete in (True, False):
        reading = read_cut(CHAT, body, SSE, complete=complete)
        assert reading == Reading(None, "chatcmpl-1", sized, final=False, marked=True)


def test_long_streams_are_sized_in_full_with_little_memory() -> None:
    reader = reader_for(CHAT, streamed=True, content_type=SSE)
    tracemalloc.start()
    try:
        for _ in range(3_000):
            reader.feed(sse(chunk("word "), chunk("🌍")))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 256 << 10  # of more than 1 MB
    assert reader.close(complete=False).output_bytes == 3_000 * 9


def test_a_whole_reply_without_usage_is_sized_too() -> None:
    assert read(CHAT, chat_reply(usage=None)).output_bytes == len("Grüße".encode())
    assert read(CHAT, b"").usage is None
    assert read(CHAT, b"no json").usage is None


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ({"code": "rate_limit_exceeded", "type": "requests"}, "rate_limit_exceeded"),
        ({"code": None, "type": "server_error"}, "server_error"),
        ({"message": "x"}, "error"),
        ("broken", "error"),
    ],
)
def test_an_error_within_a_stream(error: Any, word: str) -> None:
    reading = read(CHAT, sse(chunk("a"), {"error": error}, "data: [DONE]"), SSE)
    assert (reading.usage, reading.error_code, reading.output_bytes) == (None, word, 1)


def test_an_azure_stream_opens_with_filter_results() -> None:
    opening = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "model": ""}
    found = read(CHAT, sse(opening, chunk("a"), usage_chunk()), SSE).usage
    assert found is not None
    assert found.quantities == CHAT_QUANTITIES


def test_the_content_type_decides_and_not_what_was_asked_for() -> None:
    for streamed in (True, False):
        reader = reader_for(CHAT, streamed=streamed, content_type=JSON)
        reader.feed(chat_reply())
        assert reader.close(complete=True).usage is not None
