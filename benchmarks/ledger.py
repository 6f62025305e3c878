"""How fast the ledger is loaded and read: rows/s in, milliseconds for each page's report.

    .venv/bin/python benchmarks/ledger.py --rows 1000000 3000000

Entries are generated: 90 days, 30 models, 20 teams, 500 people, three tags of which one has
5,000 values, 300 bytes of provider usage each. Only ``append`` and the reports are timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from tollkeeper.domain.access import Scope
from tollkeeper.domain.budget_words import budget_of
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.reports.budget_replay import replay
from tollkeeper.reports.call import call
from tollkeeper.reports.calls import CallsQuestion, calls
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.me import spent_today
from tollkeeper.reports.overview import OverviewQuestion, overview
from tollkeeper.reports.period import period_named
from tollkeeper.reports.usage import UsageQuestion, usage
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

BATCH = 5_000
NOW_US = 1_795_000_000_000_000  # 2026-11-18
DAYS = 90
ORG = Scope("acme")
ZONE = "Europe/Berlin"
REPEATS = 7


def templates(count: int, seed: int = 5) -> list[LedgerEntry]:
    """Make entries that differ as real ones do, without ids and times."""
    source = random.Random(seed)
    models = [
        ("gpt-4o", "openai"),
        ("gpt-4o-mini", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("claude-opus-4-5", "anthropic"),
        ("gemini-2.5-pro", "google"),
        *((f"model-{number}", "together") for number in range(25)),
    ]
    found = []
    for _ in range(count):
        model, provider = models[min(int(source.expovariate(0.4)), len(models) - 1)]
        person = min(int(source.expovariate(0.01)), 499)
        tokens_in, cached = source.randrange(5_000), source.randrange(90_000)
        tokens_out = source.randrange(2_000)
        cost = source.randrange(10**9)
        found.append(
            LedgerEntry(
                entry_id="",
                call_id="",
                started_at_us=0,
                org="acme",
                duration_ms=source.randrange(200, 30_000),
                ttft_ms=source.randrange(100, 2_000),
                team=f"team-{person % 20}",
                user_id=f"u{person:06d}",
                user_name=f"person{person}@acme.com",
                key_id=f"k{person:07d}",
                key_name="laptop",
                session_id=f"{source.randrange(10**6):032x}",
                tool="claude-code",
                tool_version="2.0.14",
                provider=provider,
                model_requested=model,
                model_served=f"{model}-2026-01-01",
                endpoint="/v1/messages",
                wire="anthropic_messages",
                streamed=True,
                status=200,
                basis="measured" if source.random() < 0.95 else "estimated",
                input_tokens=tokens_in,
                cache_read_tokens=cached,
                output_tokens=tokens_out,
                cost_nanos=cost,
                list_cost_nanos=cost,
                saved_nanos=cost // 10,
                price_version="2026-11-20",
                price_key=f"{provider}/{model}",
                tags={
                    "feature": source.choice(["chat", "search", "code", "review"]),
                    "customer": f"customer-{min(int(source.expovariate(0.001)), 4_999)}",
                    "env": "prod",
                },
                request_id_upstream=f"req_{source.getrandbits(96):024x}",
                usage_raw=json.dumps(
                    {
                        "input_tokens": tokens_in,
                        "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": cached,
                        "cache_creation": {
                            "ephemeral_5m_input_tokens": 0,
                            "ephemeral_1h_input_tokens": 0,
                        },
                        "output_tokens": tokens_out,
                        "service_tier": "standard",
                    }
                ),
            )
        )
    return found


def batches(rows: int) -> Iterator[list[LedgerEntry]]:
    """Give entries in batches, spread evenly over the days before ``NOW_US``."""
    source, mint, made = random.Random(1), IdMint(2), templates(50_000)
    step_us = DAYS * 86_400_000_000 // rows
    start_us = NOW_US - rows * step_us
    for first in range(0, rows, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, rows)):
            at_us = start_us + number * step_us
            batch.append(
                made[source.randrange(len(made))]._replace(
                    entry_id=mint.next(at_us // 1_000),
                    call_id=mint.next(at_us // 1_000),
                    started_at_us=at_us,
                )
            )
        yield batch


def load(ledger: DuckDbLedger, rows: int) -> tuple[float, float, float]:
    """Append all rows. Gives rows/s, the slowest batch and the slowest checkpoint in ms."""
    appending = worst = checkpoint = 0.0
    for number, batch in enumerate(batches(rows)):
        began = time.perf_counter()
        ledger.append(batch, Position("benchmark", number + 1))
        took = time.perf_counter() - began
        appending += took
        worst = max(worst, took)
        if number % 20 == 19:
            began = time.perf_counter()
            ledger.maintain()
            checkpoint = max(checkpoint, time.perf_counter() - began)
    return rows / appending, worst * 1e3, checkpoint * 1e3


def questions(ledger: DuckDbLedger) -> dict[str, Callable[[], object]]:
    """Name the reports that are timed."""
    month, three = period_named("30d", ZONE, NOW_US), period_named("90d", ZONE, NOW_US)
    some = calls(ledger, ORG, CallsQuestion(limit=1)).rows[0]

    def page(by: str, filters: str = "") -> Callable[[], object]:
        asked = OverviewQuestion(month, by, parse_filters(filters))
        return lambda: overview(ledger, ORG, asked, NOW_US)

    def table(period: object, metrics: str, by: str, filters: str = "") -> Callable[[], object]:
        asked = UsageQuestion(
            period,  # type: ignore[arg-type]
            tuple(metrics.split()),
            tuple(by.split()),
            parse_filters(filters),
        )
        return lambda: usage(ledger, ORG, asked)

    return {
        "overview by model": page("model"),
        "overview by team": page("team"),
        "overview by tag (5,000 values)": page("tag:customer"),
        "overview of one team": page("model", "team:team-3"),
        "usage 30d: cost, requests by day, model": table(month, "cost_usd requests", "day model"),
        "usage 90d: cost, requests by day, model": table(three, "cost_usd requests", "day model"),
        "usage 90d: cost by tag (5,000 values)": table(three, "cost_usd", "tag:customer"),
        "usage 90d: cost, tokens by user": table(three, "cost_usd tokens_in tokens_out", "user"),
        "usage 90d: users by week": table(three, "users requests", "week"),
        "usage 30d: p50, p95 latency by provider": table(
            month, "duration_p50_ms duration_p95_ms", "provider"
        ),
        "calls: newest 50": lambda: calls(ledger, ORG, CallsQuestion()),
        "calls: newest 50 of one person": lambda: calls(
            ledger, ORG, CallsQuestion(filters=parse_filters("user:u000007"))
        ),
        "one call": lambda: call(ledger, ORG, some.call_id),
        "me: spent today": lambda: spent_today(
            ledger, "acme", user_id="u000007", key_id="", zone=ZONE, now_us=NOW_US
        ),
    }


def replays(ledger: DuckDbLedger) -> dict[str, Callable[[], object]]:
    """Name the budgets that are tried on all ninety days; an entry costs half a dollar."""
    start_us = NOW_US - DAYS * 86_400_000_000

    def tried(**words: str) -> Callable[[], object]:
        budget = budget_of(words, ZONE)
        return lambda: replay(ledger, "acme", budget, start_us, NOW_US)

    return {
        "replay 90d: a month of all, which holds": tried(scope="org", limit="4B USD"),
        "replay 90d: one team, which does not": tried(scope="team:team-3", limit="5000 USD"),
        "replay 90d: each person by day": tried(scope="each user", limit="5 USD", window="day"),
        "replay 90d: everything refused": tried(scope="org", limit="0 USD"),
    }


def timed(ask: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Give the first and the median of the following answers in ms."""
    took = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1e3)
    return took[0], statistics.median(took[1:])


def main() -> None:
    """Load and ask for each size, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 3_000_000])
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, DuckDB {duckdb.__version__}")
    for rows in chosen.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.duckdb"
            ledger = DuckDbLedger(path, Settings(chosen.memory_limit, chosen.threads))
            rate, worst_ms, checkpoint_ms = load(ledger, rows)
            ledger.maintain()
            print(f"\n{rows:,} entries: {rate:,.0f}/s in batches of {BATCH:,}", end="; ")
            print(f"slowest batch {worst_ms:.0f} ms, checkpoint {checkpoint_ms:.0f} ms", end="; ")
            print(f"{path.stat().st_size / rows:.0f} bytes each\n")
            print("| report | first, ms | median, ms |\n|---|---|---|")
            for name, ask in questions(ledger).items():
                first, median = timed(ask)
                print(f"| {name} | {first:.0f} | {median:.1f} |", flush=True)
            for name, ask in replays(ledger).items():
                first, median = timed(ask, 2)
                print(f"| {name} | {first:.0f} | {median:.1f} |", flush=True)
            ledger.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\nPeak memory of this process: {peak_mb} MB")


if __name__ == "__main__":
    main()
