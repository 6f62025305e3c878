"""The gateway without sockets: calls pass through the real code, at both ends of it is memory.

    python -m benchmarks.in_process              µs of each kind of call, as JSON
    python -m benchmarks.in_process --count plain  the same call under callgrind

What is measured is what the gateway itself does for a call. The kernel, the network and the
load generator have no part in it, so that two states of the code can be compared also on a
machine that does other work. The journal is a real one and really written.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop

from benchmarks import payloads
from tollkeeper import bootstrap, clock, config
from tollkeeper.bootstrap.allocator import keep_freed_memory
from tollkeeper.bootstrap.gateway import gateway_settings
from tollkeeper.bootstrap.routing import route
from tollkeeper.gateway.application import GatewayApplication
from tollkeeper.gateway.local import LocalAnswers
from tollkeeper.gateway.plans import Planner
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.listener import ConnectionSet, ServerLimits
from tollkeeper.http1.origin import Origin, Proxies
from tollkeeper.http1.pool import PoolLimits, UpstreamPool
from tollkeeper.http1.server import ServerConnection
from tollkeeper.http1.upstream import UpstreamConnection
from tollkeeper.ports import DataFolder
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services import keys, people
from tollkeeper.services.first_run import first_run
from tollkeeper.services.verified_keys import VerifiedKeys
from tollkeeper.storage.journal.writer import JournalWriter

CONNECTIONS: Final = 32
_TURNS: Final = 40  # in one block: the least of the blocks counts
_TURNS_FIRST: Final = 20
_TURNS_AT_ONCE: Final = 1_000
_PAUSE_S: Final = 0.002
_TURNS_MAX: Final = 6_000  # ten seconds of pauses
_READ_BYTES: Final = 64 << 10  # a larger request comes in pieces of this size
_TURNS_COUNTED: Final = 16
_COUNT_LIMIT_S: Final = 300.0
_EMAIL: Final = "bench@example.com"
_TEAM: Final = "core"


class Kind(NamedTuple):
    """One kind of call: what the client sends, and what the provider answers."""

    body: bytes
    reply: bytes
    heads_differ: bool = False


KINDS: Final[dict[str, Kind]] = {
    "plain": Kind(payloads.PLAIN_REQUEST, payloads.PLAIN_REPLY),
    "new heads": Kind(payloads.PLAIN_REQUEST, payloads.PLAIN_REPLY, heads_differ=True),
    "stream": Kind(payloads.STREAM_REQUEST, payloads.STREAM_REPLY),
    "hidden": Kind(payloads.STREAM_REQUEST_WITHOUT_USAGE, payloads.STREAM_REPLY),
    "large": Kind(payloads.LARGE_REQUEST, payloads.PLAIN_REPLY),
}


class MemoryTransport(asyncio.Transport):
    """Takes what is written; nothing is ever in the way of it."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing comes unasked."""

    def resume_reading(self) -> None:
        """Nothing was held back."""

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class ClientEnd(MemoryTransport):
    """The client's end of a connection: counts the replies that arrived whole."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received = data  # type: ignore[assignment]  # the gateway writes bytes


class ProviderEnd(MemoryTransport):
    """The provider's end: a request that is whole waits to be answered."""

    def __init__(self, owner: InProcess, connection: UpstreamConnection) -> None:
        super().__init__()
        self._owner = owner
        self._connection = connection
        self._missing = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            data = bytes(data)
            end = data.find(b"\r\n\r\n")
            at = data.find(b"content-length: ", 0, end)
            length = int(data[at + 16 : data.find(b"\r", at)])
            self._missing = end + 4 + length - len(data)
        if not self._missing:
            self._owner.asked.append(self._connection)


class MemoryPool(UpstreamPool):
    """The gateway's own pool, whose connections lead nowhere."""

    owner: InProcess

    async def _establish(self, origin: Origin, connection: UpstreamConnection) -> None:
        connection.connection_made(ProviderEnd(self.owner, connection))


