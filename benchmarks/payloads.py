"""What is sent and what comes back: requests and replies of a fixed size."""

from __future__ import annotations

import json

MODEL = "gpt-4.1-mini"
PACED_MODEL = "paced-1"
IDLE_MODEL = "idle-1"
FLOOD_MODEL = "flood-1"
CHUNKS = 50
FLOOD_BYTES = 300 << 20
_WORDS = "the gateway carries calls and counts what they cost "


def request_body(size: int, model: str = MODEL, **fields: object) -> bytes:
    """Give a chat request of exactly ``size`` bytes (or the least that is possible)."""

    def body(prompt: str) -> bytes:
        message = {"role": "user", "content": prompt}
        asked = {"model": model, **fields, "max_tokens": 256, "messages": [message]}
        return json.dumps(asked, separators=(",", ":")).encode()

    room = max(0, size - len(body("")))
    return body((_WORDS * (room // len(_WORDS) + 1))[:room])


PLAIN_REQUEST = request_body(1_024)
LARGE_REQUEST = request_body(100 << 10)
STREAM_REQUEST = request_body(1_024, stream=True, stream_options={"include_usage": True})
STREAM_REQUEST_WITHOUT_USAGE = request_body(1_024, stream=True)

_USAGE = {
    "prompt_tokens": 230,
    "completion_tokens": 50,
    "total_tokens": 280,
    "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nx-request-id: req_0123456789abcdef\r\n"
    b"openai-processing-ms: 12\r\nserver: bench\r\n"
)


def _plain_body(size: int) -> bytes:
    def body(text: str) -> bytes:
        message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        reply = {
            "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
            "object": "chat.completion",
            "created": 1_795_000_000,
            "model": f"{MODEL}-2025-04-14",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": _USAGE,
            "service_tier": "default",
            "system_fingerprint": "fp_0123456789",
        }
        return json.dumps(reply, separators=(",", ":")).encode()

    room = size - len(body(""))
    return body((_WORDS * 20)[:room])


def _event(choices: list[object], usage: object = None) -> bytes:
    chunk = {
        "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
        "object": "chat.completion.chunk",
        "created": 1_795_000_000,
        "model": f"{MODEL}-2025-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def events() -> list[bytes]:
    """Give the events of one stream: 50 pieces of text, the usage, the end."""
    pieces = [
        _event([{"index": 0, "delta": {"content": " word"}, "finish_reason": None}])
        for _ in range(CHUNKS)
    ]
    return [*pieces, _event([], _USAGE), b"data: [DONE]\n\n"]


def chunked(pieces: list[bytes]) -> bytes:
    """Frame each piece as one chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


PLAIN_BODY = _plain_body(1_024)
PLAIN_REPLY = (
    _HEAD % b"application/json" + b"content-length: %d\r\n\r\n" % len(PLAIN_BODY) + PLAIN_BODY
)
STREAM_HEAD = _HEAD % b"text/event-stream; charset=utf-8" + b"transfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
STREAM_REPLY = STREAM_HEAD + chunked(events()) + LAST_CHUNK
