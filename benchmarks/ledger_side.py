"""From the journal to the page: the loader's speed, and how soon a call can be seen."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Bound, Target, median, number, percentile, spread
from benchmarks.latency import open_loop
from benchmarks.payloads import PLAIN_REQUEST
from benchmarks.processes import CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from benchmarks.targets import HOST, Tollkeeper

_CALLS: Final = 100_000
_LOADER_S: Final = 120.0
_RATE: Final = 1_000.0
_SECONDS: Final = 15.0
_QUICK_SECONDS: Final = 6.0
_LOOK_EVERY_S: Final = 0.02
_SEEN_MAX_S: Final = 15.0
_ASK_S: Final = 10.0
_LOADED: Final = re.compile(r"([\d,]+) entries/s")


def loader(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Run ``benchmarks/loader.py``, several times."""
    rates = []
    for turn in range(min(3, setting.rounds)):
        setting.settle()
        advance(f"loader: round {turn + 1}")
        rates.append(_loader_rate(_CALLS if setting.rounds > 2 else _CALLS // 4))
    found = Findings("loader", "Loader", raw={"entries_per_s": rates})
    table = Table(["", "entries/s (median)", "least to greatest"])
    table.add("journal to DuckDB", number(median(rates)), spread(rates))
    found.tables.append(("Working off a journal", table))
    found.targets = [Target("loader", median(rates), Bound.AT_LEAST, 20_000, "entries/s")]
    return found


def _loader_rate(calls: int) -> float:
    program = Path(__file__).with_name("loader.py")
    try:
        ran = subprocess.run(
            [sys.executable, str(program), "--calls", str(calls)],
            capture_output=True,
            text=True,
            timeout=_LOADER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"the loader took more than {_LOADER_S:.0f} s") from None
    said = _LOADED.search(ran.stdout)
    if said is None:
        raise CouldNotRun(f"the loader said: {(ran.stdout + ran.stderr)[-300:]}")
    return float(said[1].replace(",", ""))


class Watcher(threading.Thread):
    """Asks the API for the newest call again and again, and notes when it changed.

    The loader works in the journal's order and a call's id begins with its time, so a call
    is visible as soon as one with the same or a later id is.
    """

    def __init__(self, tollkeeper: Tollkeeper) -> None:
        super().__init__(daemon=True)
        self.newest: list[tuple[str, float]] = []
        self.asked = 0
        self.error = ""
        self._port, self._key = tollkeeper.port, tollkeeper.admin_key
        self._stop_now = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_ASK_S)
        try:
            while not self._stop_now.wait(_LOOK_EVERY_S):
                newest = newest_call(connection, self._key)
                self.asked += 1
                if newest and (not self.newest or newest > self.newest[-1][0]):
                    self.newest.append((newest, time.monotonic()))
        except (OSError, http.client.HTTPException, CouldNotRun, ValueError, KeyError) as error:
            self.error = f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def stop(self) -> None:
        """Ask no more."""
        self._stop_now.set()
        self.join(_ASK_S)


def newest_call(connection: http.client.HTTPConnection, key: str) -> str:
    """Ask ``GET /api/v1/calls`` for the newest call's id, "" if there is none.

    Raises CouldNotRun for a refusal.
    """
    headers = {"Authorization": f"Bearer {key}"}
    connection.request("GET", "/api/v1/calls?limit=1", headers=headers)
    reply = connection.getresponse()
    body = reply.read()
    if reply.status != 200:
        raise CouldNotRun(f"the API answered {reply.status}: {body[:200].decode(errors='replace')}")
    found = json.loads(body)["calls"]
    return str(found[0]["call_id"]) if found else ""


def page(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Make 1,000 calls a second, and see how long each takes to be in the listing."""
    tollkeeper = setting.require_tollkeeper()
    target = setting.targets["tollkeeper"]
    setting.settle()
    body = setting.folder / "page.body"
    body.write_bytes(PLAIN_REQUEST)
    seconds = _SECONDS if setting.rounds > 2 else _QUICK_SECONDS
    advance(f"page: {_RATE:.0f} calls/s")
    watcher = Watcher(tollkeeper)
    watcher.start()
    try:
        ran = open_loop(target.url, target.headers, body, rate=_RATE, seconds=seconds, seed=1)
        _wait_for_last(watcher, ran["calls"])
    finally:
        watcher.stop()
    if watcher.error:
        raise CouldNotRun(f"the listing of calls could not be read: {watcher.error}")
    return _page_findings(watcher, ran)


def _wait_for_last(watcher: Watcher, calls: list[tuple[str, float]]) -> None:
    until_s = time.monotonic() + _SEEN_MAX_S
    last = max((call_id for call_id, _ in calls), default="")
    while watcher.is_alive() and time.monotonic() < until_s:
        if watcher.newest and watcher.newest[-1][0] >= last:
            return
        time.sleep(0.05)


def delays_s(calls: list[tuple[str, float]], newest: list[tuple[str, float]]) -> list[float]:
    """Give how long after its end each call was visible, for those that ever were.

    ``calls`` are ids and ends; ``newest`` is when which id was first seen as the newest.
    """
    ids = [call_id for call_id, _ in newest]
    found = []
    for call_id, done_s in calls:
        place = bisect_left(ids, call_id)
        if place < len(newest):
            found.append(max(0.0, newest[place][1] - done_s))
    return found


def _page_findings(watcher: Watcher, ran: dict[str, Any]) -> Findings:
    calls: list[tuple[str, float]] = [(call_id, done_s) for call_id, done_s in ran["calls"]]
    delays = delays_s(calls, watcher.newest)
    found = Findings("page", "From the call to the page")
    # What was never visible counts as later than anything that was.
    waits = [*delays, *[float("inf")] * (len(calls) - len(delays))]
    table = Table(["calls", "visible in the end", "p50 s", "p95 s", "p99 s"])
    shares = [percentile(waits, share) for share in (0.5, 0.95, 0.99)]
    table.add(f"{len(calls):,}", f"{len(delays):,}", *map(number, shares))
    found.tables.append((f"From a call's last byte to `GET /api/v1/calls`, {_RATE:.0f}/s", table))
    limit = Target("a finished call is on the page, p95", shares[1], Bound.BELOW, 2, "s")
    found.targets = [limit]
    found.notes.append(
        f"The newest call was asked for {watcher.asked:,} times, through the gateway's own port "
        f"as the page does; {ran['failed']} calls failed."
    )
    return found
