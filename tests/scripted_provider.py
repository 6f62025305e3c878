"""A gateway before a provider that plays a script, and what both of them count of one test."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gauges import metrics
from rough_upstream import Conversation, RoughUpstream, Script, json_reply
from running import Deployment, deployment, usual_configuration
from tollkeeper.domain.ledger import LedgerEntry

USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
CHAT = {
    "id": "chatcmpl-1",
    "model": "gpt-4.1-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
    "usage": USAGE,
}
EVENTS_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def good(conversation: Conversation) -> None:
    """Answer as a provider should."""
    conversation.answer(json_reply(CHAT))


def chunk(data: bytes) -> bytes:
    """Frame bytes as one chunk of HTTP."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(value: Any, end: bytes = b"\n") -> bytes:
    """Write one server-sent event."""
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return b"data: " + data + end + end


def delta(text: str, **more: Any) -> dict[str, Any]:
    """Make one chunk of a chat stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "chatcmpl-1", "model": "gpt-4.1-mini", "choices": [choice], **more}


EXTRA = {"id": "chatcmpl-1", "model": "gpt-4.1-mini", "choices": [], "usage": USAGE}
DONE = b"[DONE]"


class Scripted:
    """``plays`` sets what the provider does, and begins to count anew."""

    def __init__(self, gateway: Deployment, rough: RoughUpstream) -> None:
        self.gateway = gateway
        self.rough = rough
        self.port = gateway.port
        self.key = gateway.key
        self._entries = self._connections = 0

    def plays(self, script: Script) -> Scripted:
        self.rough.script = script
        self.rough.requests.clear()
        self._connections = self.rough.connections
        self._entries = len(self.gateway.entries())
        return self

    def answers(self, *parts: bytes, close: bool = False, gap_s: float = 0.0) -> Scripted:
        """Answer every request with the same bytes."""

        def script(conversation: Conversation) -> None:
            conversation.answer(*parts, gap_s=gap_s)
            if close:
                conversation.close()

        return self.plays(script)

    @property
    def sent(self) -> int:
        """Count the requests that came."""
        return len(self.rough.requests)

    @property
    def opened(self) -> int:
        """Count the connections that were opened."""
        return self.rough.connections - self._connections

    def entries(self, count: int) -> list[LedgerEntry]:
        """Wait for exactly so many new entries."""
        return self.gateway.entries_when(self._entries + count)[self._entries :]

    def entry(self) -> LedgerEntry:
        """Wait for the one new entry."""
        return self.entries(1)[0]

    def metric(self, name: str) -> float:
        return metrics(self.gateway)[name]


@contextmanager
def scripted_provider(
    folder: Path,
    tls: ssl.SSLContext | None = None,
    configuration: dict[str, Any] | None = None,
    **environment: str,
) -> Iterator[Scripted]:
    """Run a gateway whose providers are all one script; ``configuration`` adds to the usual."""
    with RoughUpstream(good, tls) as rough:
        made = usual_configuration(rough.url) | (configuration or {})
        with deployment(folder, rough.url, made, **environment) as gateway:
            yield Scripted(gateway, rough)
