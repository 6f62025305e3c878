"""Bedrock's replies of every maker: (reader, content type, body), for tests that cut them."""

from __future__ import annotations

from typing import Any

from aws_frames import (
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

JSON = "application/json"
ANTHROPIC_START = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 1,
}


def anthropic_message(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_bdrk_1",
        "type": "message",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "Grüße"}],
        "stop_reason": "end_turn",
        "usage": {**ANTHROPIC_START, "output_tokens": 34},
        **more,
    }


def anthropic_events(text: str = "Grüße 🌍") -> list[bytes]:
    begun = anthropic_message(content=[], stop_reason=None, usage=ANTHROPIC_START)
    delta = {"type": "text_delta", "text": text}
    ended = {"stop_reason": "end_turn"}
    return [
        chunk({"type": "message_start", "message": begun}),
        chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}),
        chunk({"type": "content_block_delta", "index": 0, "delta": delta}),
        chunk({"type": "content_block_stop", "index": 0}),
        chunk({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 34}}),
        chunk({"type": "message_stop"} | metrics(25, 34, cacheReadInputTokenCount=1000)),
    ]


LLAMA_EVENTS = (
    chunk({"generation": "Hi", "prompt_token_count": 23, "generation_token_count": 1}),
    chunk({"generation": " you", "prompt_token_count": None, "generation_token_count": 2}),
    chunk(
        {"generation": "", "generation_token_count": 3, "stop_reason": "stop"} | metrics(23, 3),
    ),
)
NOVA_EVENTS = (
    chunk({"messageStart": {"role": "assistant"}}),
    chunk({"contentBlockDelta": {"delta": {"text": "On"}, "contentBlockIndex": 0}}),
    chunk(
        {"metadata": {"usage": {"inputTokens": 30, "outputTokens": 55}, "trace": TRACE}}
        | metrics(30, 55)
    ),
)
COHERE_EVENTS = (
    chunk({"is_finished": False, "event_type": "text-generation", "text": "Grüße"}),
    chunk({"is_finished": True, "event_type": "stream-end"} | metrics(6, 9)),
)

REPLIES: dict[str, tuple[str, str, bytes]] = {
    "converse": ("bedrock_converse", JSON, compact(converse_reply())),
    "converse stream": ("bedrock_converse", EVENTS, converse_events()),
    "converse stream, failed": (
        "bedrock_converse",
        EVENTS,
        text_delta("Grüße") + exception("throttlingException", "slow down"),
    ),
    "converse stream, wrong checksum": (
        "bedrock_converse",
        EVENTS,
        text_delta("Grüße") + converse_events()[:-1] + b"\0",
    ),
    "converse stream, unknown events": (
        "bedrock_converse",
        EVENTS,
        event("later", {"usage": {"inputTokens": 1}}) + converse_events(()),
    ),
    "invoke, anthropic": ("bedrock_invoke", JSON, compact(anthropic_message())),
    "invoke stream, anthropic": ("bedrock_invoke", EVENTS, b"".join(anthropic_events())),
    "invoke stream, llama": ("bedrock_invoke", EVENTS, b"".join(LLAMA_EVENTS)),
    "invoke stream, nova": ("bedrock_invoke", EVENTS, b"".join(NOVA_EVENTS)),
    "invoke stream, cohere": ("bedrock_invoke", EVENTS, b"".join(COHERE_EVENTS)),
    "invoke stream, cut": ("bedrock_invoke", EVENTS, b"".join(anthropic_events()[:4])),
}
"""Name → (reader, content type, body)."""
