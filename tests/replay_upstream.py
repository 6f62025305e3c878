"""An upstream on loopback that replays replies: the request says which, the replay says how."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Final, NamedTuple

from loopback import HOST

MARK: Final = "x-replay"
"""The header, or the member of a JSON body, that names the reply which is wanted."""

_MARK_IN_HEAD: Final = re.compile(rb"\r\nx-replay: ([^\r]+)", re.IGNORECASE)
_MARK_IN_BODY: Final = re.compile(rb'"x-replay":"([^"]+)"')
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: chunked", re.IGNORECASE)
_REASON: Final = b"Replayed"


class Replay(NamedTuple):
    """A reply as it goes over the wire.

    ``framing`` is ``length``, ``chunks`` or ``close``. ``cuts`` are the places in the body
    where one write ends; with chunks, so does the chunk.
    """

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    framing: str = "length"
    cuts: tuple[int, ...] = ()

    @property
    def is_stream(self) -> bool:
        """Tell whether the reply is a stream of events."""
        return any(
            name == "content-type" and value.startswith("text/event-stream")
            for name, value in self.fields
        )


class Received(NamedTuple):
    """A request as it arrived: its head, and its body without the framing."""

    head: bytes
    body: bytes


class ReplayUpstream:
    """Gives replays by name, and keeps what was asked under the same name."""

    def __init__(self, replays: Mapping[str, Replay]) -> None:
        self._replays = replays
        self.received: dict[str, Received] = {}
        self.connections = 0
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until the block ends."""
        server = await asyncio.start_server(self._talk, HOST, self.port, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for writer in self._open:
                writer.close()
            while self._open:  # noqa: ASYNC110 - they end by themselves, one by one
                await asyncio.sleep(0.001)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            goes_on = True
            while goes_on:
                request = await _request(reader)
                name = _name_of(request)
                self.received[name] = request
                replay = self._replays.get(name) or Replay(599, (), f"no {name!r}".encode())
                goes_on = await _play(writer, replay)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway has closed a connection that it no longer needs
        finally:
            writer.close()
            self._open.discard(writer)


async def _request(reader: asyncio.StreamReader) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is not None:
        return Received(head, await reader.readexactly(int(length[1])))
    if _CHUNKED.search(head) is None:
        return Received(head, b"")
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return Received(head, b"".join(parts))


def _name_of(request: Received) -> str:
    found = _MARK_IN_HEAD.search(request.head) or _MARK_IN_BODY.search(request.body)
    return found[1].decode() if found else ""


async def _play(writer: asyncio.StreamWriter, replay: Replay) -> bool:
    """Write a reply; tell whether the connection can carry another one."""
    lines = [f"HTTP/1.1 {replay.status} ".encode() + _REASON]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in replay.fields]
    chunked = replay.framing == "chunks"
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif replay.framing == "length":
        lines.append(b"Content-Length: %d" % len(replay.body))
    else:
        lines.append(b"Connection: close")
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    for start, end in pairwise((0, *sorted(replay.cuts), len(replay.body))):
        data = replay.body[start:end]
        if chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        writer.write(head + data)
        head = b""
        await writer.drain()
        await asyncio.sleep(0)  # so that the other side may see it in pieces
    if chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()
    return replay.framing != "close"
