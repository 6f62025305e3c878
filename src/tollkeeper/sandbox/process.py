"""The sandbox as a process: ``python -m tollkeeper.sandbox.process``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tollkeeper.domain.errors import BadRequest
from tollkeeper.http1.listener import ConnectionSet, ServerLimits
from tollkeeper.lifeline import end_with
from tollkeeper.sandbox.application import Sandbox
from tollkeeper.sandbox.behaviour import OPTIONS, ORDINARY, Behaviour, with_options
from tollkeeper.telemetry import spawn

try:
    import uvloop

    _new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # there is none for Windows
    _new_loop = asyncio.new_event_loop

DEFAULT_PORT: Final = 4010
EXIT_UNUSABLE: Final = 78  # EX_CONFIG: starting again would not help
_SWEEP_S: Final = 1.0
_DRAIN_S: Final = 10.0
_GC_OBJECTS: Final = 50_000


class Address(NamedTuple):
    """Where to listen: a host and a port (0: any that is free), or a unix socket."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    unix_path: str = ""


async def serve(
    address: Address,
    defaults: Behaviour = ORDINARY,
    *,
    on_ready: Callable[[str], None] = lambda url: None,
    stop: asyncio.Event | None = None,
    limits: ServerLimits | None = None,
) -> None:
    """Play a provider until ``stop`` is set, then let replies end.

    ``on_ready`` is called with the address once connections are accepted. Raises OSError
    when nothing can listen there.
    """
    connections = ConnectionSet(Sandbox(defaults), limits or ServerLimits())
    server, url = await _listen(address, connections)
    sweeper = spawn(_sweep(connections), name="sandbox-sweep")
    try:
        on_ready(url)
        await (stop or asyncio.Event()).wait()
        server.close()
        connections.drain()
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + _DRAIN_S
        while connections.busy and loop.time() < deadline_s:  # noqa: ASYNC110 - they are counted
            await asyncio.sleep(0.02)
    finally:
        sweeper.cancel()
        server.close()
        connections.abort()
        await asyncio.sleep(0)
        _remove_socket(address)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; give the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    options = {name: getattr(given, name.replace("-", "_")) for name in OPTIONS}
    try:
        defaults = with_options(
            ORDINARY, {name: text for name, text in options.items() if text is not None}
        )
    except BadRequest as error:
        parser.error(error.message)
    address = Address(given.host, given.port, given.socket or "")

    def on_ready(url: str) -> None:
        if given.ready_fd >= 0:  # the supervisor waits for it
            spawn(end_with(os.getppid()), name="watch-parent")
            os.write(given.ready_fd, b"ready\n")
            os.close(given.ready_fd)
        else:
            sys.stdout.write(f"sandbox ready on {url}\n")
            sys.stdout.flush()

    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_run(address, defaults, on_ready))
    except OSError as error:
        sys.stderr.write(f"the sandbox cannot listen: {error}\n")
        return EXIT_UNUSABLE
    return 0


async def _run(address: Address, defaults: Behaviour, on_ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # there is nothing to read again
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_OBJECTS, 20, 20)
    await serve(address, defaults, on_ready=on_ready, stop=stop)


async def _listen(address: Address, connections: ConnectionSet) -> tuple[asyncio.Server, str]:
    loop = asyncio.get_running_loop()
    if address.unix_path:
        _remove_socket(address)  # of a process that was killed
        path = address.unix_path
        server = await loop.create_unix_server(connections.connection, path, backlog=1024)
        os.chmod(path, 0o600)  # noqa: PTH101 - everywhere here a socket's path is a text
        return server, f"unix:{path}"
    server = await loop.create_server(
        connections.connection, address.host, address.port, backlog=1024
    )
    port = server.sockets[0].getsockname()[1]
    host = f"[{address.host}]" if ":" in address.host else address.host
    return server, f"http://{host}:{port}"


def _remove_socket(address: Address) -> None:
    path = Path(address.unix_path)
    if address.unix_path and path.is_socket():
        path.unlink()


async def _sweep(connections: ConnectionSet) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        connections.sweep()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tollkeeper.sandbox.process",
        description="Plays an LLM provider: OpenAI's, Anthropic's and Google's APIs.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: any that is free")
    where.add_argument("--socket", metavar="PATH", help="listen on a unix socket")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--ready-fd", type=int, default=-1, help=argparse.SUPPRESS)
    for name in OPTIONS:
        parser.add_argument(
            f"--{name}", metavar="X", help=f"for requests without an x-sandbox-{name} header"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
