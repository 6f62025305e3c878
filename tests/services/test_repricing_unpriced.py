"""Calls without a price get one by themselves: once for each price version, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ledger_entries import START_US
from ledgers import open_duckdb
from repricing_desk import NOW_US, Desk, book, called
from stores import DAY, open_folder
from tollkeeper.domain.usage import Usage
from tollkeeper.services import months
from tollkeeper.services.repricing_unpriced import SETTLE_US, UnpricedCalls

USAGE = Usage({"input": 1_000_000})


class Turns:
    """A desk whose console takes turns, by a clock that the test moves."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.now_us = NOW_US
        self.waiting = 0
        self.elapsed_s = 0.0
        self.start()

    def start(self) -> None:
        """Begin as a new process does."""
        self.calls = UnpricedCalls(
            self.desk.repricer,
            self.desk.store,
            lambda: self.desk.book.version,
            lambda: self.now_us,
            lambda: self.waiting,
            now_s=self._clock_s,
        )

    def _clock_s(self) -> float:
        self.elapsed_s += 0.1
        return self.elapsed_s

    def take(self, after_us: int = 0) -> list[str]:
        """Take a turn some time later; give the ids of what was corrected."""
        self.now_us += after_us
        self.desk.booked.clear()
        self.calls.take_turn()
        return sorted({entry.corrects for entry in self.desk.booked})


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Turns]:
    ledger, store = open_duckdb(tmp_path), open_folder(tmp_path).store
    yield Turns(Desk(ledger, store, book("book-0", {"red": "1"})))
    ledger.close()
    store.close()


def test_a_new_version_is_tried_on_what_has_no_price_and_on_nothing_else(turns: Turns) -> None:
    desk = turns.desk
    priced = called(START_US, "red", USAGE, desk.book)
    green = called(START_US + 1, "green", USAGE, desk.book)
    blue = called(START_US + 2, "blue", USAGE, desk.book)
    desk.load([priced, green, blue])
    desk.book = book("book-1", {"red": "9", "green": "2"})
    assert turns.take() == [green.entry_id]
    # A call that a gateway was just pricing by the version before, loaded a moment later:
    late = called(START_US + 3, "green", USAGE, book("book-0", {}))
    desk.ledger.append([late._replace(org=desk.org)], None)
    assert turns.take(SETTLE_US - 1) == []
    turns.waiting = 5
    assert turns.take(1) == []
    turns.waiting = 0
    assert turns.take() == [late.entry_id]
    run = desk.store.last_pricing_run()
    assert run is not None
    assert (run.price_version, run.priced, run.unpriced) == ("book-1", 2, 1)
    assert run.ended_at_us == turns.now_us
    another = called(START_US + 4, "green", USAGE, book("book-0", {}))
    desk.ledger.append([another._replace(org=desk.org)], None)
    turns.start()
    assert turns.take(DAY) == []  # this version is done, also after a restart
    desk.book = book("book-2", {"blue": "3", "green": "8"})
    assert turns.take() == sorted([blue.entry_id, another.entry_id])


def test_what_was_cut_off_is_gone_on_with_after_a_restart(turns: Turns) -> None:
    desk = turns.desk
    desk.load([called(START_US + n, "green", USAGE, desk.book) for n in range(3)])
    desk.book = book("book-1", {"green": "2"})
    turns.take()
    late = called(START_US + 9, "green", USAGE, book("book-0", {}))
    desk.ledger.append([late._replace(org=desk.org)], None)
    turns.start()
    assert turns.take() == []
    assert turns.take(SETTLE_US) == [late.entry_id]
    assert turns.take(SETTLE_US) == []


def test_closed_months_are_left_alone(turns: Turns) -> None:
    desk = turns.desk
    october = called(START_US + 20 * DAY, "green", USAGE, desk.book)
    december = called(START_US + 80 * DAY, "green", USAGE, desk.book)
    desk.load([october, december])
    months.close(desk.store, "2026-10", ZoneInfo("UTC"), NOW_US, "test")
    desk.book = book("book-1", {"green": "2"})
    assert turns.take() == [december.entry_id]
