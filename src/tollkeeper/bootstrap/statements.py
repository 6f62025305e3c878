"""Who shows and issues statements: the running server, or this process where none runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from tollkeeper import bootstrap, clock
from tollkeeper.bootstrap.report_source import ledger_of, server_or_here
from tollkeeper.config import Configuration
from tollkeeper.ports import DataFolder
from tollkeeper.reports.statement_facts import LedgerFacts
from tollkeeper.services.statement_answers import month_document, months_document
from tollkeeper.services.statements import StatementDesk
from tollkeeper.storage.parquet_table import parquet_bytes as parquet_bytes

_BY: Final = "command line"


class StatementSource(Protocol):
    """Answers as ``/api/v1/statements`` does, for all teams."""

    def statements(self) -> dict[str, Any]:
        """List the months."""

    def statement(self, month: str) -> dict[str, Any]:
        """Give one month. Raises LookupError or TollkeeperError for one that is none."""

    def issue_statement(self, month: str) -> dict[str, Any]:
        """Issue a month's statement. Raises TollkeeperError where it cannot be issued."""


def open_statements(
    data: DataFolder, configuration: Configuration, tell: Callable[[str], None]
) -> AbstractContextManager[StatementSource]:
    """Open whoever can answer: see ``server_or_here``. ``tell`` gets a sentence if calls wait to
    be loaded."""
    return server_or_here(data, lambda org: _statements_here(data, org, configuration, tell))


@contextmanager
def _statements_here(
    data: DataFolder, org: str, configuration: Configuration, tell: Callable[[str], None]
) -> Iterator[_Here]:
    store = bootstrap.open_store(data)
    try:
        with ledger_of(data, tell) as ledger:
            zone = ZoneInfo(configuration.settings.timezone)
            yield _Here(
                StatementDesk(
                    *(LedgerFacts(ledger, org), store, org, zone, configuration.sharing),
                    *(lambda: configuration.seat_plans, clock.now_us),
                )
            )
    finally:
        store.close()


class _Here:
    """Answers in this process."""

    def __init__(self, desk: StatementDesk) -> None:
        self._desk = desk

    def statements(self) -> dict[str, Any]:
        """List the months."""
        return months_document(self._desk.zone, self._desk.months(), None)

    def statement(self, month: str) -> dict[str, Any]:
        """Give one month."""
        view = self._desk.month(month)
        return month_document(view, view.statement, view.waiting, 0)

    def issue_statement(self, month: str) -> dict[str, Any]:
        """Issue a month's statement."""
        view = self._desk.close(month, _BY)
        return month_document(view, view.statement, None, 0)
