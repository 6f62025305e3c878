"""Who prices old calls again: the running server, or this process where none runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol

from tollkeeper import bootstrap, clock
from tollkeeper.bootstrap.ledgers import open_ledger
from tollkeeper.bootstrap.price_books import configured_terms
from tollkeeper.bootstrap.report_source import WAITING, server_or_here, some_wait
from tollkeeper.config import Configuration
from tollkeeper.ports import DataFolder
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.repricing import asked_step, step_document
from tollkeeper.services.repricing import CurrentPrices, Repricer

_BY: Final = "command line"


class RepricingSource(Protocol):
    """Takes steps of repricing: see ``POST /api/v1/prices/reprice``."""

    def reprice(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take one step. Raises ValueError for what cannot be understood."""


def open_repricing(
    data: DataFolder, configuration: Configuration, tell: Callable[[str], None]
) -> AbstractContextManager[RepricingSource]:
    """Open whoever can write the ledger: see ``server_or_here``. ``tell`` gets a sentence if
    calls are left out."""
    return server_or_here(data, lambda org: _repricing_here(data, org, configuration, tell))


@contextmanager
def _repricing_here(
    data: DataFolder, org: str, configuration: Configuration, tell: Callable[[str], None]
) -> Iterator[_Here]:
    store = bootstrap.open_store(data)
    try:
        ledger = open_ledger(data)
        try:
            if some_wait(data.journal, ledger):
                tell(WAITING)
            terms = configured_terms(configuration, data)
            current = CurrentPrices(terms.book, terms.accounts)
            yield _Here(
                Repricer(LedgerBookings(ledger, org), ledger, store, lambda: current, clock.now_us),
                configuration.settings.timezone,
            )
        finally:
            ledger.close()
    finally:
        store.close()


class _Here:
    """Takes the steps in this process."""

    def __init__(self, repricer: Repricer, zone: str) -> None:
        self._repricer = repricer
        self._zone = zone

    def reprice(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take one step."""
        asked = asked_step(body, clock.now_us(), self._zone)
        total = self._repricer.count(asked.question) if asked.first else None
        step = self._repricer.step(asked.question, write=not asked.dry_run, by=_BY)
        return step_document(step, asked, total)
