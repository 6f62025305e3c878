"""AWS event streams and Bedrock's replies, written by us: what tests read back or send on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from struct import pack
from typing import Any
from zlib import crc32

EVENTS = "application/vnd.amazon.eventstream"


def header(name: str, value: str) -> bytes:
    """Write one header whose value is text."""
    text = value.encode()
    return bytes([len(name)]) + name.encode() + b"\x07" + pack(">H", len(text)) + text


def frame(headers: bytes, payload: bytes) -> bytes:
    """Write one message with its two checksums."""
    lengths = pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + pack(">I", crc32(lengths)) + headers + payload
    return message + pack(">I", crc32(message))


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def event(name: str, payload: Any) -> bytes:
    """Write an event as AWS does, with its three headers."""
    headers = (
        header(":event-type", name)
        + header(":content-type", "application/json")
        + header(":message-type", "event")
    )
    return frame(headers, compact(payload))


def exception(name: str, message: str) -> bytes:
    """Write a failure within a stream."""
    headers = (
        header(":exception-type", name)
        + header(":content-type", "application/json")
        + header(":message-type", "exception")
    )
    return frame(headers, compact({"message": message}))


def chunk(native: Any) -> bytes:
    """Write an event that carries a maker's own event."""
    data = native if isinstance(native, bytes) else compact(native)
    return event("chunk", {"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"})


def re_encoded(lines: str, kind: str = "aws-eventstream") -> bytes:
    """Write the frames again of a stream that was recorded as text.

    Decoded streams have one JSON object a line: the event's type, and its payload or, for
    "chunk", what stood in its bytes. Some fixtures write Converse's events as server-sent
    ones, each an object of the type and the payload.
    """
    if kind == "sse":
        data = [json.loads(line[5:]) for line in lines.splitlines() if line.startswith("data:")]
        return b"".join(event(*next(iter(it.items()))) for it in data)
    return b"".join(_recorded(json.loads(line)) for line in lines.splitlines())


def _recorded(line: dict[str, Any]) -> bytes:
    if line["event"] == "chunk":
        return chunk(line["payload"])
    return event(line["event"], line["payload"])


CONVERSE_USAGE = {
    "inputTokens": 25,
    "outputTokens": 34,
    "totalTokens": 1359,
    "cacheReadInputTokens": 1000,
    "cacheWriteInputTokens": 300,
    "cacheReadInputTokenCount": 1000,
    "cacheWriteInputTokenCount": 300,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 100}],
    "serverToolUsage": {},
}
CONVERSE_QUANTITIES = {
    "input": 25,
    "cache_read": 1000,
    "cache_write": 100,
    "cache_write_1h": 200,
    "output": 34,
}
POLICY_UNITS = {"topicPolicyUnits": 7, "contentPolicyUnits": 9, "inputTokens": 77}
TRACE = {"guardrail": {"inputAssessment": {"g": {"invocationMetrics": {"usage": POLICY_UNITS}}}}}


def converse_reply(**more: Any) -> dict[str, Any]:
    content = [{"text": 'Grüße "usage":{"inputTokens":1}'}]
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "end_turn",
        "usage": CONVERSE_USAGE,
        "metrics": {"latencyMs": 550},
        "trace": TRACE,
        **more,
    }


def text_delta(text: str, index: int = 0) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": text}})


def converse_events(text: Iterable[str] = ("Grüße 🌍", "metadata usage"), **more: Any) -> bytes:
    """Write a stream; ``more`` are further fields of the metadata that ends it."""
    tool = {"toolUseId": "t1", "name": "look"}
    parts = [
        event("messageStart", {"role": "assistant", "p": "abc"}),
        *(text_delta(part) for part in text),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": tool}}),
        event("contentBlockDelta", {"delta": {"toolUse": {"input": '{"usage":{}}'}}}),
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": CONVERSE_USAGE, "trace": TRACE, **more}),
    ]
    return b"".join(parts)


def metrics(given: int, output: int, **more: int) -> dict[str, Any]:
    counts = {"inputTokenCount": given, "outputTokenCount": output, **more}
    return {"amazon-bedrock-invocationMetrics": {**counts, "invocationLatency": 738}}
