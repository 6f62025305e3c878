"""Real sockets for tests: a server of ours, raw clients, and scripted upstreams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from tollkeeper.http1.listener import Application, ConnectionSet, ServerLimits

HOST = "127.0.0.1"


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run an async test on the event loop that the product uses."""

    async def bounded() -> Any:
        async with asyncio.timeout(60):
            return await work()

    return uvloop.run(bounded())


@asynccontextmanager
async def serving(
    application: Application, limits: ServerLimits | None = None
) -> AsyncIterator[tuple[int, ConnectionSet]]:
    """Serve an application on a free port; the sweep runs every 50 ms."""
    connections = ConnectionSet(application, limits or ServerLimits())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connections.connection, HOST, 0)
    port = server.sockets[0].getsockname()[1]

    async def sweeping() -> None:
        while True:
            await asyncio.sleep(0.05)
            connections.sweep()

    sweeper = loop.create_task(sweeping())
    try:
        yield port, connections
    finally:
        sweeper.cancel()
        server.close()
        connections.abort()
        await asyncio.sleep(0)


async def raw(port: int, *parts: bytes, pause_s: float = 0.0, wait_s: float = 5.0) -> bytes:
    """Send bytes as they are and give everything that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        try:
            return await asyncio.wait_for(reader.read(-1), wait_s)
        except TimeoutError:
            return b"<still open>"
        except ConnectionResetError:
            return b"<reset>"
    except (ConnectionResetError, BrokenPipeError):
        return b"<reset>"
    finally:
        writer.close()


@asynccontextmanager
async def scripted(
    script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """An upstream that does exactly what a script says on each connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with a Content-Length, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return head + await reader.readexactly(int(value))
    return head


def free_port() -> int:
    """Find a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
