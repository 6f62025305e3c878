"""A ledger and a repricer over it, with books of one provider: for tests of repricing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from ledger_entries import START_US, held_call, profile
from stores import DAY
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry, Outcome, entries_of
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.repricing import RepricingQuestion, RepricingStep
from tollkeeper.domain.usage import Usage
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports import bindings
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.call import COLUMNS, entry_of
from tollkeeper.reports.period import period_between
from tollkeeper.reports.usage import UsageQuestion, usage
from tollkeeper.services.repricing import CurrentPrices, Repricer, following
from tollkeeper.services.settlement import Ending, settle
from tollkeeper.storage.store.store import SqlStore

NOW_US = START_US + 90 * DAY
_orgs = count()


def book(version: str, prices: Mapping[str, str]) -> PriceBook:
    """A book of one provider, with one price a million tokens of any kind for each model."""
    models: Any = [
        {"model": model, "prices": [{"usd": {"input": price, "output": price}}]}
        for model, price in prices.items()
    ]
    return PriceBook(version, {"paint": {"provider": "paint", "name": "Paint", "models": models}})


def called(at_us: int, model: str, usage: Usage, prices: PriceBook, **who: Any) -> LedgerEntry:
    """A call as the gateway books it by a book."""
    someone = profile(
        provider="shop", price_provider="paint", model=model, model_requested=model, **who
    )
    held = held_call(started_at_us=at_us, profile=someone)
    outcome = Outcome.OK
    (entry,) = entries_of(held, settle(held, Ending(200, outcome, 10, usage=usage), prices))
    return entry


class Desk:
    """A ledger and a store, and a repricer over both, for one organisation."""

    def __init__(self, ledger: Ledger, store: SqlStore, first: PriceBook) -> None:
        self.org = f"org-{next(_orgs)}"
        self.ledger = ledger
        self.store = store
        self.book = first
        self.booked: list[LedgerEntry] = []
        self.repricer = Repricer(
            LedgerBookings(ledger, self.org),
            ledger,
            store,
            lambda: CurrentPrices(self.book, {"shop": "paint"}),
            lambda: NOW_US,
            self.booked.extend,
        )

    def load(self, entries: Sequence[LedgerEntry]) -> None:
        self.ledger.append(
            [entry._replace(org=self.org) for entry in entries], Position(self.org, 1)
        )

    def entries(self) -> list[LedgerEntry]:
        table = self.ledger.entries()
        table = table.filter(table.org == bindings.text("org")).select(*COLUMNS)
        rows = self.ledger.run(table.order_by("started_at", "entry_id"), {"org": self.org})
        return [entry_of(row) for row in rows]

    def reprice(self, *, write: bool = True, most: int = 3, **which: Any) -> list[RepricingStep]:
        question: RepricingQuestion | None = RepricingQuestion(0, NOW_US, **which)
        steps = []
        while question is not None:
            steps.append(self.repricer.step(question, write=write, by="test", most=most))
            question = following(question, steps[-1])
        return steps

    def sums(self, *group_by: str) -> dict[tuple[Any, ...], tuple[Decimal | None, int, int, int]]:
        """Give cost, requests, tokens and unpriced calls of each group."""
        first, last = ("2026-09-01", "2027-01-31")
        question = UsageQuestion(
            period_between(first, last, "UTC", NOW_US),
            ("cost_usd", "requests", "tokens"),
            group_by,
        )
        answer = usage(self.ledger, Scope(self.org), question)
        return {
            tuple(row.keys.values()): (*row.values.values(), row.unpriced)  # type: ignore[misc]
            for row in answer.rows
        }
