"""How soon a call is on an Overview that stands open, and what that costs the console.

    python -m benchmarks.live --entries 10000000

measures the same beside a ledger of another size, and prints what came of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import past, processes, report
from benchmarks.figures import Bound, Target, number, percentile
from benchmarks.latency import open_loop
from benchmarks.open_loop import schedule
from benchmarks.open_pages import OpenPage, sign_in
from benchmarks.other_work import OtherWork, told
from benchmarks.payloads import PACED_MODEL, request_body
from benchmarks.processes import CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from benchmarks.targets import ORG, Tollkeeper
from tollkeeper import clock

ENTRIES: Final = 1_000_000
PAGES: Final = 5
RATE: Final = 200.0
_SECONDS: Final = 30.0
_QUICK_SECONDS: Final = 10.0
_SEED: Final = 1
_OPEN_S: Final = 30.0
_CALM_S: Final = 3.0
_SEEN_S: Final = 15.0
_WAIT_S: Final = 2.0
_PERCENT: Final = 50.0
_NEVER: Final = float("inf")


class Run(NamedTuple):
    """What happened under load: calls with their ends, and how busy the console was.

    ``counted`` are the requests of today before the first of ``calls``, which is not the first
    that was made. Processor time is in per cent of a core; ``others`` is the part of all cores
    that other work had meanwhile.
    """

    calls: list[tuple[str, float]]
    failed: int
    counted: int
    idle_percent: float
    loaded_percent: float
    others: float


class Waits(NamedTuple):
    """How long after its end each call was there, in seconds; never is infinity.

    ``lines`` counts the calls that came with a line of their own: of many that come at once a
    page gets the newest.
    """

    stream_s: list[float]
    tiles_s: list[float]
    lines: int


def live(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure beside a ledger of a million entries."""
    return measured(setting, advance, ENTRIES)


def measured(setting: Setting, advance: Callable[[str], None], entries: int) -> Findings:
    """Open some pages beside a ledger of so many entries, and make 200 calls a second."""
    assert setting.upstreams is not None
    home = setting.folder / "live"
    home.mkdir()
    tollkeeper = Tollkeeper(home, setting.upstreams)
    advance(f"live: a past of {entries:,} entries")
    past.fill(tollkeeper.data / "ledger.duckdb", entries, ORG, clock.now_us())
    setting.stops.callback(tollkeeper.end)
    tollkeeper.start()
    pages: list[OpenPage] = []
    try:
        cookie = sign_in(tollkeeper.port, tollkeeper.sign_in_path("reader@example.com", "finance"))
        pages += [OpenPage(tollkeeper.port, cookie) for _ in range(PAGES)]
        run = _run(setting, tollkeeper, pages, advance)
    finally:
        for page in pages:
            page.close()
        tollkeeper.end()
    return _findings(entries, run, pages)


def _run(
    setting: Setting,
    tollkeeper: Tollkeeper,
    pages: Sequence[OpenPage],
    advance: Callable[[str], None],
) -> Run:
    target, seconds = tollkeeper.target(), _SECONDS if setting.rounds > 2 else _QUICK_SECONDS
    body = setting.folder / "live" / "body"
    body.write_bytes(request_body(1_024, PACED_MODEL))
    console = processes.tree(tollkeeper.console_pid)
    ran: dict[str, Any] = {}

    def load() -> None:
        ran.update(
            open_loop(
                target.paced_url, target.headers, body, rate=RATE, seconds=seconds, seed=_SEED
            )
        )

    _wait(pages, lambda: all(page.told for page in pages), _OPEN_S)
    tollkeeper.settle()
    before = max(page.told[-1].requests for page in pages)
    idle = _percent(console, lambda: time.sleep(_CALM_S))
    advance(f"live: {RATE:.0f} calls/s, {len(pages)} open pages")
    watch = OtherWork()
    loaded = _percent(console, load)
    others = watch.share()
    made = len(schedule(RATE, seconds, _SEED)) - ran["failed"]
    with suppress(CouldNotRun):  # what has not come by then counts as never
        _wait(pages, lambda: all(it.told[-1].requests >= before + made for it in pages), _SEEN_S)
    counted = before + made - len(ran["calls"])
    return Run(ran["calls"], ran["failed"], counted, idle, loaded, others)


