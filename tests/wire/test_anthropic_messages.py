"""Usage in replies of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

import pytest

from provider_replies import (
    ANTHROPIC_END,
    ANTHROPIC_QUANTITIES,
    ANTHROPIC_START,
    MESSAGE_STOP,
    SSE,
    message,
    message_begin,
    message_end,
    message_event,
    message_stream,
    message_text,
    read,
    read_cut,
    sse,
    text_of,
)
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readers import reader_for

MESSAGES = "anthropic_messages"


def _usage(usage: Any, **fields: Any) -> Usage:
    found = read(MESSAGES, text_of(message(usage=usage, **fields)).encode()).usage
    assert found is not None
    return found


def _streamed(*events: Any) -> Usage:
    found = read(MESSAGES, sse(*events, MESSAGE_STOP), SSE).usage
    assert found is not None
    return found


def _step(kind: str, input_tokens: int, output: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "input_tokens": input_tokens, "output_tokens": output, **more}


def test_a_plain_reply() -> None:
    usage = ANTHROPIC_START | ANTHROPIC_END
    reading = read(MESSAGES, text_of(message()).encode())
    assert reading.response_id == "msg_1"
    assert reading.usage == Usage(
        ANTHROPIC_QUANTITIES,
        "claude-sonnet-4-5-20250929",
        "standard",
        geo="global",
        raw=text_of(usage),
    )


def test_a_stream_is_the_same_as_a_plain_reply() -> None:
    reader = reader_for(MESSAGES, streamed=True, content_type=SSE)
    reader.feed(message_stream())
    assert reader.finished
    streamed = reader.close(complete=True)
    plain = read(MESSAGES, text_of(message()).encode())
    assert streamed == plain


def test_the_end_of_a_stream_corrects_its_start() -> None:
    end = {
        "input_tokens": 5_000,
        "cache_creation_input_tokens": 400,
        "cache_read_input_tokens": None,
        "output_tokens": 7,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 9},
    }
    found = _streamed(message_begin(), message_text("a"), message_end(end))
    assert found.quantities == {
        "input": 5_000,
        "cache_read": 1_000,
        "cache_write": 200,  # what the lifetimes of the start do not explain is ordinary
        "cache_write_1h": 200,
        "output": 7,
        "web_searches": 2,
    }
    assert (found.tier, found.geo) == ("standard", "global")


def test_of_several_ends_the_last_one_counts() -> None:
    ends = [message_end({"output_tokens": count}) for count in (3, 9)]
    assert _streamed(message_begin(), *ends).quantities["output"] == 9


def test_a_stream_that_breaks_off_has_its_input_and_is_sized() -> None:
    tool = message_event("content_block_start", content_block={"type": "tool_use", "name": "look"})
    arguments = message_event("content_block_delta", delta={"partial_json": '{"a":1}'})
    thought = message_event("content_block_delta", delta={"thinking": "hm"})
    body = sse(message_begin(), message_text("Grüße"), thought, tool, arguments)
    reading = read_cut(MESSAGES, body, SSE)
    assert reading.usage is not None
    assert reading.usage.quantities == {
        name: count
        for name, count in ANTHROPIC_QUANTITIES.items()
        if name not in {"output", "reasoning"}
    }
    assert reading.usage.fault == ""
    assert reading.output_bytes == len("Grüßehmlook".encode()) + 7
    assert reading.response_id == "msg_1"
    assert read_cut(MESSAGES, b"", SSE)[:5] == (None, "", 0, "", False)


def test_an_error_within_a_stream() -> None:
    error = message_event("error", error={"type": "overloaded_error", "message": "x"})
    reading = read(MESSAGES, sse(message_begin(), error), SSE)
    assert reading.error_code == "overloaded_error"
    plain = {"type": "error", "error": {"type": "invalid_request_error"}}
    assert read(MESSAGES, text_of(plain).encode()).error_code == "invalid_request_error"


def test_batch_speed_and_place_are_what_the_reply_says() -> None:
    usage = ANTHROPIC_START | {"service_tier": "batch", "speed": "fast", "inference_geo": "us"}
    found = _usage(usage)
    assert (found.tier, found.batch, found.speed, found.geo) == ("batch", True, "fast", "us")


def test_old_replies_have_only_two_counts() -> None:
    assert _usage({"input_tokens": 3, "output_tokens": 4}).quantities == {"input": 3, "output": 4}


def test_lifetimes_without_their_sum() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 6},
    }
    assert _usage(usage).quantities == {
        "input": 1,
        "cache_write": 5,
        "cache_write_1h": 6,
        "output": 1,
    }


def test_a_refusal_before_any_output_is_not_billed() -> None:
    usage = {"input_tokens": 106, "output_tokens": 1}
    refused = _usage(usage, content=[], stop_reason="refusal")
    assert (refused.quantities, refused.fault, refused.raw) == ({}, "", text_of(usage))
    begun = message_begin()
    end = message_end({"output_tokens": 0}, "refusal")
    assert _streamed(begun, end).quantities == {}
    empty = message_event("content_block_start", content_block={"type": "text", "text": ""})
    assert _streamed(begun, empty, end).quantities == {}
    assert _streamed(begun, message_text("well"), end).quantities["input"] == 25
    assert _usage(usage, stop_reason="refusal").quantities == {"input": 106, "output": 1}


def test_compaction_is_billed_on_top() -> None:
    usage = {
        "input_tokens": 612,
        "output_tokens": 20,
        "service_tier": "standard",
        "inference_geo": "us",
        "iterations": [_step("compaction", 55_196, 592), _step("message", 612, 20)],
    }
    found = _usage(usage)
    assert found.quantities == {"input": 612, "output": 20}
    (compaction,) = found.components
    assert compaction == Usage({"input": 55_196, "output": 592}, found.model, "standard", geo="us")


def test_an_advisor_is_billed_at_its_own_model() -> None:
    usage = {
        "input_tokens": 2_417,
        "output_tokens": 133,
        "output_tokens_details": {"thinking_tokens": 55},
        "iterations": [
            _step("message", 1_128, 121),
            _step("advisor_message", 2_529, 38, model="claude-opus-4-8"),
            _step("message", 1_289, 12),
        ],
    }
    found = _usage(usage)
    assert found.quantities == {"input": 2_417, "output": 78, "reasoning": 55}
    assert [(part.model, part.quantities) for part in found.components] == [
        ("claude-opus-4-8", {"input": 2_529, "output": 38})
    ]


def test_long_steps_are_priced_one_by_one() -> None:
    steps = [_step("message", 60_000, 10), _step("message", 61_000, 20, cache_read_input_tokens=5)]
    usage = {
        "input_tokens": 121_000,
        "output_tokens": 30,
        "cache_read_input_tokens": 5,
        "server_tool_use": {"web_search_requests": 3},
        "output_tokens_details": {"thinking_tokens": 12},
        "iterations": steps,
    }
    found = _usage(usage)
    assert found.quantities == {"input": 60_000, "reasoning": 10, "web_searches": 3}
    assert [part.quantities for part in found.components] == [
        {"input": 61_000, "cache_read": 5, "output": 20}
    ]


def test_a_fallback_is_billed_at_the_fallback_model_only() -> None:
    usage = {
        "input_tokens": 412,
        "output_tokens": 264,
        "iterations": [
            _step("message", 408, 0, model="claude-fable-5"),
            _step("fallback_message", 412, 264, model="claude-opus-4-8"),
        ],
    }
    for found in (
        _usage(usage, model="claude-opus-4-8"),
        _streamed(
            message_begin(model="claude-fable-5", usage=usage | {"iterations": None}),
            message_text("a"),
            message_end(usage),
        ),
    ):
        assert (found.model, found.quantities) == (
            "claude-opus-4-8",
            {"input": 412, "output": 264},
        )
        assert (found.components, found.fault) == ((), "")


def test_a_stream_tells_of_a_fallback_by_a_block() -> None:
    block = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "claude-opus-4-8"}}
    fallback = message_event("content_block_start", index=0, content_block=block)
    assert _streamed(message_begin(), fallback, message_end()).model == "claude-opus-4-8"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"input_tokens": -1}, "negative_count"),
        ({"input_tokens": None}, "missing_count"),
        ({"output_tokens": 1.5}, "fractional_count"),
        ({"output_tokens": "5"}, "not_a_count"),
        ({"cache_read_input_tokens": 2**63}, "count_too_large"),
        ({"cache_creation_input_tokens": 10}, "parts_exceed_whole"),
        ({"output_tokens_details": {"thinking_tokens": 35}}, "parts_exceed_whole"),
        ({"iterations": [_step("message", 1, 1)]}, "contradicts_total"),
    ],
)
def test_counts_that_cannot_be_are_faults(change: dict[str, Any], fault: str) -> None:
    usage = ANTHROPIC_START | ANTHROPIC_END | change
    assert _usage(usage).fault == fault
    if change.get("input_tokens", 0) is not None:  # null in the end means: as at the start
        assert _streamed(message_begin(), message_end(usage)).fault == fault


@pytest.mark.parametrize("number", ["1e400", "NaN"])
def test_numbers_that_are_none_stay_visible_when_streams_are_merged(number: str) -> None:
    body = sse(message_begin(), message_end({"output_tokens": 777}), MESSAGE_STOP)
    found = read(MESSAGES, body.replace(b"777", number.encode()), SSE).usage
    assert found is not None
    assert found.fault in {"count_too_large", "not_a_count"}
    assert "output" not in found.quantities


def test_counting_tokens_is_no_usage() -> None:
    assert read(MESSAGES, b'{"input_tokens":14}').usage is None
