"""Builds requests to the sandbox, and takes its replies apart as they came over the socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, NamedTuple

import uvloop

from loopback import raw
from tollkeeper.sandbox.behaviour import ORDINARY, Behaviour
from tollkeeper.sandbox.process import Address, serve

HI = [{"role": "user", "content": "Say Grüße to 🌍 and to everybody else who listens"}]
SAID = "You said: Say Grüße to 🌍 and to everybody else who listens"
CONTENTS = [{"role": "user", "parts": [{"text": HI[0]["content"]}]}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 6},
        "age": {"type": "integer", "minimum": 18},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 2},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
A_PERSON = {"name": "text..", "age": 18, "tags": ["a", "a"]}


class Answer(NamedTuple):
    """A reply taken apart: its head, and its body without the framing."""

    status: int
    headers: dict[str, str]
    body: bytes
    head: bytes
    ended: bool  # as its framing says: all bytes, or the last chunk

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


def request_bytes(
    path: str,
    body: Any = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    keep: bool = False,
    version: str = "1.1",
) -> bytes:
    """Write one request; anything but bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    fields = {"Host": "sandbox.test", "Content-Type": "application/json"} | dict(headers or {})
    if data or method == "POST":
        fields.setdefault("Content-Length", str(len(data)))
    if not keep:
        fields["Connection"] = "close"
    lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
    return f"{method} {path} HTTP/{version}\r\n{''.join(lines)}\r\n".encode() + data


async def ask(
    port: int, path: str, body: Any = b"", headers: Mapping[str, str] | None = None, **more: Any
) -> Answer:
    """Send one request and take the reply apart."""
    return answer_in(await raw(port, request_bytes(path, body, headers, **more)))


def answer_in(data: bytes) -> Answer:
    """Take the first final reply in some bytes apart."""
    while data.startswith((b"HTTP/1.1 100", b"HTTP/1.1 103")):
        data = data.partition(b"\r\n\r\n")[2]
    head, found, body = data.partition(b"\r\n\r\n")
    assert found, data[:200]
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        plain, ended = dechunked(body)
    elif "content-length" in headers:
        length = int(headers["content-length"])
        plain, ended = body[:length], len(body) >= length
    else:
        plain, ended = body, True
    return Answer(int(status.split()[1]), headers, plain, head, ended)


def dechunked(body: bytes) -> tuple[bytes, bool]:
    """Take the chunks apart; tell whether the last one came."""
    parts = []
    while body:
        line, found, rest = body.partition(b"\r\n")
        if not found:
            break
        size = int(line.partition(b";")[0], 16)
        if not size:
            return b"".join(parts), True
        parts.append(rest[:size])
        body = rest[size + 2 :]
    return b"".join(parts), False


def events_in(body: bytes) -> list[Any]:
    """Give the data of every event of a stream; what is no JSON stays text."""
    found = []
    for event in body.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(
            line.removeprefix("data: ") for line in event.split("\n") if line.startswith("data: ")
        )
        if data:
            found.append(json.loads(data) if data.startswith("{") else data)
    return found


async def calls(port: int, query: str = "") -> dict[str, Any]:
    """Ask the sandbox what it counted."""
    answer = await ask(port, f"/sandbox/calls{query}", method="GET")
    found: dict[str, Any] = answer.json()
    return found


@contextmanager
def sandbox_running(defaults: Behaviour = ORDINARY) -> Iterator[int]:
    """Run the sandbox in a thread, for clients that block; give its port."""
    ready, port = Event(), 0
    stop: list[Any] = []

    async def work() -> None:
        import asyncio

        stopped = asyncio.Event()
        stop.append((asyncio.get_running_loop(), stopped))

        def on_ready(url: str) -> None:
            nonlocal port
            port = int(url.rpartition(":")[2])
            ready.set()

        await serve(Address(port=0), defaults, on_ready=on_ready, stop=stopped)

    thread = Thread(target=lambda: uvloop.run(work()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield port
    finally:
        loop, stopped = stop[0]
        loop.call_soon_threadsafe(stopped.set)
        thread.join(20)
        assert not thread.is_alive()
