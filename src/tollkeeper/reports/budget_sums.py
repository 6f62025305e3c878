"""What the ledger says was spent of a budget in one window, by whom its rows count, and when.

The entries count as budgets count them: by the model that was asked for, and what was held
where a cost is not known. Which of them a budget counts, it decides itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.budget_windows import Window
from tollkeeper.domain.budgets import Budget, BudgetScope, Unit
from tollkeeper.domain.money import nanos_of_usd
from tollkeeper.domain.spenders import Caller
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.budget_columns import SCOPE_COLUMNS
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir


class _Shape(NamedTuple):
    selection: SelectionShape
    scope: BudgetScope
    tag: str
    unit: Unit
    by_hour: bool = False


class LedgerSums:
    """Implements ``services.balance_check.Sums`` for one organisation."""

    def __init__(self, ledger: Ledger, org: str) -> None:
        self._ledger = ledger
        self._org = org

    def of(self, budget: Budget, window: Window) -> Mapping[str, int]:
        """Sum up a window, as far as the budget counts: entity to amount in its unit."""
        return self._sums(budget, window, by_hour=False).get(0, {})

    def by_hour(self, budget: Budget, window: Window) -> Mapping[int, Mapping[str, int]]:
        """Sum up each hour of a window (of UTC, by its start): entity to amount, as ``of`` does."""
        return self._sums(budget, window, by_hour=True)

    def _sums(self, budget: Budget, window: Window, *, by_hour: bool) -> dict[int, dict[str, int]]:
        start_us = max(window.start_us, budget.since_us)
        selection = Selection(Scope(self._org), start_us, min(window.end_us, budget.until_us))
        shape = _Shape(selection.shape(), budget.scope, budget.tag, budget.unit, by_hour)
        values = selection.values()
        if by_hour:
            values |= zones.offset_values(zones.offsets("UTC", 0, 1))
        found: dict[int, dict[str, int]] = {}
        for row in self._ledger.run(_sums(self._ledger, shape), values):
            entity = _entity(budget, row)
            if entity is not None:
                sums = found.setdefault(row.get("hour", 0) * 1_000_000, {})
                sums[entity] = sums.get(entity, 0) + _amount(budget.unit, row["amount"])
        return found


def _entity(budget: Budget, row: Mapping[str, Any]) -> str | None:
    value = row["value"] or ""
    fields: dict[str, Any] = {"model": row["model"] or "", "tags": {budget.tag: value}}
    column = SCOPE_COLUMNS.get(budget.scope)
    if column is not None:
        fields[column] = value
    return budget.entity_of(Caller(**fields))


def _amount(unit: Unit, found: Any) -> int:
    if found is None:
        return 0
    return nanos_of_usd(found) if unit is Unit.USD else int(found)


@lru_cache(64)
def _sums(ledger: Ledger, shape: _Shape) -> ir.Table:
    table = selected(ledger, shape.selection)
    if shape.scope in SCOPE_COLUMNS:
        value: Any = table[SCOPE_COLUMNS[shape.scope]]
    elif shape.scope is BudgetScope.TAG:
        value = ledger.tag(table, shape.tag)
    else:
        value = ibis.literal("")
    if shape.unit is Unit.USD:
        amount: Any = ibis.coalesce(table.cost_usd, table.held_usd)
    elif shape.unit is Unit.TOKENS:
        amount = table.tokens_in + table.tokens_out
    else:
        amount = table.requests
    columns = {"value": value, "model": table.model_asked}
    if shape.by_hour:
        columns["hour"] = zones.local_hour(table.started_at, 0)
    table = table.select(**columns, amount=amount)
    return table.group_by(*columns).agg(amount=table.amount.sum())
