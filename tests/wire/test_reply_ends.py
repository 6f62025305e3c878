"""Whether a reply came to its own end, whatever its framing said."""

from __future__ import annotations

import pytest

from provider_replies import (
    CHAT_USAGE,
    JSON,
    SSE,
    chat_stream,
    chunk,
    message_begin,
    message_event,
    message_text,
    read,
    sse,
    text_of,
)

CHAT, MESSAGES, RESPONSES, GEMINI = (
    "openai_chat",
    "anthropic_messages",
    "openai_responses",
    "gemini",
)
STOPPED = {"id": "1", "choices": [{"delta": {}, "finish_reason": "stop"}]}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "model": "m"}}
CANDIDATE = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
COUNTS = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}}
OTHER = sse({"type": "session.closed", "event_id": "event-closed"})

ENDED = {
    "chat with its marker": (CHAT, chat_stream(), SSE),
    "chat with its marker and no usage": (CHAT, sse(chunk("a"), "data: [DONE]"), SSE),
    "chat with a reason and no marker": (CHAT, sse(chunk("a"), STOPPED), SSE),
    "chat with the usage's chunk": (
        CHAT,
        sse(chunk("a"), {"id": "1", "choices": [], "usage": CHAT_USAGE}),
        SSE,
    ),
    "chat with usage and reason": (CHAT, sse(STOPPED | {"usage": CHAT_USAGE}), SSE),
    "chat with nothing but usage": (CHAT, sse(chunk("a"), {"usage": CHAT_USAGE}), SSE),
    "messages with a last count": (
        MESSAGES,
        sse(message_begin(), message_event("message_delta", usage={"output_tokens": 2})),
        SSE,
    ),
    "messages with their marker": (
        MESSAGES,
        sse(message_begin(), message_event("message_stop")),
        SSE,
    ),
    "responses that failed": (
        RESPONSES,
        sse(CREATED, {"type": "response.failed", "response": {"id": "resp_1"}}),
        SSE,
    ),
    "gemini with a reason": (GEMINI, sse(CANDIDATE | COUNTS | {"finishReason": "STOP"}), SSE),
    "gemini, blocked": (GEMINI, sse(COUNTS | {"promptFeedback": {"blockReason": "X"}}), SSE),
    "gemini with a reason and no usage": (
        GEMINI,
        sse({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}),
        SSE,
    ),
    "another stream": (CHAT, OTHER, SSE),
    "another stream for messages": (MESSAGES, OTHER, SSE),
    "another stream for responses": (RESPONSES, OTHER, SSE),
    "an object": (CHAT, b'{"choices":[]}\n', JSON),
    "an array": (GEMINI, text_of([CANDIDATE, CANDIDATE | COUNTS]).encode(), JSON),
    "nothing": (CHAT, b"", JSON),
}
CUT = {
    "chat": (CHAT, sse(chunk("a")), SSE, True),
    "chat with growing usage": (CHAT, sse(chunk("a", usage=CHAT_USAGE)), SSE, True),
    "chat, empty": (CHAT, b"", SSE, True),
    "messages": (MESSAGES, sse(message_begin(), message_text("a")), SSE, True),
    "messages, empty": (MESSAGES, b"", SSE, True),
    "responses": (RESPONSES, sse(CREATED), SSE, True),
    "gemini": (GEMINI, sse(CANDIDATE | COUNTS), SSE, False),
    "gemini without usage": (GEMINI, sse(CANDIDATE), SSE, False),
    "an object": (CHAT, b'{"choices":[{"message":{"content":"a', JSON, False),
    "an array": (GEMINI, text_of([CANDIDATE, CANDIDATE | COUNTS]).encode()[:-1], JSON, False),
}


@pytest.mark.parametrize("name", ENDED)
def test_a_reply_that_ended(name: str) -> None:
    reader, body, content_type = ENDED[name]
    assert read(reader, body, content_type).final


@pytest.mark.parametrize("name", CUT)
def test_a_reply_that_was_cut_within_good_framing(name: str) -> None:
    reader, body, content_type, marked = CUT[name]
    reading = read(reader, body, content_type)
    assert (reading.final, reading.marked) == (False, marked)


def test_an_input_alone_is_not_all_of_a_usage() -> None:
    begun = sse(message_begin(), message_event("message_stop"))
    reading = read(MESSAGES, begun, SSE)
    assert reading.usage is not None
    assert reading.partial
    ended = sse(message_begin(), message_event("message_delta", usage={"output_tokens": 2}))
    assert not read(MESSAGES, ended, SSE).partial


@pytest.mark.parametrize(
    ("reader", "begun", "error"),
    [
        (CHAT, chunk("a", usage=CHAT_USAGE), {"error": {"code": "overloaded"}}),
        (GEMINI, CANDIDATE | COUNTS, {"error": {"status": "overloaded"}}),
    ],
)
def test_an_error_behind_a_count_is_seen_however_it_arrives(
    reader: str, begun: dict[str, object], error: dict[str, object]
) -> None:
    for pieces in ([sse(begun, error)], [sse(begun), sse(error)]):
        reading = read(reader, pieces, SSE)
        assert (reading.error_code, reading.final) == ("overloaded", False)
        assert reading.usage is not None
