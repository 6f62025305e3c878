"""What the version before corrections wrote is read on: its journal, and its ledger's file.

``former/`` holds a journal and a ledger of four calls and a refusal, as that version wrote
them: a priced call, one without a price, a batch line, an estimate.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ledgers import SMALL, open_duckdb
from stores import DAY, open_folder
from tollkeeper import clock
from tollkeeper.domain.corrections import bookings_of, price_inputs
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.domain.repricing import RepricingQuestion
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.call import COLUMNS, entry_of
from tollkeeper.services.loading import Loader
from tollkeeper.services.repricing import CurrentPrices, Repricer
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.journal.tail import FolderTail

FORMER = Path(__file__).with_name("former")
END_US = 1_790_000_000_000_000 + DAY


def unpacked(name: str, target: Path) -> Path:
    target.write_bytes(gzip.decompress((FORMER / f"{name}.gz").read_bytes()))
    return target


def entries_in(ledger: DuckDbLedger) -> list[LedgerEntry]:
    rows = ledger.run(ledger.entries().select(*COLUMNS).order_by("started_at", "entry_id"))
    return [entry_of(row) for row in rows]


def require_what_was_written(entries: list[LedgerEntry]) -> None:
    costs = [(entry.model_served, entry.basis, entry.cost_nanos) for entry in entries]
    assert costs == [
        ("gpt-4.1-2025-04-14", Basis.MEASURED, 2_800_000),
        ("gpt-99", Basis.UNPRICED, None),
        ("claude-haiku-4-5-20251001", Basis.MEASURED, 750_000),
        ("gpt-4.1-2025-04-14", Basis.ESTIMATED, 34_000),
    ]
    assert {(entry.revision, entry.sign, entry.corrects) for entry in entries} == {(0, 1, "")}


def test_a_journal_of_before_is_loaded_with_every_call(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    unpacked("segment.journal", folder / f"{1_790_000_000_000_000:016d}-77.00000001.journal")
    ledger = open_duckdb(tmp_path)
    loader = Loader(FolderTail(folder), ledger)
    loader.advance(clock.now_us(), clock.monotonic_s())
    entries = entries_in(ledger)
    ledger.close()
    assert (loader.status.loaded, loader.status.damaged, loader.status.fault) == (5, 0, "")
    require_what_was_written(entries[:4])
    assert entries[4].outcome == "refused"


def test_a_ledger_of_before_is_migrated_and_priced_again(tmp_path: Path) -> None:
    file = unpacked("ledger.duckdb", tmp_path / "ledger.duckdb")
    with pytest.raises(LedgerUnavailable, match="start"):
        DuckDbLedger(file, SMALL._replace(read_only=True))
    for _ in range(2):  # the second time there is nothing left to migrate
        ledger = open_duckdb(tmp_path)
        entries = entries_in(ledger)
        require_what_was_written(entries)
        assert ledger.positions() == {"former.1": 2_128}
        ledger.close()
    inputs = [price_inputs(entry) for entry in entries]
    assert [(each.provider, each.usage.batch, each.stated) for each in inputs if each] == [
        ("openai", False, True),
        ("openai", False, True),
        ("anthropic", True, True),
        ("openai", False, False),
    ]
    store = open_folder(tmp_path).store
    ledger = open_duckdb(tmp_path)
    current = CurrentPrices(shipped_price_book(), {})
    repricer = Repricer(LedgerBookings(ledger, "acme"), ledger, store, lambda: current, lambda: 1)
    step = repricer.step(RepricingQuestion(0, END_US), write=True, by="test")
    standing = [booking.standing for booking in bookings_of(entries_in(ledger))]
    # Three prices are what they were, found by their keys; one model is unknown to this day.
    assert (step.seen, step.corrected, step.unpriced) == (4, 0, 1)
    assert standing == entries
    ledger.close()
    store.close()
