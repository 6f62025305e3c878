"""The loader on the real journal: two gateways write, segments turn over, a gateway dies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger_entries import held_call, settled_call
from ledgers import open_duckdb
from loopback import run
from tollkeeper.domain.ledger import LedgerEntry, entries_of
from tollkeeper.ports import Ledger
from tollkeeper.services import loading
from tollkeeper.services.loading import POLL_S, REMOVE_AFTER_S, Loader
from tollkeeper.storage.journal.tail import FolderTail
from tollkeeper.storage.journal.writer import JournalWriter

NOW_US = 1_790_000_100_000_000


def fail(error: OSError) -> None:
    raise AssertionError(error)


def gateway(folder: Path, number: int) -> JournalWriter:
    return JournalWriter(folder, now_us=number, on_fatal=fail, segment_bytes=12_000)


async def finished_call(writer: JournalWriter, cost_nanos: int) -> Sequence[LedgerEntry]:
    """Hold a call and post its end; give the entries that must be in the ledger."""
    held = held_call()
    settled = settled_call(held, cost_nanos=cost_nanos)
    written: asyncio.Queue[OSError | None] = asyncio.Queue()
    writer.hold(held, written.put_nowait)
    assert await written.get() is None
    writer.post(settled, written.put_nowait)
    assert await written.get() is None
    return entries_of(held, settled)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def stored(ledger: Ledger) -> list[tuple[str, int]]:
    table = ledger.entries()
    rows = ledger.run(table.select("entry_id", "cost_usd").order_by("entry_id"))
    return [(row["entry_id"], int(row["cost_usd"].scaleb(9))) for row in rows]


def test_what_gateways_write_is_loaded_once_and_then_removed(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    ledger = open_duckdb(tmp_path)
    clock = Clock()

    async def work() -> list[LedgerEntry]:
        expected: list[LedgerEntry] = []
        writers = [gateway(journal, number) for number in (1, 2)]
        loader = Loader(FolderTail(journal, now_s=clock), ledger)
        for number in range(60):
            expected += await finished_call(writers[number % 2], number + 1)
            if number % 7 == 0:
                clock.now_s += 0.2
                loader.advance(NOW_US, clock.now_s)
            if number == 30:  # a new process, which knows only what the ledger knows
                loader = Loader(FolderTail(journal, now_s=clock), ledger)
        assert len(list(journal.glob("*.journal"))) > 2, "segments were meant to turn over"
        for writer in writers:
            writer.close()
        for _ in range(20):
            clock.now_s += REMOVE_AFTER_S / 2
            loader.advance(NOW_US, clock.now_s)
        assert loader.status.damaged == 0
        assert loader.status.fault == ""
        return expected

    expected = run(work)
    assert stored(ledger) == sorted((entry.entry_id, entry.cost_nanos or 0) for entry in expected)
    assert list(journal.glob("*.journal")) == []
    assert ledger.positions() == {}
    ledger.close()


def test_the_segment_that_says_how_a_gateway_ended_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short last segment is loaded before the long ones, and waits for them."""
    monkeypatch.setattr(loading, "BATCH_MAX", 2)
    journal = tmp_path / "journal"
    journal.mkdir()
    clock = Clock()

    async def work() -> None:
        writer = gateway(journal, 1)
        for number in range(200):
            await finished_call(writer, number + 1)
            if len(list(journal.glob("*.journal"))) == 3:
                break
        writer.close()

    run(work)
    written = sorted(journal.glob("*.journal"))
    assert len(written) == 3
    ledger = open_duckdb(tmp_path)
    loader = Loader(FolderTail(journal, now_s=clock), ledger)
    for _ in range(60):
        clock.now_s += REMOVE_AFTER_S / 2
        loader.advance(NOW_US, clock.now_s)
        left = sorted(journal.glob("*.journal"))
        assert left == written[len(written) - len(left) :]
    assert not left
    ledger.close()


def test_copies_of_segments_and_lost_positions_double_nothing(tmp_path: Path) -> None:
    """A backup put back beside the original, a restart, a ledger that forgot its positions."""
    journal = tmp_path / "journal"
    journal.mkdir()
    ledger = open_duckdb(tmp_path)
    clock = Clock()

    async def work() -> list[LedgerEntry]:
        writer = gateway(journal, 1)
        made = [entry for n in range(40) for entry in await finished_call(writer, n + 1)]
        writer.close()
        return made

    expected = run(work)
    for number, path in enumerate(sorted(journal.glob("*.journal"))):
        copy = f"{number + 2:016d}-9.{number + 1:08d}.journal"
        (journal / copy).write_bytes(path.read_bytes())
    for _ in range(3):
        loader = Loader(FolderTail(journal, now_s=clock), ledger)
        for _ in range(4):
            loader.advance(NOW_US, clock.now_s)
        ledger.forget(list(ledger.positions()))
    rows = stored(ledger)
    assert len({entry_id for entry_id, _ in rows}) == len(rows)
    assert rows == sorted((entry.entry_id, entry.cost_nanos or 0) for entry in expected)
    ledger.close()


def test_what_is_posted_is_in_the_ledger_after_one_turn(tmp_path: Path) -> None:
    """At rest an entry waits for one poll of the loader and nothing else."""
    journal = tmp_path / "journal"
    journal.mkdir()
    ledger = open_duckdb(tmp_path)
    clock = Clock()

    async def work() -> None:
        writer = gateway(journal, 1)
        loader = Loader(FolderTail(journal, now_s=clock), ledger)
        for number in range(5):
            assert loader.advance(NOW_US, clock.now_s) == POLL_S
            (entry,) = await finished_call(writer, number + 1)
            loader.advance(NOW_US, clock.now_s)
            assert (entry.entry_id, number + 1) in stored(ledger)
        writer.close()

    run(work)
    assert POLL_S < 0.5
    ledger.close()
