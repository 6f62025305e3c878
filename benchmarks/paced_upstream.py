"""Pretends to be a provider that takes its time, or talks without end.

    python -m benchmarks.paced_upstream --port 9001

The model decides: ``paced-1`` answers after 60 ms, ``idle-1`` sends one event of a stream
and then nothing, ``flood-1`` streams 300 MB as fast as they are taken. The event loop waits
in ``select``, which is exact to some microseconds where others round up to milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
from typing import Final, cast

from benchmarks.exact_loop import run_exactly
from benchmarks.payloads import (
    FLOOD_BYTES,
    FLOOD_MODEL,
    IDLE_MODEL,
    LAST_CHUNK,
    PLAIN_REPLY,
    STREAM_HEAD,
    chunked,
    events,
)
from benchmarks.upstream import content_length

DELAY_S: Final = 0.060
IDLE_S: Final = 120.0
_PIECE: Final = chunked(events()[:1] * 400)
_PIECE_BYTES: Final = len(_PIECE)


class PacedUpstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._data = b""
        self._flood_left = 0
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        size = end + 4 + content_length(self._data, end)
        if len(self._data) < size:
            return
        body, self._data = self._data[end:size], self._data[size:]
        if FLOOD_MODEL.encode() in body:
            self._transport.write(STREAM_HEAD)
            self._flood_left = FLOOD_BYTES
            self._flood()
        elif IDLE_MODEL.encode() in body:
            self._transport.write(STREAM_HEAD + chunked(events()[:1]))
            self._loop.call_later(IDLE_S, self._write, LAST_CHUNK)
        else:
            self._loop.call_later(DELAY_S, self._write, PLAIN_REPLY)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _flood(self) -> None:
        while self._flood_left > 0 and self._writable and not self._transport.is_closing():
            self._transport.write(_PIECE)
            self._flood_left -= _PIECE_BYTES
            if self._flood_left <= 0:
                self._transport.write(LAST_CHUNK)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._flood()


async def serve(port: int) -> None:
    """Answer until told to stop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(PacedUpstream, "127.0.0.1", port, backlog=4_096)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the port and serve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--many", action="store_true", help="serve more than 1,000 connections")
    given = parser.parse_args()
    if given.many:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        asyncio.run(serve(given.port))
    else:
        run_exactly(serve(given.port))


if __name__ == "__main__":
    main()
