"""How long pages and their reports take on large ledgers; writes docs/ledger-speed.md.

    python -m benchmarks.pages --rows 1000000 3000000 10000000
    python -m benchmarks.pages --ledger some/ledger.duckdb another/ledger.duckdb

Ledgers are those of the demo's company (ninety days, 120 people, 400 customers, agents and
services, corrections and unpriced calls). Everything is asked once unheeded, which builds its
queries, and then some times. Overview is asked for as a whole page, as the console serves it; of
all other pages the report is timed that they wait for.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import ibis

from benchmarks import machine, other_work, report
from benchmarks.figures import Bound, Target, median, number, percentile
from benchmarks.other_work import OtherWork
from benchmarks.page_questions import LIMITS_MS, ZONE, Ask, moment_of, questions
from benchmarks.served_pages import ServedPages
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table, target_table
from tollkeeper import clock
from tollkeeper.demo import filling
from tollkeeper.demo.company import ORG
from tollkeeper.demo.folder import MARK, Mark
from tollkeeper.ports import DataFolder, Ledger
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

THREADS: Final = 2
ROWS: Final = 1_000_000
DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "ledger-speed.md"
_SEED: Final = 7
_QUICK_ROWS: Final = 50_000
_REPEATS: Final = 11
_SLOW_S: Final = 3.0
_PROVIDER_PORT: Final = 4_999
_PAPER: Final = 100_000_000


class Timed(NamedTuple):
    """How long a page or report took: milliseconds on the wall, and of both cores' time."""

    page: str
    name: str
    first_ms: float
    walls_ms: tuple[float, ...]
    cores_ms: tuple[float, ...]

    @property
    def p95_ms(self) -> float:
        return percentile(self.walls_ms, 0.95) or 0.0


class Measured(NamedTuple):
    """All reports on one ledger, and how many rows its sums have.

    ``others`` is the part of all cores that other work had while it was asked.
    """

    entries: int
    sums: int
    others: float
    reports: tuple[Timed, ...]

    def worst(self, page: str) -> Timed:
        """Give the slowest report of a page."""
        return max((it for it in self.reports if it.page == page), key=lambda it: it.p95_ms)

    def cores_ms(self, page: str) -> float:
        """Give the core time of the page's report that takes most of it."""
        return max(median(it.cores_ms) or 0.0 for it in self.reports if it.page == page)


def made(folder: Path, rows: int, ledger_url: str = "") -> Path:
    """Make the company's ledger of so many entries; give its file."""
    data = DataFolder(folder, ledger_url=ledger_url)
    mark = Mark(rows, _SEED, clock.now_us(), _PROVIDER_PORT)
    filling.fill(data, mark, lambda _: None)
    return data.ledger


def measured(path: Path, repeats: int, told: Callable[[str], None]) -> Measured:
    """Sum up what is not yet, and ask everything.

    A file that lies in a data folder is asked about with the people and budgets of that.
    """
    ledger = DuckDbLedger(path, Settings("1GB", THREADS, zone=ZONE))
    return measured_of(ledger, path, repeats, told)


def measured_of(
    ledger: DuckDbLedger | SqliteLedger, path: Path, repeats: int, told: Callable[[str], None]
) -> Measured:
    """Do the same with a ledger that is open, and close it."""
    try:
        ledger.sum_up(steps=1_000)
        ledger.maintain()
        with tempfile.TemporaryDirectory() as empty:
            folder = path.parent if (path.parent / MARK).exists() else Path(empty)
            now_us = moment_of(ledger)
            pages = ServedPages(folder, ledger, ORG, now_us, ZONE)
            try:
                return _measured(ledger, pages, now_us, repeats, told)
            finally:
                pages.close()
    finally:
        ledger.close()


def _measured(
    ledger: Ledger,
    pages: ServedPages,
    now_us: int,
    repeats: int,
    told: Callable[[str], None],
) -> Measured:
    table, sums = ledger.entries(), ledger.summed(())
    entries = ledger.run(table.agg(rows=table.count()))[0]["rows"]
    rows = ledger.run(sums.agg(rows=sums.count()))[0]["rows"]
    watch = OtherWork()
    found = tuple(
        _timed(page, name, ask, repeats, told)
        for page, name, ask in questions(ledger, pages.get, now_us)
    )
    return Measured(entries, rows, watch.share(), found)


