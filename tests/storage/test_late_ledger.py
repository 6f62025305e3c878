"""A ledger that cannot be opened at first: everybody is told why, and it comes by itself."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.domain.errors import LedgerInUse, LedgerUnavailable
from tollkeeper.ports import Ledger, Position
from tollkeeper.storage.late_ledger import RETRY_S, LateLedger


class Opening:
    """Opens a ledger, once it may. ``now_s`` is the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure: LedgerUnavailable | None = LedgerInUse("in use by process 7", pid=7)
        self.tries = 0
        self.now_s = 100.0
        self.ledger = LateLedger("duckdb", self.open, now_s=lambda: self.now_s)

    def open(self) -> Ledger:
        self.tries += 1
        if self.failure is not None:
            raise self.failure
        return open_duckdb(self.folder)


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    return Opening(tmp_path)


def test_while_it_cannot_be_opened_every_use_says_why(opening: Opening) -> None:
    ledger = opening.ledger
    for use in (
        ledger.positions,
        ledger.entries,
        ledger.snapshot,
        ledger.maintain,
        lambda: ledger.append([ledger_entry()], Position("a", 1)),
        lambda: ledger.forget(["a"]),
    ):
        with pytest.raises(LedgerInUse, match="in use by process 7") as caught:
            use()
        assert caught.value.pid == 7
    assert ledger.fault == "in use by process 7"
    assert opening.tries == 1


def test_it_is_tried_again_after_a_pause_and_then_works(opening: Opening) -> None:
    with pytest.raises(LedgerInUse):
        opening.ledger.positions()
    opening.failure = None
    with pytest.raises(LedgerInUse):
        opening.ledger.positions()
    opening.now_s += RETRY_S
    assert opening.ledger.positions() == {}
    assert opening.ledger.append([ledger_entry()], Position("a", 1)) == 1
    count = opening.ledger.entries().aggregate(entries=opening.ledger.entries().count())
    assert opening.ledger.run(count) == [{"entries": 1}]
    assert (opening.ledger.fault, opening.tries) == ("", 2)
    opening.ledger.close()


def test_another_reason_takes_the_place_of_the_first(opening: Opening) -> None:
    with pytest.raises(LedgerInUse):
        opening.ledger.positions()
    opening.failure = LedgerUnavailable("the disk is full")
    opening.now_s += RETRY_S
    with pytest.raises(LedgerUnavailable, match="the disk is full"):
        opening.ledger.positions()
    assert opening.ledger.fault == "the disk is full"


def test_errors_that_are_raised_again_do_not_grow(opening: Opening) -> None:
    depths = []
    for _ in range(5):
        with pytest.raises(LedgerInUse) as caught:
            opening.ledger.positions()
        depths.append(len(caught.traceback))
    assert depths[1] == depths[-1]


def slow_opening(tmp_path: Path, begun: threading.Event, go_on: threading.Event) -> Ledger:
    begun.set()
    assert go_on.wait(20)
    return open_duckdb(tmp_path)


@pytest.mark.parametrize("wait_s", [0.01, 20.0])
def test_while_one_thread_opens_the_others_wait_a_while(tmp_path: Path, wait_s: float) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ledger = LateLedger("duckdb", partial(slow_opening, tmp_path, begun, go_on), wait_s=wait_s)
    opener = threading.Thread(target=ledger.positions)
    opener.start()
    assert begun.wait(20)
    if wait_s < 1:
        with pytest.raises(LedgerUnavailable, match="being opened"):
            ledger.positions()
        go_on.set()
    else:
        threading.Timer(0.05, go_on.set).start()
        assert ledger.positions() == {}
    opener.join(20)
    assert ledger.positions() == {}
    ledger.close()


def test_once_closed_it_is_not_opened_again(opening: Opening) -> None:
    opening.failure = None
    opening.ledger.positions()
    opening.ledger.close()
    opening.ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        opening.ledger.positions()
    assert opening.tries == 1
