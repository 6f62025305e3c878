"""All budgets together: what a call concerns, and whether balances are what was booked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tollkeeper.domain.budget_windows import LATEST_US, Window, WindowRule
from tollkeeper.domain.budgets import (
    ANY,
    GLOBS,
    Amounts,
    Balance,
    BalanceKey,
    Budget,
    BudgetScope,
    Concern,
    Spender,
    amount_of,
    value_of,
)


class Book:
    """All budgets, asked what concerns a call. One version of them.

    Budgets on one value are found by it, so that ten thousand of them cost a call nothing.
    Windows are remembered while they last.
    """

    def __init__(self, budgets: Iterable[Budget] = ()) -> None:
        self.budgets: Sequence[Budget] = tuple(sorted(budgets, key=lambda it: it.budget_id))
        edges = {edge for it in self.budgets for edge in (it.since_us, it.until_us)}
        self._edges_us = sorted(edges | {LATEST_US})
        self._tried = [it for it in self.budgets if it.match == ANY or it.scope in GLOBS]
        self._named: dict[tuple[BudgetScope, str, str], list[Budget]] = {}
        for it in self.budgets:
            if it.match != ANY and it.scope not in GLOBS:
                self._named.setdefault((it.scope, it.tag, it.match), []).append(it)
        self._kinds = sorted({(scope, tag) for scope, tag, _ in self._named})
        self._windows: dict[WindowRule, Window] = {}

    def concerns(self, call: Spender, at_us: int) -> tuple[Concern, ...]:
        """Give what a call that begins at a time concerns, sorted: all must have room for it."""
        candidates = list(self._tried)
        for scope, tag in self._kinds:
            candidates += self._named.get((scope, tag, value_of(call, scope, tag)), ())
        found = []
        for budget in candidates:
            if not budget.since_us <= at_us < budget.until_us:
                continue
            entity = budget.entity_of(call)
            if entity is not None:
                window = self._window(budget.window, at_us)
                key = BalanceKey(budget.budget_id, entity, window.start_us)
                found.append(Concern(key, window.end_us, budget))
        return tuple(sorted(found))

    def _window(self, rule: WindowRule, at_us: int) -> Window:
        window = self._windows.get(rule)
        if window is None or not window.start_us <= at_us < window.end_us:
            window = self._windows[rule] = rule.around(at_us)
        return window

    def edges_around(self, at_us: int) -> tuple[int, int]:
        """Say from when to before when the same budgets count as at a time."""
        following = bisect_right(self._edges_us, at_us)
        return (self._edges_us[following - 1] if following else 0), self._edges_us[following]


class Drift(NamedTuple):
    """A row that says something else than the entries that it stands for.

    ``posted`` is the row's, ``booked`` what the entries sum up to. What gateways spent from
    leases and have not reported yet is no drift: up to ``leased`` may be missing.
    """

    key: BalanceKey
    posted: int
    booked: int
    leased: int


def booked_sums(
    book: Book, bookings: Iterable[tuple[Spender, int, Amounts]]
) -> dict[BalanceKey, int]:
    """Sum up what calls cost by row: each is (call, when it was held, what it came to).

    An unknown amount counts as nothing here; its basis tells it apart in the ledger.
    """
    sums: dict[BalanceKey, int] = {}
    for call, at_us, amounts in bookings:
        for concern in book.concerns(call, at_us):
            amount = amount_of(amounts, concern.budget.unit) or 0
            sums[concern.key] = sums.get(concern.key, 0) + amount
    return sums


def drifts(balances: Iterable[Balance], booked: Mapping[BalanceKey, int]) -> list[Drift]:
    """Compare rows with the sums of their entries; rows that agree are left out."""
    rows = {balance.key: balance for balance in balances}
    found = []
    for key in sorted(rows.keys() | booked.keys()):
        row = rows.get(key)
        posted, leased = (row.posted, row.leased) if row else (0, 0)
        sum_booked = booked.get(key, 0)
        if not 0 <= sum_booked - posted <= leased:
            found.append(Drift(key, posted, sum_booked, leased))
    return found
