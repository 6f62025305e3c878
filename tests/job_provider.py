"""A provider of work that is begun now and billed later: background responses and batches."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from rough_upstream import Conversation, json_reply

USAGE = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 1_050,
}
_RESPONSE = re.compile(rb"(?:GET|POST) /v1/responses/([^/ ?]+)")
_CONTENT = re.compile(rb"GET /v1/files/([^/ ?]+)/content")
_BATCH = re.compile(rb"GET /v1/batches/([^/ ?]+) ")
_RESULTS = re.compile(rb"GET /v1/messages/batches/([^/ ?]+)/results")
_MESSAGES = re.compile(rb"(GET|POST) /v1/messages/batches(?:/([^/ ?]+))? ")


class JobProvider:
    """Answers as OpenAI and Anthropic do. ``files`` holds what can be downloaded, by id;
    ``batches`` the batch objects; a response is done once it was asked for ``polls`` times.
    """

    def __init__(self, polls: int = 1) -> None:
        self.polls = polls
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.piece_bytes = 1 << 16
        self.breaks_after_bytes = 0
        self._asked: dict[str, int] = {}
        self._made = 0
        self._lock = threading.Lock()

    def __call__(self, conversation: Conversation) -> None:
        head, body = conversation.head, conversation.body
        with self._lock:
            if head.startswith(b"POST /v1/responses "):
                self._made += 1
                conversation.answer(json_reply(self._response(f"resp_{self._made:06}", body)))
            elif found := _RESPONSE.match(head):
                self._look_at(conversation, found[1].decode())
            elif found := _CONTENT.match(head):
                self._download(conversation, found[1].decode(), "application/octet-stream")
            elif found := _RESULTS.match(head):
                self._download(conversation, found[1].decode(), "application/x-jsonl")
            elif found := _BATCH.match(head):
                conversation.answer(json_reply(self.batches[found[1].decode()]))
            elif head.startswith(b"POST /v1/batches "):
                conversation.answer(json_reply({"id": "batch_1", "status": "validating"}))
            elif found := _MESSAGES.match(head):
                conversation.answer(json_reply(self._message_batch(found[1] == b"POST")))
            else:
                conversation.answer(json_reply({"error": {"code": "what"}}, "404 Not Found"))

    def _response(self, name: str, body: bytes = b"{}", **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "object": "response",
            "created_at": 1_790_000_000,
            "status": "queued",
            "background": True,
            "model": json.loads(body).get("model", "gpt-4.1-mini"),
            "output": [],
            "tools": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "service_tier": "auto",
            "usage": None,
            **more,
        }

    def _look_at(self, conversation: Conversation, name: str) -> None:
        self._asked[name] = self._asked.get(name, 0) + 1
        done = self._asked[name] > self.polls
        state = {"status": "completed", "usage": USAGE} if done else {"status": "in_progress"}
        response = self._response(name, **state, service_tier="default")
        if b"stream=true" not in conversation.head.partition(b"\r\n")[0]:
            conversation.answer(json_reply(response))
            return
        event = {"type": "response.completed", "sequence_number": 9, "response": response}
        data = f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(data)}"
        conversation.answer(f"{head}\r\n\r\n".encode() + data)

    def _download(self, conversation: Conversation, name: str, kind: str) -> None:
        content = self.files[name]
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}"
        conversation.answer(f"{head}\r\n\r\n".encode())
        if self.breaks_after_bytes:
            content = content[: self.breaks_after_bytes]
            conversation.close()
        step = self.piece_bytes
        conversation.answer(*(content[at : at + step] for at in range(0, len(content), step)))

    def _message_batch(self, begun: bool) -> dict[str, Any]:
        counts = {"processing": 0, "succeeded": 2, "errored": 1, "canceled": 0, "expired": 0}
        return {
            "id": "msgbatch_1",
            "type": "message_batch",
            "processing_status": "in_progress" if begun else "ended",
            "request_counts": counts,
            "ended_at": None,
            "created_at": "2026-11-27T10:00:00Z",
            "expires_at": "2026-11-28T10:00:00Z",
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results",
        }


def chat_line(
    number: int, model: str = "gpt-4.1-mini", *, prompt: int = 100, output: int = 10, **more: Any
) -> dict[str, Any]:
    """Make one line of a batch's results."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
    }
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}],
        "usage": usage,
        **more,
    }
    return {
        "id": f"batch_req_{number}",
        "custom_id": f"request-{number}",
        "response": {"status_code": 200, "request_id": f"r{number}", "body": body},
        "error": None,
    }


def failed_line(number: int) -> dict[str, Any]:
    """Make the line of a request that failed."""
    answer = {"status_code": 400, "request_id": "r", "body": {"error": {"message": "no"}}}
    error = {"code": "invalid_request", "message": "no"}
    return {
        "id": f"batch_req_{number}",
        "custom_id": f"request-{number}",
        "response": answer,
        "error": error,
    }


def lines_of(*lines: Any) -> bytes:
    """Write lines of JSON; bytes go as they are."""
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return b"".join(text + b"\n" for text in texts)
