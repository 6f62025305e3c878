"""What the console does for budgets: late bookings, and the check of balances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Final

from tollkeeper import bootstrap
from tollkeeper.domain.budgets import BalanceKey
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.jobs.table import Job
from tollkeeper.ports import DataFolder, Ledger, Store
from tollkeeper.reports.budget_sums import LedgerSums
from tollkeeper.services.balance_check import BalanceCheck
from tollkeeper.services.late_spending import LateSpending
from tollkeeper.services.loading import LoaderStatus, OnLoaded
from tollkeeper.telemetry import logger

_LATE_S: Final = 1.0
_CHECK_S: Final = 5.0
_LOST_S: Final = 60.0
_FORGET_S: Final = 3_600.0
_KEPT_US: Final = 40 * 86_400 * 1_000_000
"""So long it is known what was held and booked: longer than anybody tells it again."""


class ConsoleBudgets:
    """Late bookings and the hourly check, as jobs. ``gauges`` are for the metrics."""

    def __init__(
        self,
        data: DataFolder,
        store: Store,
        ledger: Ledger,
        org: str,
        now_us: Callable[[], int],
    ) -> None:
        self.status: Callable[[], LoaderStatus] = LoaderStatus
        self._connect = partial(bootstrap.open_budget_authority, data)
        self._now_us = now_us
        self._late = LateSpending(self._connect, store.budgets, now_us)
        self._check = BalanceCheck(
            store, LedgerSums(ledger, org), now_us, self._has_caught_up, self._abandoned
        )
        self.gauges = self._check.gauges

    def also(self, on_loaded: OnLoaded) -> OnLoaded:
        """Give a listener of the loader that tells these, too."""

        def both(entries: Sequence[LedgerEntry]) -> None:
            self._late.notice(entries)
            on_loaded(entries)

        return both

    def jobs(self) -> tuple[Job, ...]:
        """Give what is done now and then."""
        return (
            Job("book what is late", _LATE_S, self._late.take_turn),
            Job("check balances", _CHECK_S, self._check.take_turn),
            Job("look for lost leases", _LOST_S, self._look_for_lost),
            Job("forget what was held", _FORGET_S, self._forget_holds),
        )

    def _abandoned(self) -> Mapping[BalanceKey, int]:
        with closing(self._connect()) as authority:
            return authority.abandoned()

    def _look_for_lost(self) -> None:
        """Tell of gateways that have not been heard of: what they leased stays held.

        It is settled when the gateway starts again, or when somebody says that it never will.
        """
        with closing(self._connect()) as authority:
            for lost in authority.expire(self._now_us()):
                if lost.held:
                    about = {"gateway": lost.gateway, "budget": lost.key.budget_id}
                    lasting = f"if its disk is lost: tollkeeper budgets abandon {lost.gateway}"
                    about |= {"held": str(lost.held), "help": lasting}
                    logger.warning("a gateway is not heard of", extra=about)

    def _forget_holds(self) -> None:
        with closing(self._connect()) as authority:
            authority.prune(self._now_us() - _KEPT_US)

    def _has_caught_up(self) -> bool:
        status = self.status()
        return not (status.lag_entries or status.fault)
