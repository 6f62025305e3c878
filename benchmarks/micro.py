"""Parts of the hot path by themselves: pricing, reading a stream's usage, limits and budgets."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.admission import ADMISSION, admission_us
from benchmarks.figures import Bound, Target, number
from benchmarks.key_check import BUSY, FEW, MANY, key_check_us
from benchmarks.loader import profile
from benchmarks.processes import PROXY_CORE, CouldNotRun
from benchmarks.setting import Setting
from benchmarks.streams import reading_targets, reading_work
from benchmarks.tables import Findings, Table
from tollkeeper.clock import monotonic_ns
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.rate_limits import RATE_MAX, RateRule
from tollkeeper.domain.routing import Dialect
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.rate_gate import RateGate, RateSubject
from tollkeeper.wire.rate_limit_lines import with_standing

_LIMIT_S: Final = 120.0
_REPEATS: Final = 9
_AT_US: Final = 1_795_000_000_000_000
_PRICED: Final = (
    ("openai", "gpt-4.1-mini", {"input": 102, "cache_read": 128, "output": 50}),
    ("anthropic", "claude-sonnet-4-5", {"input": 4_310, "cache_read": 61_233, "output": 512}),
    ("google", "gemini-2.5-pro", {"input": 240_000, "output": 900}),
)


def micro(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure in a process of its own, pinned, with nothing else in it."""
    advance("pricing, usage reading, rate limits, budgets")
    command = ["taskset", "-c", str(PROXY_CORE), sys.executable, "-m", "benchmarks.micro"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if ran.returncode:
        raise CouldNotRun(ran.stderr[-300:])
    measured = json.loads(ran.stdout)
    found = Findings("micro", "Parts of the hot path", raw=measured)
    table = Table(["", "µs"])
    for name, took_us in measured.items():
        table.add(name, number(took_us))
    found.tables.append(("Medians, one at a time", table))
    pricing = [took_us for name, took_us in measured.items() if name.startswith("price")]
    found.targets = [
        Target("pricing a call", max(pricing), Bound.AT_MOST, 1, "µs"),
        *reading_targets(measured),
        Target("admission with 5 budgets", measured[ADMISSION], Bound.AT_MOST, 3, "µs"),
        Target(
            f"check of a key, of {MANY:,} against {FEW}",
            measured[BUSY.format(MANY)] / measured[BUSY.format(FEW)],
            Bound.AT_MOST,
            1.25,
            "times",
        ),
        Target("rate limits by three rules", measured[_THREE_RULES], Bound.AT_MOST, 1.5, "µs"),
    ]
    return found


_THREE_RULES: Final = "a call under three rate limits: admitted, corrected, freed"
_STANDING: Final = "where a caller stands at them, for the reply's header lines"


def _time_us(work: Callable[[], object]) -> float:
    """Give the median of several timings, in µs of processor time."""
    timer = timeit.Timer(work, timer=time.process_time)
    count = max(1, timer.autorange()[0] // 10)
    return statistics.median(timer.repeat(_REPEATS, count)) / count * 1e6


def _price_work() -> dict[str, Callable[[], object]]:
    book = shipped_price_book()
    works: dict[str, Callable[[], object]] = {}
    for provider, model, quantities in _PRICED:
        usage = Usage(quantities)
        if book.price(provider, model, usage, _AT_US).nanos is None:
            raise CouldNotRun(f"{provider}/{model} has no price")
        works[f"price of {provider}/{model}"] = partial(book.price, provider, model, usage, _AT_US)
    return works


def _rate_work() -> dict[str, Callable[[], object]]:
    """A call that concerns one rule of each kind, none of which is ever full."""
    gate = RateGate(
        (
            RateRule("", "calls", BudgetScope.KEY, "*", True, requests_per_minute=RATE_MAX),
            RateRule("", "tokens", BudgetScope.TEAM, "*", True, tokens_per_minute=RATE_MAX),
            RateRule("", "at once", BudgetScope.MODEL, "claude-*", parallel=RATE_MAX),
        )
    )
    subject = RateSubject(profile(1))
    kept = gate.admit(subject, 500, monotonic_ns())

    def call() -> None:
        ticket = gate.admit(subject, 500, monotonic_ns())
        ticket.used(480, monotonic_ns)
        ticket.release()

    def standing() -> bytes:
        return with_standing(b"", kept.standing(monotonic_ns()), Dialect.OPENAI, _AT_US)

    return {_THREE_RULES: call, _STANDING: standing}


def main() -> None:
    """Print the figures as JSON."""
    works = _price_work() | reading_work() | _rate_work()
    times = {name: _time_us(work) for name, work in works.items()}
    json.dump(times | key_check_us(_time_us) | admission_us(_time_us), sys.stdout)


if __name__ == "__main__":
    main()
