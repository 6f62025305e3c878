"""Pretends to be a provider, fast enough not to be what is measured.

    python -m benchmarks.upstream --port 9000

It knows only what the benchmarks send: POST requests with a Content-Length. A stream's 50
events are written at once, each in its own chunk; that is the case that costs a proxy most
per second of its life.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Final, cast

import uvloop

from benchmarks.payloads import PLAIN_REPLY, STREAM_REPLY

_STREAMED: Final = b'"stream":true'
_STREAMED_SPACED: Final = b'"stream": true'
_SEARCHED_BYTES: Final = 8 << 10


class Upstream(asyncio.Protocol):
    """Answers each request once it is complete."""

    def __init__(self) -> None:
        self._waiting = b""
        self._missing = 0
        self._reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if self._missing > 0:
                return
            self._transport.write(self._reply)
            data = data[len(data) + self._missing :] if self._missing else b""
            self._missing = 0
        if self._waiting:
            data, self._waiting = self._waiting + data, b""
        while data:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._waiting = data
                return
            size = end + 4 + content_length(data, end)
            searched = data[end : end + _SEARCHED_BYTES]
            streamed = _STREAMED in searched or _STREAMED_SPACED in searched
            reply = STREAM_REPLY if streamed else PLAIN_REPLY
            if size > len(data):
                if size - len(data) < _SEARCHED_BYTES and not streamed:
                    self._waiting = data  # a small body in two reads: look at all of it
                    return
                self._missing, self._reply = size - len(data), reply
                return
            self._transport.write(reply)
            data = data[size:] if size < len(data) else b""


def content_length(data: bytes, end: int) -> int:
    """Read the declared size of a body whose head ends at ``end``; 0 without one."""
    at = data.find(b"ontent-length: ", 0, end)
    if at < 0:
        at = data[:end].lower().find(b"ontent-length: ")
    if at < 0:
        return 0
    return int(data[at + 15 : data.find(b"\r", at)])


async def serve(port: int) -> None:
    """Answer until told to stop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4_096)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the port and serve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
