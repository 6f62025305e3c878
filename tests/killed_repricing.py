"""Run by test_repricing_kill.py: prices a ledger's entries again, two at a time, until killed.

    python killed_repricing.py FOLDER VERSION PRICE

Writes a line once the first step is done.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.repricing import RepricingQuestion
from tollkeeper.ports import DataFolder
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.services.repricing import CurrentPrices, Repricer, following
from tollkeeper.storage.duckdb.handle import Settings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.store.store import open_sql_store

ORG = "acme"
END_US = 2_000_000_000_000_000


def book(version: str, price: str) -> PriceBook:
    """Give a book with one model at one price a million tokens."""
    models: Any = [{"model": "red", "prices": [{"usd": {"input": price}}]}]
    return PriceBook(version, {"paint": {"provider": "paint", "name": "Paint", "models": models}})


def reprice(folder: Path, version: str, price: str, *, tell: bool) -> None:
    """Price everything again; corrections are written two entries at a time."""
    data = DataFolder(folder)
    ledger = DuckDbLedger(data.ledger, Settings("256MB", 1))
    store = open_sql_store(data.store)
    current = CurrentPrices(book(version, price), {"shop": "paint"})
    repricer = Repricer(LedgerBookings(ledger, ORG), ledger, store, lambda: current, lambda: END_US)
    question: RepricingQuestion | None = RepricingQuestion(0, END_US)
    while question is not None:
        step = repricer.step(question, write=True, by="test", most=2)
        question = following(question, step)
        if tell:
            print("step", flush=True)
            tell = False
    ledger.close()
    store.close()


if __name__ == "__main__":
    reprice(Path(sys.argv[1]), sys.argv[2], sys.argv[3], tell=True)
