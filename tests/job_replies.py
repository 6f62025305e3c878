"""Replies around work that is billed later, in the shapes that providers document."""

from __future__ import annotations

import json
from typing import Any

from job_provider import chat_line, failed_line, lines_of

SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"
LINES = "application/x-jsonl"
BYTES = "application/octet-stream"

RESPONSES_USAGE = {
    "input_tokens": 1200,
    "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 50},
    "output_tokens": 34,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 1234,
}
INTERACTION_USAGE = {
    "total_tokens": 1_307,
    "total_input_tokens": 1_258,
    "input_tokens_by_modality": [
        {"modality": "text", "tokens": 1_000},
        {"modality": "image", "tokens": 258},
    ],
    "total_cached_tokens": 1_000,
    "cached_tokens_by_modality": [{"modality": "image", "tokens": 200}],
    "total_output_tokens": 34,
    "total_tool_use_tokens": 5,
    "total_thought_tokens": 10,
}
INTERACTION_QUANTITIES = {
    "input": 200,
    "input_image": 58,
    "cache_read": 800,
    "cache_read_image": 200,
    "input_tool": 5,
    "output": 34,
    "reasoning": 10,
    "web_searches": 1,
}
RUN_USAGE = {
    "prompt_tokens": 381,
    "completion_tokens": 89,
    "total_tokens": 470,
    "prompt_token_details": {"cached_tokens": 81},
    "completion_tokens_details": {"reasoning_tokens": 9},
}
RUN_QUANTITIES = {"input": 300, "cache_read": 81, "output": 80, "reasoning": 9}


def text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def events(*named: tuple[str, Any], end: str = "\n") -> bytes:
    """Write named events; a string is the data as it goes."""
    written = []
    for name, data in named:
        said = data if isinstance(data, str) else text(data).decode()
        written.append(f"event: {name}{end}data: {said}{end}{end}")
    return "".join(written).encode()


def response(**more: Any) -> dict[str, Any]:
    """Make a stored response that ran in the background."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "background": True,
        "error": None,
        "model": "gpt-5.6-sol",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Grüße"}]}],
        "tools": [],
        "service_tier": "default",
        "usage": RESPONSES_USAGE,
        **more,
    }


def response_stream(end: str = "\n") -> bytes:
    last = {"type": "response.completed", "sequence_number": 9, "response": response()}
    delta = {"type": "response.output_text.delta", "delta": "Grüße, response.completed"}
    return events((delta["type"], delta), ("response.completed", last), end=end)


def batch(**more: Any) -> dict[str, Any]:
    """Make a batch that has ended."""
    return {
        "id": "batch_1",
        "object": "batch",
        "status": "completed",
        "model": "gpt-4.1-mini",
        "output_file_id": "file-out",
        "error_file_id": "file-err",
        "usage": RESPONSES_USAGE,
        **more,
    }


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "Grüße"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 20, "output_tokens": 5, "service_tier": "batch"},
}
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "4"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 13, "candidatesTokenCount": 1, "totalTokenCount": 14},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "abc",
}


def operation(**output: Any) -> dict[str, Any]:
    """Make a batch of Gemini's that has ended."""
    return {"name": "batches/1", "done": True, "metadata": {"output": output}}


def run(status: str = "completed", usage: Any = RUN_USAGE) -> dict[str, Any]:
    return {
        "id": "run_1",
        "object": "thread.run",
        "created_at": 1_790_000_000,
        "status": status,
        "model": "gpt-4o-mini",
        "instructions": 'say "thread.run" and "usage"',
        "usage": usage,
    }


def run_stream(end: str = "\n", last: str = "completed") -> bytes:
    step = {"id": "step_1", "object": "thread.run.step", "usage": {"prompt_tokens": 9}}
    return events(
        ("thread.run.created", run("queued", None)),
        ("thread.run.step.completed", step),
        ("thread.message.delta", {"object": "thread.message.delta", "delta": "Grüße"}),
        (f"thread.run.{last}", run(last, RUN_USAGE if last == "completed" else None)),
        ("done", "[DONE]"),
        end=end,
    )


def interaction(**more: Any) -> dict[str, Any]:
    search = {"type": "google_search_call", "arguments": {"queries": ["Grüße", "Grüße"]}}
    return {
        "id": "v1_abc",
        "status": "completed",
        "usage": INTERACTION_USAGE,
        "service_tier": "standard",
        "steps": [{"type": "thought"}, search],
        "object": "interaction",
        "model": "gemini-3-flash-preview",
        **more,
    }


