"""Holds balances against the ledger, every hour: each row is the sum of its entries, or it drifts.

Calls go on meanwhile, and gateways report a little later than they journal. So a row is looked
at before and after the ledger is summed up: what was spent before must be booked by then, and
what is booked must be spent, or leased, afterwards. Where nothing moves, this is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.budget_book import Drift
from tollkeeper.domain.budget_windows import Window
from tollkeeper.domain.budgets import Balance, BalanceKey, Budget, Budgets
from tollkeeper.telemetry import logger

EVERY_US: Final = 3_600_000_000
SETTLES_US: Final = 10_000_000
"""So long after the first look all that it showed is in the ledger, if the loader keeps up."""
TOLD_US: Final = 3_000_000
"""So long after its outcome is journaled every gateway has told of a call, if it can."""
_SHOWN_MAX: Final = 20


class Sums(Protocol):
    """The ledger, asked what was spent of a budget."""

    def of(self, budget: Budget, window: Window) -> Mapping[str, int]:
        """Sum up a window by the entities of a budget."""


class Checked(NamedTuple):
    """What the last check found: when, how many rows, and which of them say something else."""

    at_us: int = 0
    rows: int = 0
    drifts: tuple[Drift, ...] = ()


class BalanceCheck:
    """Checks once in an hour. ``has_caught_up`` tells that the ledger has all that is journaled.

    ``abandoned`` gives what was charged for gateways whose journal is lost
    (``BudgetAuthority.abandoned``).
    """

    def __init__(
        self,
        store: Budgets,
        sums: Sums,
        now_us: Callable[[], int],
        has_caught_up: Callable[[], bool],
        abandoned: Callable[[], Mapping[BalanceKey, int]] = dict,
    ) -> None:
        self.checked = Checked()
        self._store = store
        self._sums = sums
        self._now_us = now_us
        self._has_caught_up = has_caught_up
        self._abandoned = abandoned
        self._before: Sequence[Balance] = ()
        self._looked_at_us = self._summed_at_us = 0
        self._booked: Mapping[BalanceKey, int] | None = None

    def take_turn(self) -> None:
        """Begin a check when it is time for one, or go on with it.

        Raises OSError or LedgerUnavailable where the store or the ledger cannot answer.
        """
        now_us = self._now_us()
        if self._booked is not None:
            if now_us - self._summed_at_us >= TOLD_US:
                booked, self._booked = self._booked, None
                self.checked = self._compared(booked, now_us)
                self._before = ()
                self._tell()
        elif self._before:
            if now_us - self._looked_at_us >= SETTLES_US and self._has_caught_up():
                self._booked, self._summed_at_us = self._sum_up(), now_us
        elif now_us - self._looked_at_us >= EVERY_US:
            self._looked_at_us = now_us
            self._before = self._rows(now_us)

    def _rows(self, now_us: int) -> Sequence[Balance]:
        """Give the rows of windows that last, or have ended since the last check."""
        rows = [*self._store.balances(at_us=now_us - EVERY_US), *self._store.balances(at_us=now_us)]
        return list({row.key: row for row in rows}.values())

    def _sum_up(self) -> Mapping[BalanceKey, int]:
        budgets = {budget.budget_id: budget for budget in self._store.budgets()}
        windows = {
            (row.key.budget_id, Window(row.key.window_start_us, row.window_end_us))
            for row in self._before
        }
        booked = dict(self._abandoned())  # spent, for all that anybody knows
        for budget_id, window in sorted(windows):
            for entity, amount in self._sums.of(budgets[budget_id], window).items():
                key = BalanceKey(budget_id, entity, window.start_us)
                booked[key] = booked.get(key, 0) + amount
        return booked

    def _compared(self, booked: Mapping[BalanceKey, int], now_us: int) -> Checked:
        after = {row.key: row for row in self._rows(self._looked_at_us)}
        found = []
        for row in self._before:
            now, amount = after.get(row.key, row), booked.get(row.key, 0)
            if not row.posted <= amount <= now.posted + now.leased:
                found.append(Drift(row.key, now.posted, amount, now.leased))
        return Checked(now_us, len(self._before), tuple(found))

    def _tell(self) -> None:
        drifts = self.checked.drifts
        if not drifts:
            logger.info("balances agree with the ledger", extra={"rows": self.checked.rows})
            return
        shown = [
            f"{it.key.budget_id}/{it.key.entity}: {it.posted} not {it.booked}"
            for it in drifts[:_SHOWN_MAX]
        ]
        logger.error(
            "balances differ from the ledger",
            extra={"rows": len(drifts), "which": "; ".join(shown)},
        )

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Give what a scrape shows: name to help text and value."""
        checked = self.checked
        return {
            "tollkeeper_budget_rows_checked": ("Balances compared last", float(checked.rows)),
            "tollkeeper_budget_drifts": (
                "Balances that differ from the ledger's sums",
                float(len(checked.drifts)),
            ),
        }
