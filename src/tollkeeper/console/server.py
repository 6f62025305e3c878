"""The console's HTTP server: uvicorn on a unix socket that only this user may open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tollkeeper.domain.errors import ConfigError
from tollkeeper.telemetry import spawn

STOP_S: Final = 5.0
"""How long answers may take to end once the console is told to stop."""

_BACKLOG: Final = 512
_KEEP_ALIVE_S: Final = 75  # longer than the gateway keeps an idle connection
_LOOK_EVERY_S: Final = 0.02


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, without trailers: what follows a body is no header of its request.

    uvicorn puts both into one list, so that a trailer named Authorization would count.
    """

    def on_headers_complete(self) -> None:
        """Give the request its headers; further fields go to a list that nobody reads."""
        super().on_headers_complete()
        self.headers = []


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process decides when this server stops."""
        yield


class ConsoleServer:
    """Serves an application on a socket path until ``stop`` is called."""

    def __init__(self, application: ASGIApp, path: Path) -> None:
        self._path = path
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                application,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # whom a request is for stands in a header that we read
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=round(STOP_S),
            )
        )

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Answer requests. Raises ConfigError when the socket cannot be made."""
        listening = _listen(self._path)
        try:
            serving = spawn(self._uvicorn.serve(sockets=[listening]), name="console-server")
            while not self._uvicorn.started and not serving.done():  # noqa: ASYNC110 - no event
                await asyncio.sleep(_LOOK_EVERY_S)
            if not serving.done():
                on_ready()
            await serving
        finally:
            listening.close()
            with suppress(OSError):
                self._path.unlink()

    def stop(self) -> None:
        """Take no more requests, and end once those that run are answered."""
        self._uvicorn.should_exit = True


def _listen(path: Path) -> socket.socket:
    """Make the socket. Its folder is ours alone, so nobody gets at it before its mode is set."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of a process that was killed
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"the console's socket cannot be made: {error.strerror or error}", file=str(path)
        ) from None
    listening.setblocking(False)
    return listening
