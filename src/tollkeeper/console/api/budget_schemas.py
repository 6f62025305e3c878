"""Shapes of the API's answers about budgets, as JSON Schema."""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.console.api.budgets import (
    ChangedBudgetBody,
    NewBudgetBody,
    ReplayBody,
    TopUpBody,
)
from tollkeeper.console.api.schemas import COUNT, TEXT, TIME, Schema, exactly, listed, or_null
from tollkeeper.domain.budgets import BudgetScope, Mode, Sizing, Unit

AMOUNT: Final[Schema] = {
    "type": "string",
    "pattern": r"^-?[0-9]+(\.[0-9]{9})?$",
    "description": "In the budget's unit: USD with nine decimals, tokens and requests whole.",
}
_PERCENT: Final[Schema] = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
_FLAG: Final[Schema] = {"type": "boolean"}


def budget_schemas() -> dict[str, Schema]:
    """Give the named schemas, of bodies too."""
    _, bodies = msgspec.json.schema_components(
        [NewBudgetBody, ChangedBudgetBody, TopUpBody, ReplayBody],
        ref_template="#/components/schemas/{name}",
    )
    return {
        **bodies,
        "Budget": _budget(),
        "BudgetReplay": _replay(),
        "OwnBudget": exactly(
            {
                **dict.fromkeys(("id", "name", "whose", "window", "timezone"), TEXT),
                "unit": {"enum": list(Unit)},
                "mode": {"enum": list(Mode)},
                **_amounts(),
            }
        ),
    }


def _budget() -> Schema:
    texts = ("id", "name", "match", "match_name", "window", "timezone")
    balance = exactly({"entity": TEXT, "entity_name": TEXT, **_amounts()})
    return exactly(
        {
            **dict.fromkeys(texts, TEXT),
            "state": {"enum": ["active", "planned", "ended"]},
            "managed_by": or_null(TEXT),
            "scope": {"enum": list(BudgetScope)},
            "each": _FLAG,
            "tag": or_null(TEXT),
            "unit": {"enum": list(Unit)},
            "limit": AMOUNT,
            "rollover": AMOUNT,
            "mode": {"enum": list(Mode)},
            "sizing": {"enum": list(Sizing)},
            "exempt_models": listed(TEXT),
            "alert_at": listed(_PERCENT),
            "since": or_null(TIME),
            "until": or_null(TIME),
            "version": {"type": "integer", "minimum": 1},
            "balances": listed(balance),
        }
    )


def _amounts() -> dict[str, Schema]:
    return {
        **dict.fromkeys(("spent", "held", "left", "limit"), AMOUNT),
        "used_percent": _PERCENT,
        "resets_at": or_null(TIME),
    }


def _replay() -> Schema:
    refused = {"refused_calls": COUNT, "refused_amount": AMOUNT}
    window = {
        **dict.fromkeys(("entity", "entity_name"), TEXT),
        "from": TIME,
        "to": or_null(TIME),
        "calls": COUNT,
        "amount": AMOUNT,
        **refused,
        "first_refused_at": TIME,
    }
    return exactly(
        {
            "budget_id": or_null(TEXT),
            "name": TEXT,
            "unit": {"enum": list(Unit)},
            "limit": AMOUNT,
            "from": TIME,
            "to": TIME,
            "calls": COUNT,
            "amount": AMOUNT,
            **refused,
            "unpriced_calls": COUNT,
            "windows_refusing": COUNT,
            "windows": listed(exactly(window)),
            "whom": listed(exactly({"id": TEXT, "name": TEXT, **refused})),
            "method": TEXT,
        }
    )
