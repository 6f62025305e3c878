"""Calls at random moments, whether or not earlier ones were answered (a Poisson process).

    python -m benchmarks.open_loop --url http://127.0.0.1:4000 --body FILE --header "a: b" \\
        --rate 500 --seconds 6

A latency counts from the moment at which the call was meant to be sent, so that a server
which stands still is charged for everybody who had to wait. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from benchmarks.exact_loop import run_exactly
from benchmarks.upstream import content_length

CONNECTIONS: Final = 200
_ANSWER_S: Final = 10.0
_WARM_S: Final = 0.5


class Call(NamedTuple):
    """One answered call; times on the monotonic clock."""

    due_s: float
    done_s: float
    call_id: str


class Line(asyncio.Protocol):
    """One kept-alive connection that carries one call at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due_s = 0.0
        self._data = b""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def call(self, request: bytes, due_s: float) -> None:
        """Send a request."""
        self._due_s, self.busy = due_s, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + content_length(data, end):
            self._data = data
            return
        done_s = time.monotonic()
        self._data, self.busy = b"", False
        self._load.answered(self, data[:end], self._due_s, done_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()


class Load:
    """The calls of one run. Waiting calls are counted from when they were due."""

    def __init__(self, request: bytes) -> None:
        self.calls: list[Call] = []
        self.failed = 0
        self._request = request
        self._idle: list[Line] = []
        self._due: deque[float] = deque()
        self._open = 0
        self._all_answered = asyncio.Event()

    async def connect(self, host: str, port: int) -> None:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: Line(self), host, port)
            self._idle.append(line)

    def start(self, due_s: float) -> None:
        """Make one call, now or as soon as a connection is free."""
        self._open += 1
        self._all_answered.clear()
        if self._idle:
            self._idle.pop().call(self._request, due_s)
        else:
            self._due.append(due_s)

    def answered(self, line: Line, head: bytes, due_s: float, done_s: float) -> None:
        """Take an answer."""
        self._settled()
        if head.startswith(b"HTTP/1.1 200"):
            self.calls.append(Call(due_s, done_s, call_id_in(head)))
        else:
            self.failed += 1
        if self._due:
            line.call(self._request, self._due.popleft())
        else:
            self._idle.append(line)

    def lost(self, line: Line) -> None:
        """A connection was closed from the other side."""
        if line.busy:
            self._settled()
            self.failed += 1
        elif line in self._idle:
            self._idle.remove(line)

    def _settled(self) -> None:
        self._open -= 1
        if not self._open:
            self._all_answered.set()

    async def finish(self) -> None:
        """Wait for the last answers; what is still open then has failed."""
        if self._open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_answered.wait(), _ANSWER_S)
        self.failed += self._open
        for line in [*self._idle]:
            line.close()


def call_id_in(head: bytes) -> str:
    """Find the gateway's id of a call in the head of its reply, "" if it has none."""
    mark = b"x-tollkeeper-call-id: "
    at = head.find(mark)
    return "" if at < 0 else head[at + len(mark) :].partition(b"\r")[0].decode("latin-1")


def schedule(rate: float, seconds: float, seed: int) -> list[float]:
    """Give the moments of a Poisson process, in seconds from its start."""
    source, moments, at_s = random.Random(seed), [], 0.0
    while True:
        at_s += source.expovariate(rate)
        if at_s >= seconds:
            return moments
        moments.append(at_s)


def request_bytes(url: str, headers: Sequence[str], body: bytes) -> bytes:
    """Give the bytes of one POST request to the chat endpoint."""
    place = urlsplit(url)
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: {place.netloc}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def run(url: str, request: bytes, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """Make the calls, and give latencies in ms, failures and the ids of the calls."""
    place = urlsplit(url)
    load = Load(request)
    await load.connect(place.hostname or "", place.port or 80)
    began_s = time.monotonic() + 0.05
    for at_s in schedule(rate, seconds, seed):
        due_s = began_s + at_s
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        load.start(due_s)
    await load.finish()
    calls = [call for call in load.calls if call.due_s - began_s >= _WARM_S]
    return {
        "latency_ms": [(call.done_s - call.due_s) * 1e3 for call in calls],
        "failed": load.failed,
        "calls": [(call.call_id, call.done_s) for call in calls if call.call_id],
    }


def main() -> None:
    """Run once and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    request = request_bytes(given.url, given.header, given.body.read_bytes())
    gc.disable()  # it lives for seconds, and its pauses would be taken for the server's
    found = run_exactly(run(given.url, request, given.rate, given.seconds, given.seed))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
