"""How long the pages take on ledgers in SQLite; writes docs/ledger-speed-sqlite.md.

    python -m benchmarks.pages_sqlite --rows 100000 1000000
    python -m benchmarks.pages_sqlite --ledger some/ledger.sqlite3

It asks what ``benchmarks.pages`` asks of DuckDB, of the same company.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.figures import Bound, Target
from benchmarks.page_questions import LIMITS_MS, ZONE
from benchmarks.pages import Measured, in_company, made, meanwhile, measured_of, table_of
from benchmarks.tables import Table, target_table
from tollkeeper.storage.sqlite.handle import Settings
from tollkeeper.storage.sqlite.ledger import SqliteLedger

DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "ledger-speed-sqlite.md"
LIMIT_MS: Final = 500
"""What was wanted of every page on a ledger of a million entries."""

_ROWS: Final = (100_000, 1_000_000)
_REPEATS: Final = 5


def document(several: Sequence[tuple[Measured, int]], command: str) -> str:
    """Give docs/ledger-speed-sqlite.md. Each ledger comes with the bytes of its file."""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [_INTRODUCTION.format(command=command, date=date, version=sqlite3.sqlite_version)]
    parts += in_company(_BUSY, [it for it, _ in several])
    parts.append("## Targets")
    parts.append(target_table([each for it, _ in several for each in targets(it)]).markdown())
    parts += ["## Core time", _cores(several).markdown(), _METHOD]
    for it, _ in several:
        parts += [f"## {it.entries:,} entries", meanwhile(it), table_of(it).markdown()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def targets(found: Measured) -> list[Target]:
    """Set the slowest report of each page against the limit."""
    return [
        Target(
            f"{page}, {found.entries:,} entries, p95 of the slowest",
            found.worst(page).p95_ms,
            *(Bound.BELOW, LIMIT_MS, "ms"),
        )
        for page in LIMITS_MS
    ]


def _cores(several: Sequence[tuple[Measured, int]]) -> Table:
    """Give the core time of the slowest report of each page, which neighbours bend least."""
    table = Table(["most core ms", *(f"{it.entries:,}" for it, _ in several)])
    for page in LIMITS_MS:
        table.add(page, *(f"{it.cores_ms(page):,.0f}" for it, _ in several))
    table.add("rows of sums", *(f"{it.sums:,}" for it, _ in several))
    table.add("MB of the file", *(f"{size / 1e6:,.0f}" for _, size in several))
    return table


_INTRODUCTION: Final = """\
# How fast pages are on ledgers in SQLite

Written by `make bench-ledger` (`{command}`), which measured this on {date}
with SQLite {version}. The same company, the same questions and the same answers as in
[ledger-speed.md](ledger-speed.md), where DuckDB answers.
"""
_BUSY: Final = """\
**The machine had other work during this run** ({others}), so times on
the wall are mostly waiting for others. "core ms" is the processor time; SQLite uses one core for
each query, so that on a machine of its own a page takes about its core time.
"""
_METHOD: Final = """\
Sums by the quarter-hour (decision 36) are kept in SQLite as well: Overview, What changed, Keys, and
all of Explore that adds up or counts people and keys are answered from them. Sessions, customers,
tags and percentiles are answered from finer sums, narrow rows of whole numbers (decision 45), read
once for each question and grouped by numbers (decision 48); percentiles are ranked as columns, and
single calls ordered by an index (decision 51).
SQLite reads whole rows, one after the other, and sorts them to group them, each query on one core
(Overview, Explore and Savings ask two at a time, decision 49), so that what has to read single
entries takes many times as long as with DuckDB, which reads single columns on all cores. What
Savings looks for is noted and summed up (decisions 52 to 54). Which engine when:
[configuration.md](configuration.md).
"""


def main() -> None:
    """Make or open ledgers, measure, print and write the document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=list(_ROWS))
    parser.add_argument("--ledger", type=Path, nargs="+", help="files that are there already")
    parser.add_argument("--repeats", type=int, default=_REPEATS)
    parser.add_argument("--print", action="store_true", help="write no document")
    given = parser.parse_args()
    several = [_measured(path, given.repeats) for path in given.ledger or ()]
    for rows in () if given.ledger else given.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "company"
            path = made(folder, rows, f"sqlite:///{folder}/ledger.sqlite3")
            several.append(_measured(path, given.repeats))
    sizes = " ".join(str(it.entries) for it, _ in several)
    text = document(several, f"python -m benchmarks.pages_sqlite --rows {sizes}")
    print(text)
    if not given.print:
        DOCUMENT.write_text(text)


def _measured(path: Path, repeats: int) -> tuple[Measured, int]:
    ledger = SqliteLedger(path, Settings(zone=ZONE))
    found = measured_of(ledger, path, repeats, print)
    return found, path.stat().st_size


if __name__ == "__main__":
    main()
