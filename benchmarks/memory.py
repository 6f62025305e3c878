"""Memory of the gateway: under load, with a reader that stalls, with many idle streams."""

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

from benchmarks import wrk
from benchmarks.figures import Bound, Target, number
from benchmarks.open_loop import request_bytes
from benchmarks.payloads import FLOOD_MODEL, IDLE_MODEL, PLAIN_REQUEST, request_body
from benchmarks.processes import LOAD_CORE, Child, CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from benchmarks.targets import HOST, Tollkeeper, listening

IDLE_STREAMS: Final = 2_000
_STALL_S: Final = 6.0
_LOAD_S: Final = 4.0
_ANSWER_S: Final = 20.0
_AT_ONCE: Final = 100
_MANY: Final = (sys.executable, "-m", "benchmarks.paced_upstream", "--many")


def memory(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure all three."""
    tollkeeper = setting.require_tollkeeper()
    target = setting.targets["tollkeeper"]
    found = Findings("memory", "Memory")
    table = Table(["gateway process", "resident MB"])
    advance("memory: under load")
    script = wrk.write_script(setting.folder / "memory.lua", target.headers, PLAIN_REQUEST)
    wrk.run(target, script, _LOAD_S)
    loaded = target.rss_mb()
    table.add("after the load of this run", number(loaded))
    setting.settle()
    advance("memory: a reader that stalls")
    before = target.rss_mb()
    stalled = _stalled_reader(tollkeeper) - before
    table.add("growth while a reader stalls in a 300 MB stream", number(stalled))
    advance("memory: idle streams")
    held, idle = _idle_streams(setting, tollkeeper)
    table.add(f"with {held:,} idle streams", number(idle))
    found.tables.append(("Resident memory of the gateway", table))
    found.targets = [
        Target("gateway's memory after load", loaded, Bound.BELOW, 80, "MB"),
        Target("a reader that stalls in a 300 MB stream", stalled, Bound.BELOW, 5, "MB"),
        Target(
            f"gateway's memory with {IDLE_STREAMS:,} idle streams",
            idle if held == IDLE_STREAMS else None,
            Bound.BELOW,
            200,
            "MB",
        ),
    ]
    return found


def _stalled_reader(tollkeeper: Tollkeeper) -> float:
    """Give the most memory that the gateway had while nobody read its stream."""
    target = tollkeeper.target()
    request = request_bytes(
        target.url,
        [f"{name}: {value}" for name, value in target.headers.items()],
        request_body(1_024, FLOOD_MODEL, stream=True, stream_options={"include_usage": True}),
    )
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        reader.settimeout(_ANSWER_S)
        reader.connect((HOST, tollkeeper.port))
        reader.sendall(request)
        if not reader.recv(1_024).startswith(b"HTTP/1.1 200"):
            raise CouldNotRun("the stream for the stalled reader did not start")
        most = 0.0
        until_s = time.monotonic() + _STALL_S
        while time.monotonic() < until_s:
            most = max(most, target.rss_mb())
            time.sleep(0.05)
    return most


def _idle_streams(setting: Setting, tollkeeper: Tollkeeper) -> tuple[int, float]:
    """Open streams that stay silent; give how many there are and the gateway's memory."""
    upstreams = setting.upstreams
    if upstreams is None:
        raise CouldNotRun("there is no upstream")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    target = tollkeeper.target()
    request = request_bytes(
        target.url,
        [f"{name}: {value}" for name, value in target.headers.items()],
        request_body(1_024, IDLE_MODEL, stream=True, stream_options={"include_usage": True}),
    )
    upstreams.children[1].end()  # the exact one, which takes 1,000 connections at most
    many = Child(
        [*_MANY, "--port", str(upstreams.paced_port)],
        setting.folder / "idle_upstream.log",
        core=LOAD_CORE,
    )
    upstreams.children[1] = many
    many.wait_until(lambda: listening(upstreams.paced_port))
    with ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        streams: list[socket.socket] = []
        held = 0
        for first in range(0, IDLE_STREAMS, _AT_ONCE):
            for _ in range(first, min(first + _AT_ONCE, IDLE_STREAMS)):
                stream = opened.enter_context(
                    socket.create_connection((HOST, tollkeeper.port), timeout=_ANSWER_S)
                )
                stream.sendall(request)
                streams.append(stream)
            for stream in streams[first:]:
                with suppress(OSError):
                    held += stream.recv(4_096).startswith(b"HTTP/1.1 200")
        time.sleep(1.0)
        return held, target.rss_mb()
