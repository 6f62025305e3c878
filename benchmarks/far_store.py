"""What a cap adds to a call when the store is a PostgreSQL server one millisecond away.

    PYTHONPATH=tests:. python -m benchmarks.far_store

Calls are admitted from what the gateway has leased, so the way to the store is not part of
them. Capped and uncapped calls alternate on one gateway; the medians are compared.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.targets import free_port
from budget_desks import CENT, DOLLAR, budget, only
from capped import answer, chat, keep_budgets, lab
from loopback import HOST
from postgres_cluster import Cluster
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper import bootstrap
from tollkeeper.domain.budgets import BudgetScope

AWAY_S: Final = 0.001
ADDED_MS_MAX: Final = 0.2
_CALLS: Final = 2_000
_FIRST: Final = 200
_PIECE: Final = 64 << 10


class Relay:
    """Passes bytes on to a port, each way half of the time that a question and its answer take."""

    def __init__(self, to_port: int, away_s: float) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._one_way_s = away_s / 2
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._done(asyncio.start_server(self._accept, HOST, self.port))

    def end(self) -> None:
        """Pass the rest on, once both ends have closed, and no more."""
        self._done(self._finished())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finished(self) -> None:
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)

    def _done(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection(HOST, self._to_port)
        await asyncio.gather(self._pass(near, there), self._pass(far, back))

    async def _pass(self, read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while piece := await read.read(_PIECE):
                loop.call_later(self._one_way_s, write.write, piece)
        except ConnectionError:
            pass
        loop.call_later(self._one_way_s, write.close)


def main() -> int:
    """Measure, print, and say by the exit code whether it is little enough."""
    with tempfile.TemporaryDirectory(prefix="far-") as folder:
        place = Path(folder)
        place.chmod(0o755)  # the server runs as somebody without rights
        home = place / "postgresql"
        home.mkdir()
        cluster = Cluster(home)
        relay = Relay(cluster.port, AWAY_S)
        try:
            name = cluster.empty_database().options["dbname"]
            url = cluster.url(name).replace(f":{cluster.port}/", f":{relay.port}/")
            capped_ms, free_ms = _measured(place / "gateway", url)
        finally:
            cluster.end()
            relay.end()
    added_ms = capped_ms - free_ms
    print(
        f"{_CALLS:,} calls each, PostgreSQL {AWAY_S * 1e3:g} ms away: p50 {free_ms:.3f} ms without "
        f"a cap, {capped_ms:.3f} ms with one: {added_ms:+.3f} ms (at most {ADDED_MS_MAX:g})"
    )
    return int(added_ms > ADDED_MS_MAX)


def _measured(folder: Path, store_url: str) -> tuple[float, float]:
    """Give the median of capped and of uncapped calls, in milliseconds."""
    folder.mkdir()
    cap = budget(limit=1_000_000 * DOLLAR, scope=BudgetScope.MODEL, match="dime")
    with RoughUpstream(answer) as provider:
        made = Deployment(folder, provider.url, lab(provider.url), store_url)
        keep_budgets(made, cap)
        made.start()
        try:
            with closing(HTTPConnection(HOST, made.port, timeout=30)) as connection:
                times: dict[str, list[float]] = {"lab/dime": [], "lab/free": []}
                for _ in range(_FIRST + _CALLS):
                    for model, taken in times.items():
                        taken.append(_call_ms(connection, made.key, model))
        finally:
            made.finish()
    with closing(bootstrap.open_budget_authority(made.folder)) as authority:
        spent = only(authority.balances()).posted
    if spent != (_FIRST + _CALLS) * 10 * CENT:
        raise RuntimeError("not every call was counted")
    capped, free = (median(taken[_FIRST:]) for taken in times.values())
    return capped, free


def _call_ms(connection: HTTPConnection, key: str, model: str) -> float:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    began_s = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", chat(model, max_tokens=5), headers)
    reply = connection.getresponse()
    reply.read()
    if reply.status != 200:
        raise RuntimeError(f"a call ended with status {reply.status}")
    return (time.perf_counter() - began_s) * 1_000


if __name__ == "__main__":
    sys.exit(main())
