"""Replies in the shapes that providers document, built for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import bedrock_replies
import job_replies
import native_replies
from job_replies import RESPONSES_USAGE as RESPONSES_USAGE
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading

SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"


def text_of(value: Any) -> str:
    """Write JSON as providers do, without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(*events: Any, end: str = "\n") -> bytes:
    """Write events: a dict is data, a pair is (event name, data), a string goes as it is."""
    lines = []
    for event in events:
        if isinstance(event, str):
            lines.append(event)
            continue
        name, data = event if isinstance(event, tuple) else ("", event)
        head = f"event: {name}{end}" if name else ""
        lines.append(f"{head}data: {text_of(data)}")
    return "".join(line + end + end for line in lines).encode()


def read(reader: str, body: bytes | Iterable[bytes], content_type: str = JSON) -> Reading:
    """Read a reply to its end, in one piece or in several."""
    return read_cut(reader, body, content_type, complete=True)


def read_cut(
    reader: str, body: bytes | Iterable[bytes], content_type: str = JSON, *, complete: bool = False
) -> Reading:
    """Read a reply that broke off."""
    one = reader_for(reader, streamed="event-stream" in content_type, content_type=content_type)
    for piece in [body] if isinstance(body, bytes) else body:
        one.feed(piece)
    return one.close(complete=complete)