def _timed(page: str, name: str, ask: Ask, repeats: int, told: Callable[[str], None]) -> Timed:
    told(f"{page}: {name}")
    began = time.perf_counter()
    ask()
    first_s = time.perf_counter() - began
    walls, cores = [], []
    for _ in range(repeats if first_s < _SLOW_S else 3):
        began, used = time.perf_counter(), time.process_time()
        ask()
        walls.append((time.perf_counter() - began) * 1e3)
        cores.append((time.process_time() - used) * 1e3)
    return Timed(page, name, first_s * 1e3, tuple(walls), tuple(cores))


# ------------------------------------------------------------------ the suite


def pages(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure a ledger of one million entries."""
    folder = setting.folder / "company"
    quick = setting.rounds <= 2
    advance("ledger: a company is made")
    path = made(folder, _QUICK_ROWS if quick else ROWS)
    found = measured(path, 3 if quick else _REPEATS, lambda text: advance(f"ledger: {text}"))
    shutil.rmtree(folder)
    findings = Findings("ledger", f"Pages of a ledger of {found.entries:,} entries")
    findings.tables.append((_TITLE, table_of(found)))
    findings.targets = targets(found)
    findings.raw = {it.name: it.walls_ms for it in found.reports}
    findings.notes.append(f"Larger ledgers: [ledger-speed.md](ledger-speed.md). {_SHORT}")
    return findings


_TITLE: Final = f"Pages and reports, DuckDB with {THREADS} threads and 1 GB"
_SHORT: Final = (
    "Overview is the whole page as the console serves it; all else is without rendering."
)


def targets(found: Measured) -> list[Target]:
    """Set the slowest report of each page against its limit."""
    return [
        Target(
            f"{page}, {found.entries:,} entries, p95 of the slowest",
            found.worst(page).p95_ms,
            *(Bound.BELOW, limit_ms, "ms"),
        )
        for page, limit_ms in LIMITS_MS.items()
    ]


def table_of(found: Measured) -> Table:
    table = Table(["page or report", "first ms", "median ms", "p95 ms", "core ms"])
    for it in found.reports:
        figures = (it.first_ms, median(it.walls_ms), it.p95_ms, median(it.cores_ms))
        table.add(f"{it.page}: {it.name}", *map(number, figures))
    return table


# ------------------------------------------------------------------ the document


def document(several: Sequence[Measured], command: str) -> str:
    """Give docs/ledger-speed.md: targets, how figures grow, and all of them."""
    parts = [
        _INTRODUCTION.format(command=command, date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    ]
    parts += in_company(_BUSY, several)
    parts.append(_TIMED)
    parts.append("## Targets")
    parts.append(target_table([each for it in several for each in targets(it)]).markdown())
    parts += ["## How it grows", _growth(several).markdown(), _PAPER_NOTE]
    parts.append("## What the sums come to")
    table = Table(["entries", "rows of sums", "entries in a row"])
    for it in several:
        table.add(f"{it.entries:,}", f"{it.sums:,}", number(it.entries / it.sums))
    parts += [table.markdown(), _METHOD]
    for it in several:
        parts += [f"## {it.entries:,} entries", meanwhile(it), table_of(it).markdown()]
    parts += ["## Machine and versions", report.facts(machine.machine(), _versions())]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def in_company(warning: str, several: Sequence[Measured]) -> list[str]:
    """Give the warning where other work had much of the cores while any ledger was asked."""
    if not any(other_work.is_much(it.others) for it in several):
        return []
    return [warning.format(others=", ".join(other_work.told(it.others) for it in several))]


def meanwhile(found: Measured) -> str:
    """Say what other work had while a ledger was asked."""
    return f"Other work had {other_work.told(found.others)} meanwhile."


def _versions() -> dict[str, str]:
    found = machine.versions()
    kept = {name: found[name] for name in ("CPython", "duckdb", "Tollkeeper")}
    return {**kept, "Ibis": str(ibis.__version__)}


def _growth(several: Sequence[Measured]) -> Table:
    """Compare the core times, which neighbours bend least, and draw the last line further."""
    sizes = [f"{it.entries:,}" for it in several]
    table = Table(["most core ms", "wanted", *sizes, f"{_PAPER:,}, on paper"])
    for page, limit_ms in LIMITS_MS.items():
        found = [(it.entries, it.cores_ms(page)) for it in several]
        shown = [number(ms) for _, ms in found]
        table.add(page, f"< {limit_ms:,} ms", *shown, number(on_paper(found)))
    return table


def on_paper(found: Sequence[tuple[int, float]], entries: int = _PAPER) -> float | None:
    """Draw the line through the two largest sizes on to another; None for fewer than two."""
    if len(found) < 2:
        return None
    (few, fast), (many, slow) = sorted(found)[-2:]
    return slow + (slow - fast) / (many - few) * (entries - many)


_INTRODUCTION: Final = """\
# How fast pages are on large ledgers

Written by `make bench-ledger` (`{command}`), which measured this on {date}.
`make bench` measures a million entries of these.
"""
_TIMED: Final = """\
What is timed: of **Overview the whole page** as the console serves it, with the forecast and its
band. Who asks is found out; the sums of the month, of today and of the period and of those before
them, the breakdown, the chart, the forecast, movers, newest calls and budgets are looked up; the
page is rendered and compressed. Only the gateway that passes requests on and the network are not
in it. The viewer sees pseudonyms, as is usual. **Of all other pages** it is the report that they
wait for; rendering one takes some milliseconds more.
"""
_BUSY: Final = """\
**The machine had other work during this run** ({others}), so times on
the wall are mostly waiting for others, and say nothing of what it does in peace. "core ms" is the
processor time of all threads together. With two cores to itself a page takes at least half of
it, and at most all of it where nothing is read from the disk: a page keeps its limit if its core
time does, misses it if half of that is more, and between the two only a quiet machine can tell.
"""
_PAPER_NOTE: Final = f"""\
The last column was not measured: it is the straight line through the two largest sizes. At
{_PAPER:,} entries whatever looks at each value (percentiles) has some seventy million of them in
two periods of thirty days, which takes seconds to minutes.
"""
_METHOD: Final = """\
Entries are summed up by the quarter-hour, with whatever they have in common, in the ledger's own
file (decision 36). Overview, its forecast, Why, Keys, and all of Explore that adds up or counts
people and keys are answered from these sums and the few entries that were not summed up yet; the
answers are the same to the last digit. What tells no less than days apart reads sums by the day, in
the configured time zone (decision 43). Sessions, customers and tags are in finer sums, of a third
of the entries' rows (decision 38). Percentiles are looked for in lists of how long requests took,
by the quarter-hour (decision 41), which finer sums have as well. Explore reads these once for all
that it shows (decision 46), and takes what is shown off everything (decision 47). Groups by single
call are asked of the entries themselves, by what they are ordered by; the few calls with several
entries are kept apart (decision 50). Where entries have less in common than this company's, sums
have more rows: at worst one for each entry.

Savings reads notes of the calls that storms, duplicates, small calls and caches that ran out may be
about, and sums of calls that used a cache (decision 52). Most of what is left of its time are
sessions whose calls have to be put in order: those with a call between the two periods, very long
ones, and all where something is filtered.
"""


def main() -> None:
    """Make or open ledgers, measure, print and write the document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[ROWS, 3 * ROWS, 10 * ROWS])
    parser.add_argument("--ledger", type=Path, nargs="+", help="files that are there already")
    parser.add_argument("--repeats", type=int, default=_REPEATS)
    parser.add_argument("--print", action="store_true", help="write no document")
    given = parser.parse_args()
    several = [measured(path, given.repeats, print) for path in given.ledger or ()]
    for rows in () if given.ledger else given.rows:
        with tempfile.TemporaryDirectory() as folder:
            several.append(measured(made(Path(folder) / "company", rows), given.repeats, print))
    sizes = " ".join(str(it.entries) for it in several)
    text = document(several, f"python -m benchmarks.pages --rows {sizes}")
    print(text)
    if not given.print:
        DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
