"""Bedrock's replies: what each maker's counts mean, and what stands in for missing ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_frames import (
    CONVERSE_QUANTITIES,
    CONVERSE_USAGE,
    EVENTS,
    TRACE,
    chunk,
    compact,
    converse_events,
    converse_reply,
    event,
    exception,
    metrics,
    text_delta,
)
from bedrock_replies import (
    COHERE_EVENTS,
    JSON,
    LLAMA_EVENTS,
    NOVA_EVENTS,
    anthropic_events,
    anthropic_message,
)
from provider_replies import read, read_cut
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readers import reader_for, take_head
from tollkeeper.wire.readings import Reading

ANTHROPIC_QUANTITIES = CONVERSE_QUANTITIES
IN, OUT = b"X-Amzn-Bedrock-Input-Token-Count", b"x-amzn-bedrock-output-token-count"
READ = b"x-amzn-bedrock-cache-read-input-token-count"
WRITTEN = b"x-amzn-bedrock-cache-write-input-token-count"


def _invoked(body: Any, *headers: tuple[bytes, bytes], content_type: str = JSON) -> Reading:
    reader = reader_for(
        "bedrock_invoke", streamed=content_type == EVENTS, content_type=content_type
    )
    take_head(reader, headers)
    reader.feed(body if isinstance(body, bytes) else compact(body))
    return reader.close(complete=True)


def _used(reading: Reading) -> Usage:
    assert reading.usage is not None
    return reading.usage


# ------------------------------------------------------------------ Converse


def test_converse_counts_the_cache_beside_the_input_and_by_its_lifetime() -> None:
    usage = _used(read("bedrock_converse", compact(converse_reply())))
    assert (dict(usage.quantities), usage.fault) == (CONVERSE_QUANTITIES, "")
    assert '"cacheDetails"' in usage.raw
    assert "PolicyUnits" not in usage.raw


def test_a_converse_stream_says_the_same_in_its_metadata() -> None:
    reading = read("bedrock_converse", converse_events(), EVENTS)
    assert dict(_used(reading).quantities) == CONVERSE_QUANTITIES
    assert (reading.final, reading.error_code, reading.output_bytes) == (True, "", None)
    reader = reader_for("bedrock_converse", streamed=True, content_type=EVENTS)
    reader.feed(converse_events())
    assert reader.finished


def test_the_served_tier_and_latency_are_told_in_bedrocks_words() -> None:
    served = {"serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "optimized"}}
    for reading in (
        read("bedrock_converse", compact(converse_reply(**served))),
        read("bedrock_converse", converse_events(**served), EVENTS),
    ):
        assert (_used(reading).tier, _used(reading).speed) == ("flex", "optimized")


@pytest.mark.parametrize(
    ("usage", "quantities", "fault"),
    [
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, {"input": 3, "output": 2}, ""),
        ({"inputTokens": 0, "outputTokens": 0}, {}, ""),
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 6}, None, "contradicts_total"),
        ({"outputTokens": 50}, None, "missing_count"),
        ({}, None, "missing_count"),
        ({"inputTokens": -3, "outputTokens": 2}, None, "negative_count"),
        ({"inputTokens": "3", "outputTokens": 2}, None, "not_a_count"),
        ({"inputTokens": 2**63, "outputTokens": 2}, None, "count_too_large"),
        ({"inputTokens": 3.5, "outputTokens": 2}, None, "fractional_count"),
        ({"inputTokens": 3.0, "outputTokens": 2.0}, {"input": 3, "output": 2}, ""),
        (
            {
                "inputTokens": 1,
                "cacheWriteInputTokens": 5,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 6}],
            },
            None,
            "parts_exceed_whole",
        ),
        (
            {
                "inputTokens": 1,
                "cacheWriteInputTokens": 9,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 6}],
            },
            {"input": 1, "cache_write": 3, "cache_write_1h": 6},
            "",
        ),
        (
            {"inputTokens": 1, "cacheReadInputTokenCount": 4, "cacheWriteInputTokenCount": 2},
            {"input": 1, "cache_read": 4, "cache_write": 2},
            "",
        ),
    ],
)
def test_counts_that_do_not_fit_are_a_fault(
    usage: dict[str, Any], quantities: dict[str, int] | None, fault: str
) -> None:
    for reading in (
        read("bedrock_converse", compact(converse_reply(usage=usage))),
        read("bedrock_converse", converse_events(usage=usage), EVENTS),
    ):
        found = _used(reading)
        assert found.fault == fault
        if quantities is not None:
            assert dict(found.quantities) == quantities


@pytest.mark.parametrize(
    "body",
    [
        compact(converse_reply(usage=None)),
        compact({"message": "no such model"}),
        compact({"output": {}, "trace": TRACE}),
        b"",
        b"[]",
        b"null",
        b'{"usage":',
    ],
)
def test_a_reply_without_usage_says_nothing(body: bytes) -> None:
    assert read("bedrock_converse", body).usage is None
    assert _invoked(body).usage is None


def test_a_broken_converse_stream_is_sized_and_says_why() -> None:
    stream = (
        event("messageStart", {"role": "assistant"})
        + text_delta("Grüße")
        + event("contentBlockDelta", {"delta": {"reasoningContent": {"text": "hm"}}})
        + event("contentBlockStart", {"start": {"toolUse": {"name": "look"}}})
        + event("contentBlockDelta", {"delta": {"toolUse": {"input": '{"a":1}'}}})
    )
    sized = len("Grüße".encode()) + len("hm") + len("look") + len('{"a":1}')
    cut = read_cut("bedrock_converse", stream, EVENTS)
    assert cut == Reading(None, "", sized, final=False, marked=True, partial=True)
    failed = read("bedrock_converse", stream + exception("modelStreamErrorException", "no"), EVENTS)
    assert failed == cut._replace(error_code="modelStreamErrorException")
    damaged = read("bedrock_converse", stream + b"\0" * 16, EVENTS)
    assert damaged == cut._replace(error_code="event_stream_prelude_checksum")


def test_what_is_kept_of_a_long_stream_is_bounded() -> None:
    reader = reader_for("bedrock_converse", streamed=True, content_type=EVENTS)
    for _ in range(2_000):
        reader.feed(text_delta("x" * 100))
        assert sum(map(len, reader._kept)) < (33 << 10)  # type: ignore[attr-defined]
    assert reader.close(complete=False).output_bytes == 200_000


# ------------------------------------------------------------------ Invoke, whole


def test_an_invoked_claude_counts_as_anthropic_does() -> None:
    counted = ((IN, b"25"), (OUT, b"34"), (READ, b"1000"), (WRITTEN, b"300"))
    usage = _used(_invoked(anthropic_message(), *counted))
    assert (dict(usage.quantities), usage.fault) == (ANTHROPIC_QUANTITIES, "")
    # Its name tells neither region nor profile: what was asked for decides the price.
    assert usage.model == ""


def test_iterations_of_an_invoked_claude_are_billed_each() -> None:
    steps = [
        {"type": "compaction", "input_tokens": 50_000, "output_tokens": 700},
        {"type": "message", "input_tokens": 25, "output_tokens": 34},
    ]
    usage = {"input_tokens": 25, "output_tokens": 34, "iterations": steps}
    found = _used(_invoked(anthropic_message(usage=usage)))
    assert [dict(part.quantities) for part in (found, *found.components)] == [
        {"input": 25, "output": 34},
        {"input": 50_000, "output": 700},
    ]


NATIVE = {
    "titan text": (
        {"inputTextTokenCount": 28.0, "results": [{"tokenCount": 197.0}, {"tokenCount": 3}]},
        {"input": 28, "output": 200},
    ),
    "titan embedding": ({"embedding": [0.1], "inputTextTokenCount": 5}, {"input": 5}),
    "llama": (
        {"generation": "", "prompt_token_count": 158, "generation_token_count": 128},
        {"input": 158, "output": 128},
    ),
    "nova": (
        {"usage": {"inputTokens": 7, "outputTokens": 53, "cacheReadInputTokenCount": 2}},
        {"input": 7, "output": 53, "cache_read": 2},
    ),
    "jamba": (
        {
            "choices": [],
            "usage": {"prompt_tokens": 16, "completion_tokens": 19, "total_tokens": 35},
        },
        {"input": 16, "output": 19},
    ),
    "pictures": ({"images": ["QUJD", "QUJD"]}, {"images": 2}),
}


@pytest.mark.parametrize("maker", NATIVE)
def test_each_makers_counts(maker: str) -> None:
    reply, quantities = NATIVE[maker]
    usage = _used(_invoked(reply | {"amazon-bedrock-trace": TRACE}))
    assert (dict(usage.quantities), usage.fault) == (quantities, "")


@pytest.mark.parametrize(
    "reply",
    [
        {"generations": [{"text": "a"}], "prompt": "b"},  # Cohere
        {"embeddings": [[0.1]], "texts": ["a"]},
        {"outputs": [{"text": "a", "stop_reason": "stop"}]},  # Mistral
        {"completions": [{"data": {"tokens": [{}]}}], "prompt": {"tokens": []}},  # AI21
        {"completion": "a", "stop_reason": "stop_sequence"},  # Claude 2
        {"choices": [{"message": {"content": "a"}}]},
        [],
    ],
)
def test_where_the_maker_counts_nothing_the_headers_do(reply: Any) -> None:
    usage = _used(_invoked(reply, (IN, b"9"), (OUT, b"112"), (b"content-type", b"x")))
    assert dict(usage.quantities) == {"input": 9, "output": 112}
    assert usage.raw == (
        '{"x-amzn-bedrock-input-token-count":9,"x-amzn-bedrock-output-token-count":112}'
    )
    embedded = _used(_invoked(reply, (IN, b"6")))
    assert (dict(embedded.quantities), embedded.fault) == ({"input": 6}, "")


def test_a_ranking_says_not_how_many_searches_it_was() -> None:
    """One for each hundred documents, of which longer ones count more than once."""
    ranked = {"results": [{"index": 2, "relevance_score": 0.87}, {"index": 0}]}
    usage = _used(_invoked(ranked))
    assert (dict(usage.quantities), usage.fault) == ({"rerank_searches": 1}, "searches_not_stated")


def test_what_a_maker_leaves_out_the_headers_complete() -> None:
    """Nova behind a guardrail that intervened states its input alone."""
    usage = _used(_invoked({"usage": {"inputTokens": 30}}, (IN, b"30"), (OUT, b"51")))
    assert (dict(usage.quantities), usage.fault) == ({"input": 30, "output": 51}, "")


def test_headers_say_what_was_served() -> None:
    served = (
        (b"X-Amzn-Bedrock-Service-Tier", b"priority"),
        (b"X-Amzn-Bedrock-PerformanceConfig-Latency", b"optimized"),
    )
    for reply, content_type in ((anthropic_message(), JSON), (b"".join(NOVA_EVENTS), EVENTS)):
        usage = _used(_invoked(reply, *served, content_type=content_type))
        assert (usage.tier, usage.speed) == ("priority", "optimized")


@pytest.mark.parametrize("value", [b"-5", b"NaN", b"1e3", b"", b"9" * 13, b"5, 6"])
def test_a_header_that_is_no_count_is_a_fault(value: bytes) -> None:
    assert _used(_invoked({"generations": []}, (IN, value), (OUT, b"5"))).fault
    assert _used(_invoked({"generations": []}, (IN, value))).fault == "not_a_count"


def test_a_maker_that_counts_wrongly_is_a_fault() -> None:
    for count in (-1, 2**70, "7", 1.5):
        reply = {"prompt_token_count": count, "generation_token_count": 2}
        assert _used(_invoked(reply, (IN, b"3"), (OUT, b"2"))).fault


# ------------------------------------------------------------------ Invoke, streamed


@pytest.mark.parametrize(
    ("events", "quantities"),
    [
        (anthropic_events(), ANTHROPIC_QUANTITIES),
        (LLAMA_EVENTS, {"input": 23, "output": 3}),
        (NOVA_EVENTS, {"input": 30, "output": 55}),
        (COHERE_EVENTS, {"input": 6, "output": 9}),
    ],
)
def test_each_makers_stream(events: list[bytes], quantities: dict[str, int]) -> None:
    reading = read("bedrock_invoke", b"".join(events), EVENTS)
    assert (dict(_used(reading).quantities), reading.final) == (quantities, True)
    assert _used(reading).model == ""
    assert not reading.partial


def test_claudes_own_counts_are_finer_than_the_metrics() -> None:
    """Recorded streams with tools have metrics that leave a part of the output out."""
    events = [*anthropic_events()[:-1], chunk({"type": "message_stop"} | metrics(25, 20))]
    assert _used(read("bedrock_invoke", b"".join(events), EVENTS)).quantities["output"] == 34


def test_a_blocked_titan_stream_has_no_metrics_and_is_whole() -> None:
    blocked = {"outputText": "no", "totalOutputTextTokenCount": 3.0, "inputTextTokenCount": 6.0}
    reading = read("bedrock_invoke", chunk(blocked | {"amazon-bedrock-trace": TRACE}), EVENTS)
    assert (dict(_used(reading).quantities), reading.final) == ({"input": 6, "output": 3}, True)


@pytest.mark.parametrize(
    ("events", "stated", "text"),
    [
        (anthropic_events("four")[:4], {"input": 25, "cache_read": 1000}, "four"),
        (LLAMA_EVENTS[:2], {"input": 23, "output": 2}, "Hi you"),
        (NOVA_EVENTS[:2], None, "On"),
        (COHERE_EVENTS[:1], None, "Grüße"),
        ([chunk({"outputs": [{"text": "ab"}]})], None, "ab"),
        ([chunk({"choices": [{"delta": {"content": "ab"}}]})], None, "ab"),
        ([chunk({"completion": "ab"})], None, "ab"),
    ],
)
def test_a_broken_invoked_stream_tells_what_it_had_counted(
    events: list[bytes], stated: dict[str, int] | None, text: str
) -> None:
    failed = [*events, exception("throttlingException", "slow down")]
    for parts, code in ((events, ""), (failed, "throttlingException")):
        reading = read_cut("bedrock_invoke", b"".join(parts), EVENTS)
        assert (reading.error_code, reading.final, reading.partial) == (code, False, True)
        assert reading.output_bytes == len(text.encode())
        if stated is None:
            assert reading.usage is None
        else:
            assert stated.items() <= _used(reading).quantities.items()


@pytest.mark.parametrize(
    "payload",
    [{"bytes": "***"}, {"bytes": 5}, {}, [], {"bytes": "bnVsbA=="}, {"bytes": "ww=="}],
)
def test_a_chunk_that_carries_nothing_readable_is_passed_over(payload: Any) -> None:
    stream = event("chunk", payload) + b"".join(LLAMA_EVENTS)
    assert dict(_used(read("bedrock_invoke", stream, EVENTS)).quantities) == {
        "input": 23,
        "output": 3,
    }


def test_nothing_after_the_end_counts() -> None:
    again = converse_events(usage={"inputTokens": 7})
    reading = read("bedrock_converse", converse_events() + again, EVENTS)
    assert dict(_used(reading).quantities) == CONVERSE_QUANTITIES
    twice = b"".join(LLAMA_EVENTS) + chunk({"generation": "x"} | metrics(1, 1))
    assert _used(read("bedrock_invoke", twice, EVENTS)).quantities["input"] == 23


def test_the_content_type_decides_which_reader_reads() -> None:
    assert read("bedrock_converse", converse_events(), "text/event-stream").usage is None
    assert read("openai_chat", converse_events(), EVENTS).usage is None
    assert read("bedrock_invoke", b"\x89PNG", "image/png").usage is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_FIELDS = sorted(
    {
        *CONVERSE_USAGE,
        *("usage", "metadata", "prompt_token_count", "generation_token_count", "results"),
        *("inputTextTokenCount", "images", "type", "choices", "outputs", "text", "serviceTier"),
        "amazon-bedrock-invocationMetrics",
    }
)


@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=6))
def test_any_json_is_read_without_an_error_and_never_negative(reply: dict[str, Any]) -> None:
    for reading in (
        _invoked(reply, (IN, b"3")),
        read("bedrock_converse", compact({"usage": reply, **reply})),
        read("bedrock_converse", event("metadata", {"usage": reply, **reply}), EVENTS),
        read("bedrock_invoke", chunk(reply) + chunk({"usage": reply}), EVENTS),
    ):
        if reading.usage is not None:
            assert all(count > 0 for count in reading.usage.quantities.values())
