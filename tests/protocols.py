"""The protocols that callers speak to the gateway: a call in each, and its way to say no."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from canaries import PROMPT
from raw_http import Answer, request

MESSAGES = [{"role": "user", "content": PROMPT}]
_CONTENTS = [{"role": "user", "parts": [{"text": PROMPT}]}]


class Fault(NamedTuple):
    """An error as a client of its protocol reads it."""

    status: int
    kind: str
    code: str
    message: str


class Protocol(NamedTuple):
    """One kind of call. ``body`` is a plain request, ``provider`` who answers it."""

    name: str
    path: str
    stream_path: str
    body: Mapping[str, Any]
    key_header: str
    provider: str

    def call(
        self,
        key: str,
        headers: Mapping[str, str | None] | None = None,
        *,
        stream: bool = False,
        body: Any = None,
        **members: Any,
    ) -> bytes:
        """Write a call; ``members`` change its body, ``body`` replaces it."""
        path = self.stream_path if stream else self.path
        value = f"Bearer {key}" if self.key_header == "authorization" else key
        fields = {self.key_header: value} | dict(headers or {})
        if body is None:
            streamed = {"stream": True} if stream and path == self.path else {}
            body = dict(self.body) | streamed | members
        return request(path, body, fields)

    def with_nonce(self, key: str, nonce: str, **more: Any) -> bytes:
        """Write a call that can be found again, upstream and in the ledger."""
        headers = {"x-sandbox-nonce": nonce, "x-tollkeeper-tags": f"nonce={nonce}"}
        return self.call(key, headers | more.pop("headers", {}), **more)

    def fault(self, answer: Answer) -> Fault:
        """Read an error; fails unless it has the protocol's own shape."""
        assert answer.headers["content-type"] == "application/json", answer
        return self._fault_of(answer.json(), answer.status)

    def fault_in_stream(self, body: bytes) -> Fault:
        """Read the error that ends a stream; fails if the stream looks complete."""
        assert b"[DONE]" not in body
        assert b"message_stop" not in body
        event, end, rest = body.replace(b"\r\n", b"\n").rpartition(b"\n\n")
        assert (end, rest) == (b"\n\n", b""), body
        name, _, data = event.rpartition(b"\n\n")[2].rpartition(b"data: ")
        value = json.loads(data)
        if self.name == "responses":
            assert name == b"event: response.failed\n", body
            error = value["response"]["error"]
            assert value["type"] == "response.failed"
            assert value["response"]["status"] == "failed"
            return Fault(0, "", error["code"], error["message"])
        assert name == (b"event: error\n" if self.name == "anthropic" else b""), body
        return self._fault_of(value, 0)

    def _fault_of(self, value: Any, status: int) -> Fault:
        error = value["error"]
        if self.name == "anthropic":
            assert value["type"] == "error"
            return Fault(status, error["type"], error.get("code", ""), error["message"])
        if self.name == "gemini":
            assert not status or error["code"] == status
            details = error.get("details", [{"reason": ""}])
            return Fault(status, error["status"], details[0]["reason"].lower(), error["message"])
        return Fault(status, error["type"], error["code"], error["message"])


OPENAI = Protocol(
    "openai",
    "/v1/chat/completions",
    "/v1/chat/completions",
    {"model": "gpt-4.1-mini", "messages": MESSAGES},
    "authorization",
    "openai",
)
RESPONSES = Protocol(
    "responses",
    "/v1/responses",
    "/v1/responses",
    {"model": "gpt-4.1-mini", "input": MESSAGES},
    "authorization",
    "openai",
)
ANTHROPIC = Protocol(
    "anthropic",
    "/v1/messages",
    "/v1/messages",
    {"model": "claude-sonnet-4-5", "messages": MESSAGES, "max_tokens": 1_000},
    "x-api-key",
    "anthropic",
)
GEMINI = Protocol(
    "gemini",
    "/v1beta/models/gemini-2.5-flash:generateContent",
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    {"contents": _CONTENTS},
    "x-goog-api-key",
    "google",
)
ALL = (OPENAI, RESPONSES, ANTHROPIC, GEMINI)
BY_NAME = {protocol.name: protocol for protocol in ALL}