async def _turns_until(done: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; mostly one turn is enough.

    The first call of a key waits for a thread, which a busy machine may keep waiting. Raises
    RuntimeError where it never is.
    """
    for turn in range(_TURNS_MAX):
        await asyncio.sleep(0 if turn < _TURNS_AT_ONCE else _PAUSE_S)
        if done():
            return
    raise RuntimeError("calls were not answered")


class InProcess:
    """A gateway with its clients and its provider. ``asked`` has who waits for an answer."""

    def __init__(self, folder: Path) -> None:
        keep_freed_memory()
        self.asked: list[UpstreamConnection] = []
        self.token, self.gateway = _gateway(folder, self)
        application = GatewayApplication(self.gateway, LocalAnswers(self.gateway))
        self.connections = ConnectionSet(application, ServerLimits())
        self.clients: list[tuple[ServerConnection, ClientEnd]] = []
        for _ in range(CONNECTIONS):
            connection, end = self.connections.connection(), ClientEnd()
            connection.connection_made(end)
            self.clients.append((connection, end))
        self._number = 0

    def request(self, kind: Kind) -> bytes:
        """Give the bytes of one request, as the benchmarks over sockets send it."""
        self._number += 1
        own = b"X-Request-Number: %d\r\n" % self._number if kind.heads_differ else b""
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n"
            b"Authorization: Bearer %b\r\nContent-Type: application/json\r\n"
            b"User-Agent: OpenAI/Python 1.109.1\r\n"
            b"x-tollkeeper-tags: feature=chat,customer=acme\r\n%b"
            b"Content-Length: %d\r\n\r\n" % (self.token.encode(), own, len(kind.body))
        ) + kind.body

    async def turn(self, requests: list[list[bytes]], reply: bytes) -> None:
        """Make one call on each connection. Raises RuntimeError where one is not answered."""
        for (connection, end), pieces in zip(self.clients, requests, strict=True):
            end.received = b""
            for piece in pieces:
                connection.data_received(piece)
        await _turns_until(lambda: len(self.asked) == CONNECTIONS)
        asked, self.asked = self.asked, []
        for upstream in asked:
            upstream.data_received(reply)
        await _turns_until(
            lambda: not self.gateway.relays and all(end.received for _, end in self.clients)
        )

    async def turns(self, kind: Kind, count: int) -> int:
        """Make some turns; give the nanoseconds of processor time they took."""
        turns = [[_pieces(self.request(kind)) for _ in self.clients] for _ in range(count)]
        began_ns = time.thread_time_ns()
        for requests in turns:
            await self.turn(requests, kind.reply)
        return time.thread_time_ns() - began_ns

    def close(self) -> None:
        """End the journal."""
        self.gateway.journal.close()


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + _READ_BYTES] for start in range(0, len(data), _READ_BYTES)]


def _gateway(folder: Path, owner: InProcess) -> tuple[str, Gateway]:
    """Put a gateway together as ``bootstrap.gateway`` does; also give a key for it."""
    file, data = folder / "tollkeeper.yaml", DataFolder(folder / "data")
    provider = {"api_key": "sk-benchmark-provider-key", "base_url": "http://127.0.0.1:9/v1"}
    file.write_text(json.dumps({"org": "bench", "providers": {"openai": provider}}))
    data.root.mkdir()
    token = _key(data)
    configuration = config.load(file, {})
    vault = bootstrap.open_vault(data)
    directory = bootstrap.open_key_directory(data)
    routed = route(configuration, {}, vault, shipped_price_book(), data)
    verified = VerifiedKeys(directory, vault)
    data.journal.mkdir(mode=0o700, exist_ok=True)
    pool = MemoryPool(PoolLimits(), None, Proxies())  # type: ignore[arg-type]  # no TLS in here
    pool.owner = owner
    gateway = Gateway(
        settings=gateway_settings(configuration.settings),
        planner=Planner(routed.routing, routed.book),
        prices=routed.book,
        keys=verified,
        journal=JournalWriter(data.journal, now_us=clock.now_us(), on_fatal=_fatal),
        pool=pool,
        console=None,
    )
    return token, gateway


def _key(data: DataFolder) -> str:
    store, vault = bootstrap.open_store(data), bootstrap.open_vault(data)
    now_us = clock.now_us()
    try:
        first_run(store, vault, now_us, org="bench")
        people.ensure_team(store, _TEAM, now_us)
        people.ensure_user(store, _EMAIL, _TEAM, now_us)
        wanted = keys.KeyRequest("bench", email=_EMAIL)
        return keys.issue(store, vault, wanted, keys.OPERATOR, now_us).token
    finally:
        store.close()


def _fatal(error: OSError) -> None:
    raise error


# ------------------------------------------------------------------------ measuring


async def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Time all kinds of calls in turn; give the least µs of processor time of each."""
    made = InProcess(folder)
    least: dict[str, float] = {}
    for kind in KINDS.values():
        await made.turns(kind, _TURNS_FIRST)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # as the gateway's own process
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s or not least:
        for name, kind in KINDS.items():
            took_us = await made.turns(kind, _TURNS) / 1e3 / (_TURNS * CONNECTIONS)
            least[name] = min(took_us, least.get(name, took_us))
    made.close()
    return least


async def count(folder: Path, name: str) -> None:
    """Make the calls that are counted, with callgrind's counters on for only these."""
    made, kind = InProcess(folder), KINDS[name]
    await made.turns(kind, _TURNS_FIRST)
    turns = [[_pieces(made.request(kind)) for _ in made.clients] for _ in range(_TURNS_COUNTED)]
    gc.collect()
    gc.disable()
    _instrument("on")
    for requests in turns:
        await made.turn(requests, kind.reply)
    _instrument("off")
    made.close()


def _instrument(state: str) -> None:
    command = ["callgrind_control", "-i", state, str(os.getpid())]
    subprocess.run(command, check=True, capture_output=True, timeout=_COUNT_LIMIT_S)


def instructions(name: str, profile: Path | None = None) -> float:
    """Count the instructions of one call of a kind, with valgrind's callgrind.

    Unlike a time, this does not depend on what else the machine does.
    """
    with tempfile.TemporaryDirectory(prefix="counted-") as folder:
        file = profile or Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        command += [f"--callgrind-out-file={file}", sys.executable, "-m", __spec__.name]
        ran = subprocess.run(
            [*command, "--counted", name],
            capture_output=True,
            text=True,
            timeout=_COUNT_LIMIT_S,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        if ran.returncode:
            raise RuntimeError(ran.stderr[-500:])
        totals = [line for line in file.read_text().splitlines() if line.startswith("totals:")]
        return int(totals[0].split()[1]) / (_TURNS_COUNTED * CONNECTIONS)


def run(work: Callable[[Path], Any]) -> Any:
    """Run some work in a new folder, on the loop that the gateway uses."""
    with (
        tempfile.TemporaryDirectory(prefix="in-process-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(work(Path(folder)))


def main() -> None:
    """Measure, or count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--count", choices=KINDS, help="count instructions with callgrind")
    parser.add_argument("--profile", type=Path, help="where to keep callgrind's profile")
    parser.add_argument("--counted", choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.counted:
        run(lambda folder: count(folder, given.counted))
    elif given.count:
        json.dump({given.count: instructions(given.count, given.profile)}, sys.stdout)
    else:
        json.dump(run(lambda folder: measure(folder, given.seconds)), sys.stdout)


if __name__ == "__main__":
    main()
