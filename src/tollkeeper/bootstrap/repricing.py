"""Who prices old calls again: the running server, or this process where none runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from tollkeeper import bootstrap, clock
from tollkeeper.bootstrap.price_books import configured_terms
from tollkeeper.bootstrap.report_source import (
    WAITING,
    organisation_in,
    running_server,
    some_wait,
)
from tollkeeper.config import Configuration
from tollkeeper.ports import DataFolder
from tollkeeper.reports.bookings import LedgerBookings
from tollkeeper.reports.repricing import asked_step, step_document
from tollkeeper.services.repricing import CurrentPrices, Repricer
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

_BY: Final = "command line"


class RepricingSource(Protocol):
    """Takes steps of repricing: see ``POST /api/v1/prices/reprice``."""

    def reprice(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take one step. Raises ValueError for what cannot be understood."""


@contextmanager
def open_repricing(
    data: DataFolder, configuration: Configuration, tell: Callable[[str], None]
) -> Iterator[RepricingSource]:
    """Open whoever can write the ledger. ``tell`` gets a sentence if calls are left out.

    Raises ConfigError when there is no store in the folder or its server may not be asked,
    LedgerInUse when another process than a server has the ledger open.
    """
    server = running_server(data)
    if server is not None:
        yield server
        return
    org = organisation_in(data)
    store = bootstrap.open_store(data)
    try:
        ledger = DuckDbLedger(data.ledger)
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