def pieces(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut a body at some places."""
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


CHAT_USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 34,
    "total_tokens": 1234,
    "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 0},
}
CHAT_QUANTITIES = {"input": 200, "cache_read": 1000, "output": 24, "reasoning": 10}


def chunk(content: str | None = None, **more: Any) -> dict[str, Any]:
    """Make one chunk of a chat stream."""
    delta = {"content": content} if content is not None else {}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4.1-2025-04-14",
        "service_tier": "default",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        **more,
    }


def usage_chunk(**more: Any) -> dict[str, Any]:
    return chunk() | {"choices": [], "usage": CHAT_USAGE} | more


def chat_stream(end: str = "\n") -> bytes:
    return sse(
        ": comment",
        chunk("", usage=None),
        chunk("Grüße, 世界 🌍", usage=None),
        chunk('say "usage":{"prompt_tokens":9} or [DONE]', usage=None),
        chunk(usage=None),
        usage_chunk(),
        "data: [DONE]",
        end=end,
    )


def chat_reply(**more: Any) -> bytes:
    return text_of(
        {
            "id": "chatcmpl-2",
            "object": "chat.completion",
            "model": "gpt-4.1-2025-04-14",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "Grüße"}}],
            "usage": CHAT_USAGE,
            "service_tier": "default",
            **more,
        }
    ).encode()


RESPONSES_QUANTITIES = {
    "input": 150,
    "cache_read": 1000,
    "cache_write": 50,
    "output": 24,
    "reasoning": 10,
}


def response(**more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "background": False,
        "error": None,
        "model": "gpt-5.6-sol",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Grüße"}]}],
        "tools": [],
        "service_tier": "default",
        "usage": RESPONSES_USAGE,
        **more,
    }


def response_event(kind: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, "sequence_number": 1, **more}


def responses_stream(last: str = "response.completed", end: str = "\n") -> bytes:
    begun = response(status="in_progress", usage=None, output=[])
    return sse(
        response_event("response.created", response=begun),
        response_event("response.in_progress", response=begun),
        response_event("response.output_text.delta", delta="Grüße, response.completed 🌍"),
        response_event("response.function_call_arguments.delta", delta='{"usage":{"a":1}}'),
        response_event(last, response=response()),
        end=end,
    )


ANTHROPIC_START = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 1,
    "service_tier": "standard",
    "inference_geo": "global",
}
ANTHROPIC_QUANTITIES = {
    "input": 25,
    "cache_read": 1000,
    "cache_write": 100,
    "cache_write_1h": 200,
    "output": 24,
    "reasoning": 10,
}
ANTHROPIC_END = {"output_tokens": 34, "output_tokens_details": {"thinking_tokens": 10}}


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "Grüße"}],
        "stop_reason": "end_turn",
        "usage": {**ANTHROPIC_START, **ANTHROPIC_END},
        **more,
    }


def message_event(kind: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **more}


def message_begin(**more: Any) -> tuple[str, dict[str, Any]]:
    begun = message(content=[], stop_reason=None, usage=ANTHROPIC_START) | more
    return message_event("message_start", message=begun)


def message_text(text: str) -> tuple[str, dict[str, Any]]:
    delta = {"type": "text_delta", "text": text}
    return message_event("content_block_delta", index=0, delta=delta)


def message_end(usage: Any = ANTHROPIC_END, reason: str = "end_turn") -> tuple[str, dict[str, Any]]:
    return message_event("message_delta", delta={"stop_reason": reason}, usage=usage)


MESSAGE_STOP = message_event("message_stop")


def message_stream(end: str = "\n") -> bytes:
    block = {"type": "text", "text": ""}
    return sse(
        message_begin(),
        message_event("ping"),
        message_event("content_block_start", index=0, content_block=block),
        message_text('Grüße 🌍 "message_delta" message_stop'),
        message_event("content_block_stop", index=0),
        message_end(),
        MESSAGE_STOP,
        end=end,
    )


GEMINI_USAGE = {
    "promptTokenCount": 1258,
    "candidatesTokenCount": 34,
    "thoughtsTokenCount": 10,
    "toolUsePromptTokenCount": 5,
    "cachedContentTokenCount": 1000,
    "totalTokenCount": 1307,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 900},
        {"modality": "IMAGE", "tokenCount": 258},
    ],
    "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 200}],
    "serviceTier": "standard",
}
GEMINI_QUANTITIES = {
    "input": 200,
    "input_image": 58,
    "cache_read": 800,
    "cache_read_image": 200,
    "input_tool": 5,
    "output": 34,
    "reasoning": 10,
}


def gemini(text: str = "Grüße", **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}],
        "modelVersion": "gemini-2.5-pro",
        "responseId": "abc",
        **more,
    }


def gemini_chunks() -> list[dict[str, Any]]:
    early = {"promptTokenCount": 1258, "totalTokenCount": 1258}
    return [
        gemini("Grüße 🌍", usageMetadata=early),
        gemini('"usageMetadata":{}'),
        gemini("!", usageMetadata=GEMINI_USAGE),
    ]


def gemini_stream(end: str = "\r\n") -> bytes:
    return sse(*gemini_chunks(), end=end)


def gemini_array(indent: int | None = 2) -> bytes:
    parts = [json.dumps(part, ensure_ascii=False, indent=indent) for part in gemini_chunks()]
    return ("[" + "\n,\r\n".join(parts) + "\n]\n").encode()


IMAGES_USAGE = {
    "total_tokens": 1795,
    "input_tokens": 431,
    "input_tokens_details": {"image_tokens": 388, "text_tokens": 43},
    "output_tokens": 1364,
    "output_tokens_details": {"image_tokens": 1056, "text_tokens": 308},
}
IMAGES_QUANTITIES = {"input": 43, "input_image": 388, "output": 308, "output_image": 1056}


def images_reply(**more: Any) -> bytes:
    reply = {"created": 1, "data": [{"b64_json": "QUJD" * 100}], "usage": IMAGES_USAGE, **more}
    return text_of(reply).encode()


def images_stream() -> bytes:
    return sse(
        ("image_generation.partial_image", {"type": "image_generation.partial_image"}),
        (
            "image_generation.completed",
            {
                "type": "image_generation.completed",
                "b64_json": "QUJD" * 100,
                "usage": IMAGES_USAGE,
            },
        ),
    )


AUDIO_USAGE = {
    "type": "tokens",
    "input_tokens": 26,
    "input_token_details": {"text_tokens": 5, "audio_tokens": 21},
    "output_tokens": 4,
    "total_tokens": 30,
}
AUDIO_QUANTITIES = {"input": 5, "input_audio": 21, "output": 4}


def transcription_stream() -> bytes:
    return sse(
        {"type": "transcript.text.delta", "delta": "Hello"},
        {"type": "transcript.text.done", "text": "Hello", "usage": AUDIO_USAGE},
    )


REPLIES: dict[str, tuple[str, str, bytes]] = {
    "chat": ("openai_chat", JSON, chat_reply()),
    "chat stream": ("openai_chat", SSE, chat_stream()),
    "chat stream CRLF": ("openai_chat", SSE, b"\xef\xbb\xbf" + chat_stream("\r\n")),
    "chat stream CR": ("openai_chat", SSE, chat_stream("\r")),
    "chat stream without end": ("openai_chat", SSE, sse(chunk("a"), usage_chunk())[:-2]),
    "chat stream without usage": ("openai_chat", SSE, sse(chunk("Grüße"), chunk("b"))),
    "chat stream with error": ("openai_chat", SSE, sse(chunk("a"), {"error": {"code": "x"}})),
    "chat stream after the end": (
        "openai_chat",
        SSE,
        sse(usage_chunk(), "data: [DONE]", usage_chunk(usage={"prompt_tokens": 7})),
    ),
    "responses": ("openai_responses", JSON, text_of(response()).encode()),
    "responses stream": ("openai_responses", SSE, responses_stream()),
    "responses stream CRLF": ("openai_responses", SSE, responses_stream(end="\r\n")),
    "responses stream twice": ("openai_responses", SSE, responses_stream() * 2),
    "messages": ("anthropic_messages", JSON, text_of(message()).encode()),
    "messages stream": ("anthropic_messages", SSE, message_stream()),
    "messages stream CRLF": ("anthropic_messages", SSE, message_stream("\r\n")),
    "messages stream twice": ("anthropic_messages", SSE, message_stream() * 2),
    "messages stream cut": ("anthropic_messages", SSE, sse(message_begin(), message_text("Grüß"))),
    "gemini": ("gemini", JSON, text_of(gemini(usageMetadata=GEMINI_USAGE)).encode()),
    "gemini stream": ("gemini", SSE, gemini_stream()),
    "gemini stream LF": ("gemini", SSE, gemini_stream("\n")),
    "gemini array": ("gemini", JSON, gemini_array()),
    "gemini array compact": ("gemini", JSON, gemini_array(None)),
    "images": ("openai_images", JSON, images_reply()),
    "images stream": ("openai_images", SSE, images_stream()),
    "transcription stream": ("openai_transcription", SSE, transcription_stream()),
    **bedrock_replies.REPLIES,
    **job_replies.REPLIES,
    **native_replies.REPLIES,
}
"""Name → (reader, content type, body)."""
