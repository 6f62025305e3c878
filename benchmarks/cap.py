"""Does the cap hold? A thousand calls of $0.10 at once against $5.00, and against $0.10.

Exactly 50 may reach the provider, and exactly one. LiteLLM gets the same storm. And how soon is a
cap in force that is lowered? `make cap` runs it all and writes docs/cap.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import machine, report
from benchmarks.capped import CappedLiteLlm, CappedTollkeeper, Counted, storm
from benchmarks.changes import changes
from benchmarks.figures import Bound, Target, Verdict
from benchmarks.other_work import OtherWork
from benchmarks.processes import CouldNotRun
from benchmarks.tables import Findings, Table
from postgres_cluster import Cluster

CALLS: Final = 1_000
CAPS: Final = (("5.00", 50), ("0.10", 1))
DOCUMENT: Final = Path(__file__).resolve().parent.parent / "docs" / "cap.md"
_STORM_S: Final = 150.0
_SETTLED_S: Final = 2.5
"""By then every gateway knows a new budget, and workers have made their own first calls."""


_INTRODUCTION: Final = """\
# Does the cap hold?

Written by `make cap`, which measured everything below in one run on {date}.
"""
_METHOD: Final = """\
## How this was measured

- A provider counts the calls that reach it, takes half a second for each, and bills 100 tokens
  for $0.10, which is what each call says it will use at most (`max_tokens`). All calls are
  under way before the first has an answer. The cap is on everything together.
- *Tollkeeper* is what `tollkeeper serve` starts; further gateways have data folders of their
  own and share its store, a SQLite file or a PostgreSQL server (its disk is not waited for).
- Changes are written to the store of two gateways, at any moment between two of their looks at it,
  while calls go on. Each is in force when the last call that was let through has been answered.
- *LiteLLM* is its proxy at the best that could be installed here. Its own keys need an engine
  that is no package, so the key comes from its hook for custom authentication, with a budget;
  its checks, its reservations (`fail_closed_budget_enforcement`) and its counters are its own.
"""


class _Deployment(Protocol):
    ports: Sequence[int]
    headers: dict[str, str]


_Start = Callable[[Path, Counted, str, ExitStack], _Deployment]


class _Variant(NamedTuple):
    name: str
    start: _Start
    ours: bool


def _on_postgres(folder: Path, counted: Counted, limit_usd: str, stops: ExitStack) -> _Deployment:
    """Start three gateways, and a server of their own for the store that they share."""
    home = folder.with_name("postgresql")
    home.mkdir()
    for above in (home.parent, home.parent.parent):
        above.chmod(0o755)  # the server runs as somebody without rights
    cluster = Cluster(home)
    stops.callback(cluster.end)
    database = cluster.empty_database().options["dbname"]
    store = cluster.url(database)
    return CappedTollkeeper(folder, counted, limit_usd, stops, gateways=3, store=store)


_VARIANTS: Final = (
    _Variant("Tollkeeper, one gateway", partial(CappedTollkeeper, gateways=1), ours=True),
    _Variant("Tollkeeper, two on SQLite", partial(CappedTollkeeper, gateways=2), ours=True),
    _Variant("Tollkeeper, three on PostgreSQL", _on_postgres, ours=True),
    _Variant("LiteLLM, one worker", partial(CappedLiteLlm, workers=1), ours=False),
    _Variant("LiteLLM, two workers", partial(CappedLiteLlm, workers=2), ours=False),
    _Variant("LiteLLM, two and Redis", partial(CappedLiteLlm, workers=2, redis=True), ours=False),
)


class _Outcome(NamedTuple):
    reached: int
    answered: int
    refused: int
    seconds: float


def main() -> int:
    """Send all storms and write the document; 1 if a cap of ours did not hold."""
    began_s, watch = time.monotonic(), OtherWork()
    with tempfile.TemporaryDirectory(prefix="cap-") as folder:
        found = [each(Path(folder), _advance) for each in (storms, changes)]
    took_s, others = time.monotonic() - began_s, watch.share()
    facts = report.facts(machine.machine(), machine.versions(), took_s, others)
    parts = [
        _INTRODUCTION.format(date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        *report.in_company(others),
        "## Targets\n\n" + report.outcome(found),
        *(report.section(each) for each in found),
        _METHOD,
        "## Machine and versions\n\n" + facts,
    ]
    document = "\n\n".join(part.strip() for part in parts) + "\n"
    Console().print(Markdown(document))
    DOCUMENT.write_text(document)
    targets = [target for each in found for target in each.targets]
    return int(any(target.verdict is not Verdict.MET for target in targets))


def _advance(text: str) -> None:
    print(text, file=sys.stderr)


def storms(folder: Path, advance: Callable[[str], None]) -> Findings:
    """Send the storms, one deployment after the other."""
    table = Table(["", "cap", "may reach", "reached", "answered", "refused", "seconds"])
    found = Findings("cap", f"A cap under {CALLS:,} calls at once", tables=[("Each $0.10", table)])
    for number, variant in enumerate(_VARIANTS):
        for limit_usd, allowed in CAPS:
            advance(f"cap: {variant.name}, ${limit_usd}")
            if not variant.ours and allowed == 1:
                continue  # one storm tells enough, and takes a minute there
            try:
                outcome = _outcome(folder / f"{number}-{limit_usd}", variant, limit_usd)
            except (CouldNotRun, OSError) as error:
                found.notes.append(f"{variant.name}: {str(error).strip()[-300:]}")
                outcome = None
            table.add(*_row(variant, limit_usd, allowed, outcome))
            if variant.ours:
                over = None if outcome is None else abs(outcome.reached - allowed)
                text = f"{variant.name}, ${limit_usd}: calls too many or too few"
                found.targets.append(Target(text, over, Bound.AT_MOST, 0))
    return found


def _outcome(folder: Path, variant: _Variant, limit_usd: str) -> _Outcome:
    folder.mkdir()
    with ExitStack() as stops:
        counted = Counted(folder, stops)
        deployment = variant.start(folder / "home", counted, limit_usd, stops)
        time.sleep(_SETTLED_S)
        before, began_s = counted.calls(), time.monotonic()
        statuses = storm(deployment.ports, deployment.headers, CALLS, _STORM_S)
        took_s = time.monotonic() - began_s
        answered = statuses.get("200", 0)
        return _Outcome(counted.calls() - before, answered, CALLS - answered, took_s)


def _row(
    variant: _Variant, limit_usd: str, allowed: int, outcome: _Outcome | None
) -> Sequence[str]:
    if outcome is None:
        measured = ["n/a"] * 4
    else:
        measured = [str(outcome.reached), str(outcome.answered), str(outcome.refused)]
        measured.append(f"{outcome.seconds:.1f}")
    return [variant.name, f"${limit_usd}", str(allowed), *measured]


if __name__ == "__main__":
    sys.exit(main())
