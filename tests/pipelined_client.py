"""A client that keeps its connections and sends several requests before the first reply."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from loopback import HOST

_AHEAD_MAX: Final = 4


class Answer(NamedTuple):
    """One reply: header fields by lower-case name, and the body without its framing."""

    status: int
    fields: dict[str, str]
    body: bytes


class PipelinedClient:
    """Asks over a few connections. ``opened`` counts them."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._chance = random.Random(seed)
        self.opened = 0

    async def ask(self, requests: Sequence[bytes], connections: int = 12) -> list[Answer]:
        """Send all requests; give the replies in the order of the requests."""
        waiting = deque(enumerate(requests))
        answers: dict[int, Answer] = {}
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._work(waiting, answers))
        return [answers[number] for number in range(len(requests))]

    async def _work(self, waiting: deque[tuple[int, bytes]], answers: dict[int, Answer]) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        self.opened += 1
        while waiting:
            ahead = min(len(waiting), self._chance.randint(1, _AHEAD_MAX))
            group = [waiting.popleft() for _ in range(ahead)]
            await self._send(writer, b"".join(request for _, request in group))
            for number, _ in group:
                answers[number] = await _answer(reader)
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Write bytes in one go, or in two that meet anywhere."""
        at = self._chance.randrange(len(data)) if self._chance.random() < 0.2 else 0
        if at:
            writer.write(data[:at])
            await asyncio.sleep(0.001)
        writer.write(data[at:])
        await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name.lower() not in fields, line
        fields[name.lower()] = value
    if fields.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(fields["content-length"]))
    return Answer(int(status.split()[1]), fields, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    assert await reader.readexactly(2) == b"\r\n"
    return b"".join(parts)
