"""How soon a browser shows something of each page, and what of that time is ours.

    python -m benchmarks.paints                         the demo's company, made for this run
    python -m benchmarks.paints --rounds 9 --only /,/savings
    python -m benchmarks.paints --data some/demo --entries 10000000

Chromium opens every page as somebody does who was never there (a new profile, nothing cached,
signed in), and once more after that. Every page was asked for once before, without a browser:
what is measured is a server that runs, not its first minute. And every window is open for a
while before: a browser builds a new one with half a second of work of its own.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Browser, BrowserContext, ViewportSize, sync_playwright
from playwright.sync_api import Error as BrowserError

from benchmarks import machine, other_work, report
from benchmarks.figures import Bound, Target, median, number, percentile
from benchmarks.other_work import OtherWork
from benchmarks.paint_pages import Demo, EmptyPage, pages_of
from benchmarks.processes import CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from tollkeeper.console.early import HEAD_START_S

ENTRIES: Final = 200_000
DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "paints.md"
_ROUNDS: Final = 3
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_SETTLES_MS: Final = 700
"""How long a new window stands empty before it sets out: its own bars are pages that load."""

_VIEWPORT: Final[ViewportSize] = {"width": 1280, "height": 800}
_WATCH: Final = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) shifted += each.value;
}).observe({type: 'layout-shift', buffered: true});
"""
_READ: Final = """
() => new Promise((done) => {
  const twice = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
  twice(() => setTimeout(() => {
    const [page] = performance.getEntriesByType('navigation');
    const others = performance.getEntriesByType('resource');
    const [painted] = performance.getEntriesByName('first-contentful-paint');
    const styles = others.filter((each) => each.renderBlockingStatus === 'blocking');
    done({
      painted_ms: painted ? painted.startTime : 0,
      asked_ms: page.requestStart, began_ms: page.responseStart, came_ms: page.responseEnd,
      styled_ms: Math.max(page.responseStart, ...styles.map((each) => each.responseEnd)),
      sent_bytes: [page, ...others].reduce((sum, each) => sum + each.transferSize, 0),
      shift: window.shifted,
    });
  }, 30));
})
"""


class Visit(NamedTuple):
    """One page as it came, in ms since the browser set out for it, and how much was sent.

    ``began_ms`` is its first byte, ``came_ms`` its last, ``styled_ms`` the end of its style
    sheet, ``painted_ms`` when something of it was seen. ``shift`` is what moved afterwards.
    """

    painted_ms: float
    asked_ms: float
    began_ms: float
    came_ms: float
    styled_ms: float
    sent_bytes: int
    shift: float

    @property
    def server_ms(self) -> float:
        """What the server took to begin."""
        return self.began_ms - self.asked_ms

    @property
    def browser_ms(self) -> float:
        """What is left of the time until something was seen: style, layout and paint."""
        return self.painted_ms - self.began_ms


class Painted(NamedTuple):
    """All visits of one page."""

    page: str
    first: tuple[Visit, ...]
    later: tuple[Visit, ...]


Step = Callable[[str], None]


def measured(demo: Demo, rounds: int, told: Step, only: Sequence[str] = ()) -> Findings:
    """Visit an almost empty page and all pages of a demo, in turns."""
    watch = OtherWork()
    with EmptyPage() as empty, _chromium() as browser:
        addresses = {page: demo.url + page for page in pages_of(demo) if not only or page in only}
        found: dict[str, tuple[list[Visit], list[Visit]]] = {
            page: ([], []) for page in ("", *addresses)
        }
        for turn in range(rounds):
            told(f"paints: round {turn + 1}")
            for page, (first, later) in found.items():
                context = _context(browser, demo, signed_in=page != "/login")
                opened = context.new_page()
                opened.wait_for_timeout(_SETTLES_MS)
                for visits in (first, later):
                    opened.goto(addresses.get(page, empty.url))
                    visits.append(Visit(**opened.evaluate(_READ)))
                context.close()
        version = browser.version
    empty_page, *pages = (
        Painted(page, tuple(first), tuple(later)) for page, (first, later) in found.items()
    )
    return findings_of(empty_page, pages, version, watch.share())


def _context(browser: Browser, demo: Demo, *, signed_in: bool) -> BrowserContext:
    context = browser.new_context(viewport=_VIEWPORT)
    context.add_init_script(_WATCH)
    name, _, value = demo.cookie.partition("=")
    if signed_in:
        context.add_cookies([{"name": name, "value": value, "url": demo.url}])
    return context


