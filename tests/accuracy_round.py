"""The whole corpus, read, priced and compared; writes the tables of docs/accuracy.md.

`make accuracy` runs it. With ``--without-litellm`` LiteLLM is neither installed nor asked, and
its table stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from accuracy_lines import Line, ask_litellm, lines_of, questions_for_litellm
from accuracy_tables import SECTIONS
from benchmarks.processes import CouldNotRun
from benchmarks.tools import litellm_home
from estimate_errors import Estimate, estimates_of, table_of_errors
from oracle_rows import oracle_rows, oracle_table
from tollkeeper.providers.price_data import shipped_price_book
from whole_corpus import all_records

_MISSES_SHARE_MAX = 0.005


def replaced(text: str, name: str, section: str) -> str:
    """Put a section between its marks. Raises ValueError where the page has no such marks."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    head, mark, rest = text.partition(begin)
    if not mark or end not in rest:
        raise ValueError(f"the page has no place for {name!r}")
    return head + begin + section + end + rest.partition(end)[2]


def main(arguments: list[str]) -> int:
    """Measure and write. Gives 1 where more is missed than may be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--without-litellm", action="store_true")
    options = parser.parse_args(arguments)
    sections = dict(SECTIONS)
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as progress:
        lines = _measured(options.shared, progress)
        try:
            answered = not options.without_litellm and _asked(lines, progress)
        except CouldNotRun as error:
            answered = False
            progress.console.print(f"LiteLLM is left out: {error}")
        if not answered:
            del sections["side by side"]
        estimates = _estimated(lines, progress)
    text = options.page.read_text("utf-8")
    for name, write in sections.items():
        text = replaced(text, name, write(lines))
    text = replaced(text, "estimates", table_of_errors(estimates))
    stated = oracle_table(oracle_rows(options.shared))
    text = replaced(text, "stated", stated.partition("\n\n")[0] + "\n")
    options.page.write_text(text, "utf-8")
    beside = options.page.with_name("accuracy-oracle.md")
    if beside.exists():
        beside.write_text(replaced(beside.read_text("utf-8"), "oracle", stated), "utf-8")
    missed = sum(bool(line.misses) for line in lines)
    print(f"{len(lines)} records, {missed} missed; written to {options.page}")
    return int(missed > len(lines) * _MISSES_SHARE_MAX)


def _measured(shared: Path, progress: Progress) -> list[Line]:
    total = sum(1 for _ in all_records(shared))
    task = progress.add_task("reading and pricing", total=total)
    return list(lines_of(shared, shipped_price_book(), lambda: progress.advance(task)))


def _asked(lines: list[Line], progress: Progress) -> bool:
    if not (litellm_home() / "complete").exists():
        progress.console.print("installing LiteLLM into its own environment, once: some minutes")
    questions = questions_for_litellm(lines)
    task = progress.add_task("asking LiteLLM", total=len(questions))
    ask_litellm(lines, questions, lambda: progress.advance(task))
    return True


def _estimated(lines: list[Line], progress: Progress) -> list[Estimate]:
    task = progress.add_task("estimating", total=len(lines))
    return estimates_of(lines, shipped_price_book(), lambda: progress.advance(task))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