def interaction_stream(end: str = "\n", *, whole: bool = True) -> bytes:
    begun = interaction(status="in_progress", usage=None, steps=None)
    search = interaction()["steps"][1]
    delta = {"event_type": "step.delta", "delta": {"type": "text", "text": 'Grüße "interaction"'}}
    parts: list[tuple[str, Any]] = [
        ("interaction.created", {"event_type": "interaction.created", "interaction": begun}),
        ("step.start", {"event_type": "step.start", "step": search}),
        ("step.delta", delta),
    ]
    if whole:
        last = {"event_type": "interaction.completed", "interaction": interaction(steps=None)}
        parts += [("interaction.completed", last), ("done", "[DONE]")]
    return events(*parts, end=end)


def _xai() -> dict[str, Any]:
    reply = chat_line(1, "grok-4.3")["response"]["body"]
    reply["usage"]["cost_in_usd_ticks"] = 2_087_200
    answer = {"response": {"chat_get_completion": reply}}
    return {
        "results": [{"batch_request_id": "0", "batch_result": answer}],
        "pagination_token": None,
    }


VIDEO = {
    "status": "done",
    "video": {"url": "https://x/v1.mp4", "duration": 1},
    "model": "grok-imagine-video",
    "usage": {"cost_in_usd_ticks": 500_000_000},
}
RESULTS = lines_of(chat_line(1), failed_line(2), b'{"broken', chat_line(3, "gpt-4.1"))
MESSAGES = lines_of(
    {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "b", "result": {"type": "expired"}},
)
REPLIES: dict[str, tuple[str, str, bytes]] = {
    "stored response": ("openai_stored", JSON, text(response())),
    "stored response stream": ("openai_stored", SSE, response_stream()),
    "stored response stream CRLF": ("openai_stored", SSE, response_stream("\r\n")),
    "background response": (
        "openai_responses",
        JSON,
        text(response(status="queued", usage=None)),
    ),
    "new batch": ("new_batch", JSON, text(batch(status="validating", usage=None))),
    "batch": ("batch", JSON, text(batch())),
    "batch with outputs": (
        "batch",
        JSON,
        text({"id": "b", "status": "SUCCESS", "output_file": "f", "outputs": [chat_line(1)]}),
    ),
    "batch page": ("batch_page", JSON, text(_xai())),
    "batch results": ("batch_results", BYTES, RESULTS),
    "batch results CRLF": ("batch_results", BYTES, RESULTS.replace(b"\n", b"\r\n")),
    "batch results without the last line end": ("batch_results", BYTES, RESULTS[:-1]),
    "batch messages": ("batch_results", LINES, MESSAGES),
    "batch of Gemini's in a file": (
        "batch_results",
        LINES,
        lines_of({"key": "a", "response": GEMINI}, {"key": "b", "error": {"code": 3}}),
    ),
    "a file of other lines": ("batch_results", LINES, lines_of({"messages": []}, chat_line(1))),
    "new operation": ("new_operation", JSON, text({"name": "batches/1", "metadata": {}})),
    "operation": (
        "operation",
        JSON,
        text(operation(inlinedResponses={"inlinedResponses": [{"response": GEMINI}]})),
    ),
    "operation with a file": ("operation", JSON, text(operation(responsesFile="files/x"))),
    "run": ("runs", JSON, text(run("queued", None))),
    "run stream": ("runs", SSE, run_stream()),
    "run stream CRLF": ("runs", SSE, run_stream("\r\n")),
    "run that waits for tools": ("runs", SSE, run_stream(last="requires_action")),
    "stored run": ("stored_runs", JSON, text(run())),
    "stored run stream": ("stored_runs", SSE, run_stream()),
    "interaction": ("interactions", JSON, text(interaction())),
    "interaction stream": ("interactions", SSE, interaction_stream()),
    "interaction stream CRLF": ("interactions", SSE, interaction_stream("\r\n")),
    "interaction stream without end": ("interactions", SSE, interaction_stream(whole=False)),
    "stored interaction": ("stored_interactions", JSON, text(interaction())),
    "stored interaction stream": ("stored_interactions", SSE, interaction_stream()),
    "new video": ("new_video", JSON, text({"request_id": "v1"})),
    "stored video": ("stored_video", JSON, text(VIDEO)),
    "cache": (
        "gemini_cache",
        JSON,
        text({"name": "cachedContents/1", "usageMetadata": {"totalTokenCount": 3512}}),
    ),
}
"""Name → (reader, content type, body)."""
