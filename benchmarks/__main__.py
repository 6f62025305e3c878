"""Runs the benchmarks, shows how far they are, and writes docs/benchmarks.md.

    python -m benchmarks                     everything; writes the document
    python -m benchmarks --only plain,micro  some suites; prints, and writes nothing
    python -m benchmarks --quick             one short round of each; prints only

Every program that is started is ended again, also after an error or Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import (
    guesses,
    hot_calls,
    hot_path,
    latency,
    ledger_side,
    live,
    machine,
    many_keys,
    memory,
    micro,
    pages,
    paints,
    report,
    startup,
    throughput,
)
from benchmarks.figures import Bound, Target
from benchmarks.larger import larger_ledgers
from benchmarks.other_work import OtherWork
from benchmarks.processes import LOAD_CORE, CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings

Suite = Callable[[Setting, Callable[[str], None]], Findings]

SUITES: Final[dict[str, tuple[Suite, set[str]]]] = {
    "plain": (throughput.plain, {"nginx", "tollkeeper", "LiteLLM"}),
    "stream": (throughput.stream, {"nginx", "tollkeeper", "LiteLLM"}),
    "large": (throughput.large, {"nginx", "tollkeeper"}),
    "memory": (memory.memory, {"tollkeeper"}),
    "latency": (latency.latency, {"nginx", "tollkeeper"}),
    "guesses": (guesses.guesses, {"tollkeeper"}),
    "keys": (many_keys.many_keys, set()),
    "page": (ledger_side.page, {"tollkeeper"}),
    "live": (live.live, set()),
    "hot": (hot_calls.hot_calls, set()),
    "profile": (hot_path.hot_path, {"tollkeeper"}),
    "start": (startup.startup, {"tollkeeper"}),
    "loader": (ledger_side.loader, set()),
    "ledger": (pages.pages, set()),
    "paints": (paints.paints, set()),
    "micro": (micro.micro, set()),
}
DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_LIMIT_S: Final = 1_620
_FILES: Final = 16_384


class OutOfTime(Exception):
    """The run took longer than it may; what is missing is reported as not measured."""


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"some of: {', '.join(SUITES)} (separated by commas)")
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load in each round")
    parser.add_argument("--json", type=Path, help="write every figure here")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(SUITES)
    unknown = set(names) - set(SUITES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    if (os.cpu_count() or 1) <= LOAD_CORE:
        parser.exit(1, "the benchmarks need two processor cores\n")
    rounds, seconds = (1, 1.0) if given.quick else (given.rounds, given.seconds)
    began_s = time.monotonic()
    watch = OtherWork()
    findings = _run(names, rounds, seconds)
    others = watch.share()
    if given.json:
        given.json.write_text(json.dumps([found.as_json() for found in findings], indent=1))
    document = report.document(
        findings,
        machine=machine.machine(),
        versions=machine.versions(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=_command(given),
        rounds=rounds,
        took_s=time.monotonic() - began_s,
        others=others,
        larger=larger_ledgers(pages.DOCUMENT.read_text()) if pages.DOCUMENT.exists() else "",
    )
    Console().print(Markdown(document))
    if not given.only and not given.quick:
        DOCUMENT.write_text(document)


def _command(given: argparse.Namespace) -> str:
    """Write the command that measures the same again."""
    words = ["python -m benchmarks"]
    words += [f"--only {given.only}"] if given.only else []
    words += ["--quick"] if given.quick else []
    return " ".join([*words, f"--rounds {given.rounds} --seconds {given.seconds:g}"])


def _run(names: list[str], rounds: int, seconds: float) -> list[Findings]:
    wanted = set().union(*(SUITES[name][1] for name in names))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGALRM, _stop)
    findings: list[Findings] = []
    with ExitStack() as stops:
        folder = Path(stops.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        setting = Setting(folder, rounds, seconds, stops)
        with _progress() as bar:
            task = bar.add_task("start", total=len(names))

            def advance(text: str) -> None:
                if bar.console.is_terminal:
                    bar.update(task, description=text)
                else:
                    bar.console.print(text)

            try:
                setting.start(wanted, advance)  # may install LiteLLM, once
                signal.alarm(_LIMIT_S)
                for name in names:
                    findings.append(_measured(name, setting, advance))
                    bar.advance(task)
            except (KeyboardInterrupt, OutOfTime) as reason:
                done = {found.name for found in findings}
                findings += [
                    _failed(name, str(reason) or "interrupted")
                    for name in names
                    if name not in done
                ]
            finally:
                signal.alarm(0)
    if setting.unsettled:
        findings[0].notes.append(
            f"{setting.unsettled} times the loader had not caught up before the next turn."
        )
    return findings


def _measured(name: str, setting: Setting, advance: Callable[[str], None]) -> Findings:
    try:
        return SUITES[name][0](setting, advance)
    except (CouldNotRun, OSError, AssertionError, ValueError, KeyError) as error:
        return _failed(name, f"{type(error).__name__}: {error}")


def _failed(name: str, reason: str) -> Findings:
    """Say that a suite could not be measured; it still shows among the targets."""
    return Findings(
        name,
        f"{name}: not measured",
        targets=[Target(f"everything of {name}", None, Bound.AT_LEAST, 0)],
        notes=[reason.strip()[:500]],
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _stop(number: int, frame: object) -> NoReturn:
    if number == signal.SIGALRM:
        raise OutOfTime(f"the whole run may take {_LIMIT_S // 60} minutes")
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
