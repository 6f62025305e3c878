"""Reading the usage of streams of 50 pieces of text, as five families send them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from benchmarks.figures import Bound, Target
from benchmarks.payloads import CHUNKS, events
from benchmarks.processes import CouldNotRun
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading

_READ_US: Final = 25
_AT_ONCE: Final = "in one piece"
_ONE_BY_ONE: Final = "chunk by chunk"
_WORD: Final = " word"


class Stream(NamedTuple):
    """The events of one stream, and the kind of reader that is meant for it."""

    reader: str
    events: list[bytes]
    content_type: str = "text/event-stream"


def _event(data: Mapping[str, Any], end: str = "\n") -> bytes:
    """Write an event, named by its type where it has one."""
    head = f"event: {data['type']}{end}" if "type" in data else ""
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}{end}{end}".encode()


def _chat() -> Stream:
    return Stream("openai_chat", events())


def _responses() -> Stream:
    response = {
        "id": "resp_0123456789abcdef0123456789abcdef",
        "object": "response",
        "created_at": 1_795_000_000,
        "status": "in_progress",
        "model": "gpt-4.1-mini-2025-04-14",
        "output": [],
        "usage": None,
        "service_tier": "default",
    }
    item = {"type": "message", "id": "msg_0123456789abcdef0123456789abcdef", "role": "assistant"}
    delta = {
        "type": "response.output_text.delta",
        "item_id": item["id"],
        "output_index": 0,
        "content_index": 0,
        "delta": _WORD,
        "logprobs": [],
        "obfuscation": "0123456789",
    }
    text = {"type": "output_text", "text": _WORD * CHUNKS, "annotations": []}
    usage = {
        "input_tokens": 230,
        "input_tokens_details": {"cached_tokens": 128},
        "output_tokens": CHUNKS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 230 + CHUNKS,
    }
    ended = {"status": "completed", "output": [item | {"content": [text]}], "usage": usage}
    return Stream(
        "openai_responses",
        [
            _event({"type": "response.created", "response": response}),
            _event({"type": "response.output_item.added", "output_index": 0, "item": item}),
            *(_event(delta | {"sequence_number": number}) for number in range(CHUNKS)),
            _event({"type": "response.completed", "response": response | ended}),
        ],
    )


def _anthropic() -> Stream:
    usage = {
        "input_tokens": 102,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 128,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    message = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }
    delta = {"type": "text_delta", "text": _WORD}
    block = {"type": "text", "text": ""}
    stopped = {"stop_reason": "end_turn", "stop_sequence": None}
    return Stream(
        "anthropic_messages",
        [
            _event({"type": "message_start", "message": message}),
            _event({"type": "content_block_start", "index": 0, "content_block": block}),
            *[_event({"type": "content_block_delta", "index": 0, "delta": delta})] * CHUNKS,
            _event({"type": "content_block_stop", "index": 0}),
            _event({"type": "message_delta", "delta": stopped, "usage": {"output_tokens": CHUNKS}}),
            _event({"type": "message_stop"}),
        ],
    )


def _gemini() -> Stream:
    def chunk(number: int) -> dict[str, Any]:
        candidate = {"content": {"parts": [{"text": _WORD}], "role": "model"}, "index": 0}
        if number == CHUNKS:
            candidate["finishReason"] = "STOP"
        usage = {
            "promptTokenCount": 230,
            "candidatesTokenCount": number,
            "totalTokenCount": 230 + number,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 230}],
        }
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "0123456789abcdef012345",
        }

    return Stream("gemini", [_event(chunk(number), "\r\n") for number in range(1, CHUNKS + 1)])


def _conversation() -> Stream:
    delta = {
        "type": "message.output.delta",
        "created_at": "2026-11-20T10:00:00Z",
        "output_index": 0,
        "id": "msg_0123456789abcdef0123456789abcdef",
        "content_index": 0,
        "model": "mistral-medium-2508",
        "role": "assistant",
        "content": _WORD,
    }
    usage = {"prompt_tokens": 230, "completion_tokens": CHUNKS, "total_tokens": 230 + CHUNKS}
    return Stream(
        "mistral_conversations",
        [
            _event({"type": "conversation.response.started", "conversation_id": "conv_0123456789"}),
            *[_event(delta)] * CHUNKS,
            _event({"type": "conversation.response.done", "usage": usage}),
        ],
    )


STREAMS: Final[Mapping[str, Callable[[], Stream]]] = {
    "OpenAI chat": _chat,
    "OpenAI responses": _responses,
    "Anthropic messages": _anthropic,
    "Gemini": _gemini,
    "Mistral conversations": _conversation,
}


def reading_work() -> dict[str, Callable[[], object]]:
    """Give what is to be timed, by its name: each family both ways."""
    works: dict[str, Callable[[], object]] = {}
    for family, make in STREAMS.items():
        stream = make()
        whole = stream._replace(events=[b"".join(stream.events)])
        if _read(whole).usage is None or _read(whole) != _read(stream):
            raise CouldNotRun(f"a stream of {family} is not read")
        works[f"usage of 50 chunks of {family}, {_AT_ONCE}"] = partial(_read, whole)
        works[f"usage of 50 chunks of {family}, {_ONE_BY_ONE}"] = partial(_read, stream)
    return works


def reading_targets(measured: Mapping[str, float]) -> list[Target]:
    """Hold the slowest family of each way against what is wanted."""
    targets = []
    for way in (_AT_ONCE, _ONE_BY_ONE):
        slowest = max(took_us for name, took_us in measured.items() if name.endswith(way))
        what = f"usage of 50 chunks {way}, the slowest family"
        targets.append(Target(what, slowest, Bound.AT_MOST, _READ_US, "µs"))
    return targets


def _read(stream: Stream) -> Reading:
    """Read a stream as the gateway does, which asks after each piece whether it has ended."""
    reader = reader_for(stream.reader, streamed=True, content_type=stream.content_type)
    for piece in stream.events:
        reader.feed(piece)
        if reader.finished:
            break
    return reader.close(complete=True)
