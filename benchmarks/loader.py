"""How fast the loader moves finished calls from the journal into the ledger.

    .venv/bin/python benchmarks/loader.py --calls 100000

A real journal is written first; then the real loader works it off into an empty DuckDB
ledger. The second figure is the time that one poll of an idle journal takes. The last ones
are the times from an outcome that is posted to its entry in the ledger, while calls end at
a steady rate and the loader runs beside the journal as it does in production.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tollkeeper import clock
from tollkeeper.domain.calls import Held, Part, Profile, Settled
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.services.loading import Loader
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter

START_US = 1_790_000_000_000_000
IDLE_POLLS = 200
USAGE = (
    '{"input_tokens":4310,"cache_creation_input_tokens":0,"cache_read_input_tokens":61233,'
    '"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},'
    '"output_tokens":512,"service_tier":"standard"}'
)


def profile(number: int) -> Profile:
    """Give one of some callers."""
    return Profile(
        org="acme",
        team=f"team-{number % 20}",
        user_id=f"u{number % 500}",
        user_name=f"person{number % 500}@acme.com",
        key_id=f"k{number % 500}",
        key_name="laptop",
        end_customer="",
        session_id=f"{number // 40:032x}",
        tool="claude-code",
        tool_version="2.1.329",
        provider="anthropic",
        price_provider="anthropic",
        model="claude-sonnet-4-5",
        model_requested="claude-sonnet-4-5",
        endpoint="/v1/messages",
        wire="anthropic",
        streamed=True,
        flat_rate=False,
        tags={"feature": "chat", "customer": f"customer-{number % 5_000}", "env": "prod"},
    )


def call(mint: IdMint, number: int) -> tuple[Held, Settled]:
    """Make one finished call."""
    started_us = START_US + 1_000 * number
    entry_id = mint.next(started_us // 1_000)
    held = Held(
        entry_id=entry_id,
        call_id=entry_id,
        started_at_us=started_us,
        attempt=1,
        sent=True,
        prompt_bytes=250_000,
        output_tokens=32_000,
        profile=profile(number),
    )
    part = Part(
        model="claude-sonnet-4-5-20250929",
        quantities={"input": 4_310, "cache_read": 61_233, "output": 512},
        basis="measured",
        cost_nanos=38_979_900,
        list_cost_nanos=38_979_900,
        saved_nanos=165_329_100,
        price_key="anthropic/claude-sonnet-4-5 rule=dated",
        usage_raw=USAGE,
    )
    settled = Settled(
        entry_id=entry_id,
        status=200,
        outcome="ok",
        error_code="",
        duration_ms=9_120,
        ttft_ms=870,
        request_id=f"req_{number:024x}",
        price_version="2026-11-20",
        parts=[part],
    )
    return held, settled


async def write(folder: Path, calls: int) -> None:
    """Write the journal as a gateway does."""
    writer = JournalWriter(folder, now_us=1, on_fatal=print)
    mint = IdMint()
    for number in range(calls):
        held, settled = call(mint, number)
        writer.hold(held, lambda error: None)
        writer.post(settled, None)
        if number % 100 == 99:
            await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    writer.close()


async def visible_ms(folder: Path, ledger: DuckDbLedger, rate_per_s: int, s: int) -> list[float]:
    """Post calls at a steady rate; give for each how long it took to be in the ledger."""
    posted: dict[str, float] = {}
    took_ms: list[float] = []

    def on_loaded(entries: Sequence[LedgerEntry]) -> None:
        now_s = time.perf_counter()
        took_ms.extend(1e3 * (now_s - posted[entry.entry_id]) for entry in entries)
        if len(took_ms) == rate_per_s * s:
            all_there.set()

    all_there = threading.Event()
    stop = threading.Event()
    loader = Loader(FolderTail(folder), ledger, on_loaded=on_loaded)
    thread = threading.Thread(target=loader.run, args=(stop,))
    writer = JournalWriter(folder, now_us=2, on_fatal=print)
    mint = IdMint()
    thread.start()
    began = time.perf_counter()
    for number in range(rate_per_s * s):
        held, settled = call(mint, number)
        writer.hold(held, lambda error: None)
        posted[held.entry_id] = time.perf_counter()
        writer.post(settled, None)
        if number % 10 == 9:
            await asyncio.sleep(max(0.0, began + number / rate_per_s - time.perf_counter()))
    await asyncio.to_thread(all_there.wait)
    stop.set()
    thread.join()
    writer.close()
    return sorted(took_ms)


def advance(loader: Loader) -> None:
    """Take one turn."""
    loader.advance(clock.now_us(), clock.monotonic_s())


def main() -> None:
    """Write, load, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=1_000, help="calls a second")
    parser.add_argument("--seconds", type=int, default=10)
    given = parser.parse_args()
    calls = given.calls
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "journal"
        folder.mkdir()
        asyncio.run(write(folder, calls))
        ledger = DuckDbLedger(Path(root) / "ledger.duckdb")
        loader = Loader(FolderTail(folder), ledger)
        gc.collect()
        gc.freeze()  # as the console does once it has started
        began, cpu_began = time.perf_counter(), time.process_time()
        while loader.status.loaded < calls:
            advance(loader)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        print(
            f"{calls:,} calls: {calls / took_s:,.0f} entries/s from journal to ledger,"
            f" {cpu_s / calls * 1e6:.0f} µs CPU each"
        )
        began = time.perf_counter()
        for _ in range(IDLE_POLLS):
            advance(loader)
        idle_ms = (time.perf_counter() - began) / IDLE_POLLS * 1e3
        print(f"one poll of an idle journal: {idle_ms:.2f} ms")
        steady = Path(root) / "steady"
        steady.mkdir()
        took = asyncio.run(visible_ms(steady, ledger, given.rate, given.seconds))
        p50, p95, p99 = (took[int(len(took) * part)] for part in (0.5, 0.95, 0.99))
        print(
            f"posted to ledger at {given.rate:,} calls/s: p50 {p50:.0f} ms, p95 {p95:.0f} ms, "
            f"p99 {p99:.0f} ms, worst {took[-1]:.0f} ms"
        )
        ledger.close()
        gc.unfreeze()  # or DuckDB complains at the end of objects that nobody freed


if __name__ == "__main__":
    main()
