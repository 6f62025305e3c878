"""How a budget looks in a row, for the store and the budget authority alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Budget, BudgetScope, Mode, Sizing, Unit

BUDGET_COLUMNS: Final = (
    "budget_id",
    "name",
    "scope",
    "unit",
    "limit_amount",
    "window_kind",
    "zone",
    "first_weekday",
    "first_month",
    "first_day",
    "match_value",
    "each_value",
    "tag",
    "mode",
    "sizing",
    "exempt_models",
    "rollover_max",
    "thresholds_bp",
    "since_us",
    "until_us",
    "version",
)


def write_budget(budget: Budget) -> Mapping[str, Any]:
    """Give the values of ``BUDGET_COLUMNS`` by their names."""
    window = budget.window
    values = (
        budget.budget_id,
        budget.name,
        str(budget.scope),
        str(budget.unit),
        budget.limit,
        str(window.kind),
        window.zone,
        window.first_weekday,
        window.first_month,
        window.first_day,
        budget.match,
        budget.each,
        budget.tag,
        str(budget.mode),
        str(budget.sizing),
        json.dumps(budget.exempt_models, ensure_ascii=False),
        budget.rollover_max,
        json.dumps(budget.thresholds_bp),
        budget.since_us,
        budget.until_us,
        budget.version,
    )
    return dict(zip(BUDGET_COLUMNS, values, strict=True))


def read_budget(row: Sequence[Any]) -> Budget:
    """Read a row of the values of ``BUDGET_COLUMNS``."""
    found = dict(zip(BUDGET_COLUMNS, row, strict=True))
    return Budget(
        budget_id=found["budget_id"],
        name=found["name"],
        scope=BudgetScope(found["scope"]),
        unit=Unit(found["unit"]),
        limit=found["limit_amount"],
        window=WindowRule(
            WindowKind(found["window_kind"]),
            found["zone"],
            found["first_weekday"],
            found["first_month"],
            found["first_day"],
        ),
        match=found["match_value"],
        each=bool(found["each_value"]),
        tag=found["tag"],
        mode=Mode(found["mode"]),
        sizing=Sizing(found["sizing"]),
        exempt_models=tuple(json.loads(found["exempt_models"])),
        rollover_max=found["rollover_max"],
        thresholds_bp=tuple(json.loads(found["thresholds_bp"])),
        since_us=found["since_us"],
        until_us=found["until_us"],
        version=found["version"],
    )