@contextmanager
def _chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise CouldNotRun("Chromium is not installed (package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        try:
            yield browser
        except BrowserError as error:
            raise CouldNotRun(f"the browser: {error}") from None
        finally:
            browser.close()


# ------------------------------------------------------------------ what was found


def paints(setting: Setting, advance: Step) -> Findings:
    """Measure the demo's company as people start it."""
    quick = setting.rounds <= 2
    with Demo(setting.folder / "paints", ENTRIES // 10 if quick else ENTRIES) as demo:
        return measured(demo, min(setting.rounds, _ROUNDS), advance)


def findings_of(empty: Painted, found: Sequence[Painted], chromium: str, others: float) -> Findings:
    """Put tables, targets and remarks together. ``others``: what other work had of all cores."""
    made = Findings("paints", "Pages in a browser")
    made.tables = [(f"{title} visit", _table(kind, empty, found)) for kind, title in _KINDS.items()]
    made.targets = targets(found)
    visits = {it.page: {kind: getattr(it, kind) for kind in _KINDS} for it in found}
    made.raw = {"chromium": chromium, "visits": visits, "others": others}
    made.notes += [_NOTE, f"Other work had {other_work.told(others)} meanwhile."]
    return made


_KINDS: Final[Mapping[str, str]] = {"first": "First", "later": "Later"}
_NOTE: Final = (
    'Milliseconds since the browser set out, medians; "browser" is what is left between the '
    "first byte and the first paint. The almost empty page is one word with our headers, and "
    "neither style nor script: the least that Chromium needs here for anything."
)


def targets(found: Sequence[Painted]) -> list[Target]:
    """Set the slowest and heaviest pages against what was wanted."""
    made = []
    for kind, kb_max in (("first", 120), ("later", 40)):
        visits = {it.page: getattr(it, kind) for it in found}
        soon = {page: _middle(each, "painted_ms") for page, each in visits.items()}
        slowest = max(soon, key=lambda page: soon[page])
        heaviest = max(_middle(each, "sent_bytes") for each in visits.values())
        whole = f"first contentful paint, {kind} visit"
        limits = (Bound.BELOW, 150, "ms")
        made += [
            Target(f"{whole}, the median page", median(list(soon.values())), *limits),
            Target(f"{whole}, the slowest page ({slowest})", soon[slowest], *limits),
            Target(f"{kind} visit, the heaviest page", heaviest / 1_000, Bound.BELOW, kb_max, "KB"),
        ]
    most = max(visit.shift for it in found for visit in (*it.first, *it.later))
    return [*made, Target("layout shift, the most", most, Bound.AT_MOST, 0)]


def _middle(visits: Sequence[Visit], name: str) -> float:
    return median([getattr(visit, name) for visit in visits]) or 0.0


def _table(kind: str, empty: Painted, found: Sequence[Painted]) -> Table:
    table = Table(["page", "painted", "p95", "server", "HTML came", "style came", "browser", "KB"])
    for it in (empty, *found):
        visits = getattr(it, kind)
        p95 = percentile([visit.painted_ms for visit in visits], 0.95)
        names = ("server_ms", "came_ms", "styled_ms", "browser_ms")
        table.add(
            it.page or "an almost empty page",
            *(number(_middle(visits, "painted_ms")), number(p95)),
            *(number(_middle(visits, name)) for name in names),
            number(_middle(visits, "sent_bytes") / 1_000),
        )
    return table


# ------------------------------------------------------------------ the document


def document(found: Findings, command: str, took_s: float) -> str:
    """Give docs/paints.md."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [_INTRODUCTION.format(command=command, date=date)]
    others = found.raw["others"]
    parts += [_BUSY.format(others=other_work.told(others))] if other_work.is_much(others) else []
    method = _METHOD.format(settles=_SETTLES_MS, start=round(HEAD_START_S * 1_000))
    parts += ["## Targets", report.outcome([found]), report.section(found), method]
    versions = machine.versions()
    kept = {name: versions[name] for name in ("CPython", "duckdb", "Tollkeeper")}
    kept["Chromium"] = found.raw["chromium"]
    parts += ["## Machine and versions", report.facts(machine.machine(), kept, took_s)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_INTRODUCTION: Final = """\
# How soon pages are seen

Written by `{command}`, which measured this on {date}. `make bench` measures it too.
"""
_BUSY: Final = """\
**The machine had other work during this run** ({others}), which the browser, the
server and the ledger had to share the processor with: times are also waiting for others. What the
almost empty page takes says how much: it has nothing of ours but a word.
"""
_METHOD: Final = """\
## How this was measured

Chromium, without a window, on the same machine as the server. A first visit has a profile of its
own with nothing in it but the session's cookie, in a window that is open for {settles} ms: Chromium
loads pages of its own for the bars of a new window, and would do so at the same time. The later
visit is the same page once more. Each page of the demo's company was asked for once before, without
a browser. "server" is from the request to the first byte. A page that takes longer than {start} ms
begins there with head and navigation
([decision 37](decisions/0037-pages-begin-before-they-are-known.md)); "HTML came" is when the ledger
had answered and all of the page was there. "style came" is the end of the only file that a page
waits for before it is seen; on a first visit the style is in the page itself, and came with its
first byte ([decision 44](decisions/0044-the-style-comes-with-the-first-page.md)). Nothing may move
afterwards (layout shift).
"""


def main() -> None:
    """Start or open a demo, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--data", type=Path, help="a demo's folder that is kept")
    parser.add_argument("--print", action="store_true", help="write no document")
    parser.add_argument("--only", default="", help="some pages, separated by blanks")
    given = parser.parse_args()
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Demo(given.data or Path(folder) / "demo", given.entries) as demo,
    ):
        found = measured(demo, given.rounds, print, given.only.split())
    text = document(found, _command(given), time.monotonic() - began_s)
    print(text)
    if not (given.print or given.only):
        DOCUMENT.write_text(text)


def _command(given: argparse.Namespace) -> str:
    size = "" if given.entries == ENTRIES else f" --entries {given.entries}"
    return f"python -m benchmarks.paints --rounds {given.rounds}{size}"


if __name__ == "__main__":
    main()
