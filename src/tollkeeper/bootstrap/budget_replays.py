"""Who tries a budget on the past: the running server, or this process where none runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from tollkeeper import clock
from tollkeeper.bootstrap.report_source import ledger_of, organisation_in, running_server
from tollkeeper.domain.budgets import Budget
from tollkeeper.ports import DataFolder, Ledger, Store
from tollkeeper.reports.budget_replay import replay
from tollkeeper.services.budget_documents import names_of, replay_document

Told = Callable[[int, int], None]
_DAY_US: Final = 86_400_000_000


class ReplaySource(Protocol):
    """Tries budgets on the past: see ``POST /api/v1/budget-replays``."""

    def replay_budget(
        self, budget: Budget, words: Mapping[str, Any], days: int, tell: Told
    ) -> dict[str, Any]:
        """Try a budget that is there, or one with the words that it was read from.

        ``tell`` may be told how many windows are done, and of how many.
        """


@contextmanager
def open_replays(
    data: DataFolder, store: Store, tell: Callable[[str], None]
) -> Iterator[ReplaySource]:
    """Open whoever can read the ledger. ``tell`` gets a sentence if calls are left out.

    Raises ConfigError when the server of the folder may not be asked, LedgerInUse when another
    process than a server has the ledger open.
    """
    server = running_server(data)
    if server is not None:
        yield server
        return
    org = organisation_in(data)
    with ledger_of(data, tell) as ledger:
        yield _Here(ledger, store, org)


class _Here:
    """Replays in this process."""

    def __init__(self, ledger: Ledger, store: Store, org: str) -> None:
        self._ledger = ledger
        self._store = store
        self._org = org

    def replay_budget(
        self, budget: Budget, words: Mapping[str, Any], days: int, tell: Told
    ) -> dict[str, Any]:
        """Try a budget."""
        now_us = clock.now_us()
        start_us = now_us - days * _DAY_US
        found = replay(self._ledger, self._org, budget, start_us, now_us, tell)
        return replay_document(found, names_of(self._store))