def _percent(pids: Sequence[int], work: Callable[[], object]) -> float:
    began_s, before_s = time.monotonic(), processes.cpu_s(pids)
    work()
    return (processes.cpu_s(pids) - before_s) / (time.monotonic() - began_s) * 100


def _wait(pages: Sequence[OpenPage], ready: Callable[[], bool], limit_s: float) -> None:
    deadline_s = time.monotonic() + limit_s
    while not ready():
        faults = [page.fault for page in pages if page.fault]
        if faults or time.monotonic() > deadline_s:
            raise CouldNotRun(faults[0] if faults else "an open page was not told in time")
        time.sleep(0.05)


def waits_of(run: Run, pages: Sequence[OpenPage]) -> Waits:
    """Give the waits of all calls on all pages."""
    stream_s, tiles_s, lines = [], [], 0
    calls = sorted(run.calls, key=lambda call: call[1])
    for page in pages:
        heard = [it for it in page.heard if it.call_ids]
        line_s = {call_id: it.at_s for it in heard for call_id in it.call_ids}
        ids = list(accumulate((max(it.call_ids) for it in heard), max))
        counts = list(accumulate((it.requests for it in page.told), max))
        for number_, (call_id, done_s) in enumerate(calls, run.counted + 1):
            lines += call_id in line_s
            # One that came with later ones, and gave way to them, is known of when they are.
            seen_s = line_s.get(call_id) or _at(bisect_left(ids, call_id), heard)
            stream_s.append(max(0.0, seen_s - done_s))
            tiles_s.append(max(0.0, _at(bisect_left(counts, number_), page.told) - done_s))
    return Waits(stream_s, tiles_s, lines)


def _at(place: int, events: Sequence[Any]) -> float:
    at_s: float = events[place].at_s if place < len(events) else _NEVER
    return at_s


def _findings(entries: int, run: Run, pages: Sequence[OpenPage]) -> Findings:
    found = Findings("live", "From the call to an open Overview")
    waits = waits_of(run, pages)
    seen = Table(["from a call's last byte", "p50 s", "p95 s", "p99 s", "most s"])
    for name, values in (
        ("until it comes on the live stream", waits.stream_s),
        ("until the figures of the page contain it", waits.tiles_s),
    ):
        seen.add(name, *(number(percentile(values, share)) for share in (0.5, 0.95, 0.99, 1)))
    title = f"{RATE:.0f} calls/s, {len(pages)} open pages, a ledger of {entries:,} entries"
    found.tables.append((title, seen))
    used = Table(["the console's processor", "per cent of a core"])
    used.add("pages open, no calls", number(run.idle_percent))
    used.add(f"{RATE:.0f} calls/s", number(run.loaded_percent))
    found.tables.append(("What it costs", used))
    latest_s = max(percentile(each, 0.95) or 0.0 for each in (waits.stream_s, waits.tiles_s))
    busy = run.loaded_percent
    found.targets = [
        Target("a call is on an open Overview, p95", latest_s, Bound.AT_MOST, _WAIT_S, "s"),
        Target("the console's share of a core meanwhile", busy, Bound.AT_MOST, _PERCENT, "%"),
    ]
    refreshes_s = [each for page in pages for each in page.refreshes_s]
    found.notes.append(
        f"{len(run.calls):,} calls, {run.failed} failed; {waits.lines / len(waits.stream_s):.0%} "
        "came with a line of their own, the others gave way to newer ones. The pages asked for "
        f"themselves {len(refreshes_s)} times, as the script in them does, which took "
        f"{number(percentile(refreshes_s, 0.5))} s (median). Other work "
        f"had {told(run.others)} meanwhile."
    )
    found.raw = run._asdict() | {"refreshes_s": refreshes_s}
    return found


def main() -> None:
    """Measure once and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stops:
        folder = Path(stops.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        setting = Setting(folder, 1 if given.quick else 5, 3.0, stops)
        setting.start(set(), print)
        found = measured(setting, print, given.entries)
    Console().print(Markdown(f"{report.section(found)}\n\n{report.outcome([found])}"))


if __name__ == "__main__":
    main()
