"""A storm: many calls at the same moment, each on a connection of its own, and what became of them.

`python -m benchmarks.storm` runs as a process of its own, so that the load is nobody else's.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"
_ANSWER_S: Final = 90.0
_CONNECTING_AT_ONCE: Final = 100


class Storm(NamedTuple):
    """``calls`` calls, spread over the ports of several processes of one deployment."""

    ports: tuple[int, ...]
    calls: int
    path: str
    headers: dict[str, str]
    body: str


async def storm(wanted: Storm) -> Counter[str]:
    """Connect first, then call all at once; give how often each status was the answer."""
    all_connected = asyncio.Barrier(wanted.calls)
    connecting = asyncio.Semaphore(_CONNECTING_AT_ONCE)
    answers = await asyncio.gather(
        *(_call(wanted, number, all_connected, connecting) for number in range(wanted.calls))
    )
    return Counter(answers)


async def _call(
    wanted: Storm, number: int, all_connected: asyncio.Barrier, connecting: asyncio.Semaphore
) -> str:
    port = wanted.ports[number % len(wanted.ports)]
    body = wanted.body.encode()
    lines = [f"POST {wanted.path} HTTP/1.1", f"Host: {HOST}:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in wanted.headers.items()]
    try:
        async with connecting:
            reader, writer = await asyncio.open_connection(HOST, port)
    except OSError as error:
        await all_connected.wait()
        return type(error).__name__
    try:
        await all_connected.wait()
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        line = await asyncio.wait_for(reader.readline(), _ANSWER_S)
        return line.split(b" ", 2)[1].decode() if line.count(b" ") > 1 else "nothing"
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    finally:
        writer.close()


if __name__ == "__main__":
    given = json.load(sys.stdin)
    json.dump(asyncio.run(storm(Storm(**given))), sys.stdout)
