"""The loader: everything once, in any weather, and nothing removed too early."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from journal_twin import RECORD_BYTES, Damage, Hold, MemoryTail
from ledger_entries import START_US, ledger_entry
from ledgers import open_duckdb
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import NO_JOBS, Position
from tollkeeper.services import loading
from tollkeeper.services.loading import BATCH_MAX, PAUSE_MAX_S, PAUSE_S, POLL_S, Loader
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

NOW_US = START_US + 60_000_000


class ShakyLedger(DuckDbLedger):
    """The real ledger, behind a connection that fails when a test says so."""

    down = False
    lose_answers = 0

    def positions(self) -> Mapping[str, int]:
        self._check()
        return super().positions()

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        self._check()
        added = super().append(entries, position, jobs)
        if self.lose_answers:
            self.lose_answers -= 1
            raise LedgerUnavailable("the answer to a commit was lost")
        return added

    def _check(self) -> None:
        if self.down:
            raise LedgerUnavailable("down")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ShakyLedger]:
    opened = ShakyLedger(tmp_path / "ledger.duckdb")
    yield opened
    opened.close()


@pytest.fixture
def tail() -> MemoryTail:
    return MemoryTail()


def ids(ledger: DuckDbLedger) -> list[str]:
    table = ledger.entries()
    return [row["entry_id"] for row in ledger.run(table.select("entry_id").order_by("entry_id"))]


def settle(loader: Loader, *, seconds: float = 30.0, start_s: float = 0.0) -> float:
    """Let the loader run as its thread would, without the waiting."""
    now_s = start_s
    while now_s < start_s + seconds:
        now_s += max(loader.advance(NOW_US, now_s), 0.01)
    return now_s


def test_entries_of_all_gateways_are_loaded(tail: MemoryTail, ledger: ShakyLedger) -> None:
    entries = [ledger_entry() for _ in range(30)]
    for number, entry in enumerate(entries):
        tail.write(f"gateway-{number % 3}", Hold(), entry)
    loader = Loader(tail, ledger)
    assert loader.advance(NOW_US, 0.0) == POLL_S
    assert ids(ledger) == sorted(entry.entry_id for entry in entries)
    assert loader.status.loaded == 30
    assert loader.status.segments == 3
    assert loader.status.rate_per_s == 3.0
    assert (loader.status.lag_entries, loader.status.lag_s) == (0, 0.0)


def test_an_idle_journal_costs_one_read_and_no_write(tail: MemoryTail, ledger: ShakyLedger) -> None:
    tail.write("a", ledger_entry(), Hold())
    loader = Loader(tail, ledger)
    loader.advance(NOW_US, 0.0)
    reads = tail.reads
    ledger.down = True  # it is not even asked
    for second in range(5):
        assert loader.advance(NOW_US, float(second)) == POLL_S
    assert tail.reads == reads + 5
    assert loader.status.fault == ""


def test_a_backlog_is_worked_off_in_batches_without_waiting(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    template = ledger_entry(started_at_us=NOW_US - 9_000_000, duration_ms=1_000)
    backlog = [template._replace(entry_id=f"{number:06d}") for number in range(BATCH_MAX + 10)]
    tail.write("a", *backlog)
    loader = Loader(tail, ledger)
    assert loader.advance(NOW_US, 0.0) == 0.0
    assert loader.status.loaded == BATCH_MAX
    assert loader.status.lag_entries >= 1
    assert loader.status.lag_s == 8.0
    assert loader.advance(NOW_US, 0.1) == POLL_S
    assert loader.status.loaded == len(backlog)
    assert (loader.status.lag_entries, loader.status.lag_s) == (0, 0.0)


def test_who_listens_gets_every_entry_after_it_is_stored(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    heard: list[str] = []

    def listen(entries: Sequence[LedgerEntry]) -> None:
        assert {entry.entry_id for entry in entries} <= set(ids(ledger))
        heard.extend(entry.entry_id for entry in entries)

    loader = Loader(tail, ledger, on_loaded=listen)
    entries = [ledger_entry() for _ in range(5)]
    tail.write("a", *entries[:3])
    loader.advance(NOW_US, 0.0)
    tail.write("a", *entries[3:])
    loader.advance(NOW_US, 1.0)
    loader.advance(NOW_US, 2.0)
    assert heard == [entry.entry_id for entry in entries]


def test_a_listener_that_fails_stops_nothing(tail: MemoryTail, ledger: ShakyLedger) -> None:
    def fail(entries: Sequence[LedgerEntry]) -> None:
        raise RuntimeError("no room")

    loader = Loader(tail, ledger, on_loaded=fail)
    tail.write("a", ledger_entry())
    assert loader.advance(NOW_US, 0.0) == POLL_S
    tail.write("a", ledger_entry())
    loader.advance(NOW_US, 1.0)
    assert len(ids(ledger)) == 2
    assert loader.status.fault == ""


# --------------------------------------------------------------------- segments end


def test_a_segment_goes_when_it_is_closed_and_loaded_and_settled(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    tail.write("a", ledger_entry())
    tail.write("b", ledger_entry())
    loader = Loader(tail, ledger)
    settle(loader)
    assert list(tail.kept) == ["a", "b"], "open segments stay"
    tail.close("a")
    loader.advance(NOW_US, 100.0)
    loader.advance(NOW_US, 100.0 + loading.REMOVE_AFTER_S - 0.1)
    assert list(tail.kept) == ["a", "b"]
    loader.advance(NOW_US, 100.0 + loading.REMOVE_AFTER_S)
    assert list(tail.kept) == ["b"]
    assert ledger.positions().keys() == {"b"}
    settle(loader, start_s=200.0)
    assert len(ids(ledger)) == 2


def test_what_is_found_late_in_a_closed_segment_is_loaded_first(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    """The tail needs a moment to tell damage from a write it overtook."""
    tail.write("a", ledger_entry())
    tail.close("a")
    loader = Loader(tail, ledger)
    loader.advance(NOW_US, 0.0)
    loader.advance(NOW_US, loading.REMOVE_AFTER_S - 0.5)
    tail.write("a", Damage(), ledger_entry())
    loader.advance(NOW_US, loading.REMOVE_AFTER_S)
    loader.advance(NOW_US, 2 * loading.REMOVE_AFTER_S - 0.1)
    assert list(tail.kept) == ["a"]
    loader.advance(NOW_US, 2 * loading.REMOVE_AFTER_S)
    assert tail.kept == {}
    assert len(ids(ledger)) == 2


def test_a_segment_stays_while_its_entries_cannot_be_stored(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    tail.write("a", ledger_entry())
    tail.close("a")
    ledger.down = True
    loader = Loader(tail, ledger)
    end_s = settle(loader, seconds=300.0)
    assert list(tail.kept) == ["a"]
    ledger.down = False
    settle(loader, start_s=end_s, seconds=60.0)
    assert tail.kept == {}
    assert len(ids(ledger)) == 1


def test_positions_of_segments_that_are_gone_are_forgotten_at_the_start(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    ledger.append([ledger_entry()], Position("gone", 10))
    ledger.append([ledger_entry()], Position("a", RECORD_BYTES))
    Loader(tail, ledger).advance(NOW_US, 0.0)
    assert ledger.positions().keys() == {"gone", "a"}, "an empty folder may be not mounted"
    tail.write("a", ledger_entry())
    Loader(tail, ledger).advance(NOW_US, 0.0)
    assert ledger.positions().keys() == {"a"}


def test_a_segment_that_vanishes_is_passed_over(tail: MemoryTail, ledger: ShakyLedger) -> None:
    class Vanishing(MemoryTail):
        def read(self, name: str, offset: int, entries_max: int) -> Any:
            if name == "a":
                raise LookupError("gone")
            return super().read(name, offset, entries_max)

    vanishing = Vanishing()
    vanishing.write("a", ledger_entry())
    vanishing.write("b", ledger_entry())
    loader = Loader(vanishing, ledger)
    assert loader.advance(NOW_US, 0.0) == POLL_S
    assert len(ids(ledger)) == 1


# --------------------------------------------------------------------- damage and rejects


def test_damaged_records_are_counted_once_and_the_rest_is_loaded(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    tail.write("a", ledger_entry(), Damage(), ledger_entry(), Damage())
    loader = Loader(tail, ledger)
    settle(loader)
    assert loader.status.damaged == 2
    assert len(ids(ledger)) == 2
    settle(Loader(tail, ledger))
    assert ledger.positions() == {"a": 4 * RECORD_BYTES}


def test_an_entry_that_no_column_holds_is_counted_and_does_not_stop_the_rest(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    heard: list[LedgerEntry] = []
    good = [ledger_entry(), ledger_entry()]
    tail.write("a", good[0], ledger_entry(input_tokens=2**63), good[1])
    loader = Loader(tail, ledger, on_loaded=heard.extend)
    loader.advance(NOW_US, 0.0)
    assert loader.status.rejected == 1
    assert loader.status.fault == ""
    assert heard == good
    assert ids(ledger) == sorted(entry.entry_id for entry in good)


# --------------------------------------------------------------------- faults


def test_while_the_ledger_is_down_pauses_grow_and_what_waits_is_counted(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    tail.write("a", ledger_entry())
    loader = Loader(tail, ledger)
    loader.advance(NOW_US, 0.0)
    ledger.down = True
    ended_us = NOW_US - 20_000_000
    waiting = [
        ledger_entry(started_at_us=ended_us - 1_000, duration_ms=1 + number) for number in range(7)
    ]
    tail.write("a", *waiting[:4])
    tail.write("b", *waiting[4:])
    pauses = [loader.advance(NOW_US, float(second)) for second in range(1, 11)]
    assert pauses == [min(PAUSE_S * 2**number, PAUSE_MAX_S) for number in range(10)]
    assert loader.status.fault == "down"
    assert loader.status.failures == 10
    assert loader.status.lag_entries == 7
    assert loader.status.lag_s == 20.0
    tail.write("b", ledger_entry())
    loader.advance(NOW_US, 50.0)
    assert loader.status.lag_entries == 8
    ledger.down = False
    assert loader.advance(NOW_US, 100.0) == POLL_S
    assert len(ids(ledger)) == 9
    assert (loader.status.fault, loader.status.lag_entries) == ("", 0)
    ledger.down = True
    tail.write("a", ledger_entry())
    assert loader.advance(NOW_US, 101.0) == PAUSE_S, "the pauses start small again"


def test_what_was_stored_although_it_failed_is_not_stored_again(
    tail: MemoryTail, ledger: ShakyLedger
) -> None:
    entries = [ledger_entry() for _ in range(4)]
    tail.write("a", *entries[:2])
    ledger.lose_answers = 1
    loader = Loader(tail, ledger)
    assert loader.advance(NOW_US, 0.0) == PAUSE_S
    tail.write("a", *entries[2:])
    settle(loader)
    assert ids(ledger) == sorted(entry.entry_id for entry in entries)


def test_a_folder_that_cannot_be_read_is_tried_again(tail: MemoryTail, ledger: ShakyLedger) -> None:
    tail.write("a", ledger_entry())
    tail.fault = OSError(5, "Input/output error")
    loader = Loader(tail, ledger)
    assert loader.advance(NOW_US, 0.0) == PAUSE_S
    assert "Input/output error" in loader.status.fault
    tail.fault = None
    assert loader.advance(NOW_US, 1.0) == POLL_S
    assert len(ids(ledger)) == 1


def test_lost_answers_and_restarts_double_nothing(tail: MemoryTail, ledger: ShakyLedger) -> None:
    source = random.Random(11)
    entries = []
    loader = Loader(tail, ledger)
    for second in range(60):
        for name in ("a", "b"):
            fresh = [ledger_entry() for _ in range(source.randrange(4))]
            entries += fresh
            tail.write(name, *fresh)
        ledger.lose_answers = source.choice([0, 1, 2])
        if source.random() < 0.1:
            loader = Loader(tail, ledger)
        loader.advance(NOW_US, float(second))
    ledger.lose_answers = 0
    settle(loader, start_s=100.0)
    assert ids(ledger) == sorted(entry.entry_id for entry in entries)


def test_the_thread_loads_until_it_is_told_to_stop(tail: MemoryTail, tmp_path: Path) -> None:
    ledger = open_duckdb(tmp_path)
    loaded = threading.Event()
    stop = threading.Event()
    loader = Loader(tail, ledger, on_loaded=lambda entries: loaded.set())
    thread = threading.Thread(target=loader.run, args=(stop,))
    thread.start()
    tail.write("a", ledger_entry())
    assert loaded.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    ledger.close()
