"""Budgets as data and in plain words: the same for the API, the command line and the pages."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.domain.budget_replay import Replay
from tollkeeper.domain.budget_windows import ENDLESS, LATEST_US
from tollkeeper.domain.budget_words import is_of_file, percent_words, window_words
from tollkeeper.domain.budgets import ANY, Balance, Budget, BudgetScope, Unit
from tollkeeper.domain.file_budgets import FILE as FILE
from tollkeeper.domain.money import usd_text
from tollkeeper.ports import Store
from tollkeeper.services.budget_standings import Standing, opens_at_us, used_bp
from tollkeeper.services.budgets import state_of

METHOD: Final = (
    "Calls by the order of their beginnings, each at what it cost: one is refused where its cost "
    "does not fit beside the cost of those let through before it. What is held for calls under "
    "way is left out, so a budget may refuse a little more at its edge."
)
_EACH: Final[Mapping[BudgetScope, str]] = {
    BudgetScope.TEAM: "Each team",
    BudgetScope.USER: "Each person",
    BudgetScope.KEY: "Each key",
    BudgetScope.MODEL: "Each model",
    BudgetScope.PROVIDER: "Each provider",
    BudgetScope.ENDPOINT: "Each endpoint",
    BudgetScope.TOOL: "Each tool",
    BudgetScope.END_CUSTOMER: "Each customer",
    BudgetScope.SESSION: "Each session",
}
_ONE: Final[Mapping[BudgetScope, str]] = {
    BudgetScope.TEAM: "Team",
    BudgetScope.KEY: "Key",
    BudgetScope.MODEL: "Model",
    BudgetScope.PROVIDER: "Provider",
    BudgetScope.ENDPOINT: "Endpoint",
    BudgetScope.TOOL: "Tool",
    BudgetScope.END_CUSTOMER: "Customer",
    BudgetScope.SESSION: "Session",
}


class Names(NamedTuple):
    """What people call what budgets know by an id: addresses of people, names of keys."""

    people: Mapping[str, str]
    keys: Mapping[str, str]

    def of(self, scope: BudgetScope, value: str) -> str:
        """Give the name of a value of a scope, the value itself where it has none."""
        if scope is BudgetScope.USER:
            return self.people.get(value, value)
        return self.keys.get(value, value) if scope is BudgetScope.KEY else value


def names_of(store: Store) -> Names:
    """Look up what people call each other and their keys."""
    return Names(
        {user.user_id: user.email for user in store.users()},
        {record.key.key_id: record.key.name for record in store.keys()},  # noqa: SIM118 - no dict
    )


def whose(budget: Budget, names: Names) -> str:
    """Say whose calls a budget counts: ``Each person``, ``Team core``, ``The organisation``."""
    scope, value = budget.scope, names.of(budget.scope, budget.match)
    if scope is BudgetScope.ORG:
        return "The organisation"
    if scope is BudgetScope.TAG:
        of = "" if budget.match == ANY else f" = {value}"
        return f"Each value of the tag {budget.tag}" if budget.each else f"Tag {budget.tag}{of}"
    if budget.each:
        return _EACH[scope] + ("" if budget.match == ANY else f" ({value})")
    if budget.match == ANY:
        return "All calls"
    return value if scope is BudgetScope.USER else f"{_ONE[scope]} {value}"


def entity_name(budget: Budget, entity: str, names: Names) -> str:
    """Say whose row it is: the value that is counted apart, or whose calls are counted."""
    return names.of(budget.scope, entity) if entity else whose(budget, names)


def amount_text(amount: int, unit: Unit) -> str:
    """Write an amount as a decimal string: USD with nine decimals, anything else whole."""
    return usd_text(amount) if unit is Unit.USD else str(amount)


def used_percent(row: Balance) -> str:
    """Say in per cent how much of a row is spent or held."""
    return f"{Decimal(used_bp(row)).scaleb(-2):f}"


def budget_document(found: Standing, names: Names, now_us: int) -> dict[str, Any]:
    """Give a budget and how it stands. Times are ISO 8601 in UTC, amounts decimal strings."""
    budget = found.budget
    return {
        "id": budget.budget_id,
        "name": budget.name,
        "state": state_of(budget, now_us),
        "managed_by": FILE if is_of_file(budget.budget_id) else None,
        "scope": str(budget.scope),
        "match": budget.match,
        "match_name": names.of(budget.scope, budget.match),
        "each": budget.each,
        "tag": budget.tag or None,
        "unit": str(budget.unit),
        "limit": amount_text(budget.limit, budget.unit),
        "window": window_words(budget.window),
        "timezone": budget.window.zone,
        "rollover": amount_text(budget.rollover_max, budget.unit),
        "mode": str(budget.mode),
        "sizing": str(budget.sizing),
        "exempt_models": list(budget.exempt_models),
        "alert_at": [percent_words(bp) for bp in budget.thresholds_bp],
        "since": second_text(budget.since_us) if budget.since_us else None,
        "until": second_text(budget.until_us if budget.until_us < LATEST_US else None),
        "version": budget.version,
        "balances": [_balance(budget, row, names) for row in found.rows],
    }


def own_document(budget: Budget, row: Balance, names: Names) -> dict[str, Any]:
    """Give one row of a budget that concerns whoever asks, for ``GET /me``."""
    return {
        "id": budget.budget_id,
        "name": budget.name,
        "whose": entity_name(budget, row.key.entity, names),
        "unit": str(budget.unit),
        "window": window_words(budget.window),
        "timezone": budget.window.zone,
        "mode": str(budget.mode),
        **_amounts(budget, row),
    }


def replay_document(found: Replay, names: Names) -> dict[str, Any]:
    """Give what a budget would have refused."""
    budget = found.budget

    def text(amount: int) -> str:
        return amount_text(amount, budget.unit)

    return {
        "budget_id": budget.budget_id or None,
        "name": budget.name,
        "unit": str(budget.unit),
        "limit": text(budget.limit),
        "from": second_text(found.start_us),
        "to": second_text(found.end_us),
        "calls": found.calls,
        "amount": text(found.amount),
        "refused_calls": found.refused,
        "refused_amount": text(found.refused_amount),
        "unpriced_calls": found.unpriced,
        "windows_refusing": found.windows_refusing,
        "windows": [
            {
                "entity": each.entity,
                "entity_name": entity_name(budget, each.entity, names),
                "from": second_text(each.window.start_us),
                "to": None if budget.window.kind in ENDLESS else second_text(each.window.end_us),
                "calls": each.sums.calls,
                "amount": text(each.sums.amount),
                "refused_calls": each.refused,
                "refused_amount": text(each.refused_amount),
                "first_refused_at": second_text(each.first_us),
            }
            for each in found.windows
        ],
        "whom": [
            {
                "id": each.who,
                "name": each.who_name,
                "refused_calls": each.calls,
                "refused_amount": text(each.amount),
            }
            for each in found.whom
        ],
        "method": METHOD,
    }


def _balance(budget: Budget, row: Balance, names: Names) -> dict[str, Any]:
    return {
        "entity": row.key.entity,
        "entity_name": entity_name(budget, row.key.entity, names),
        **_amounts(budget, row),
    }


def _amounts(budget: Budget, row: Balance) -> dict[str, Any]:
    resets_us = opens_at_us(budget, row)
    return {
        "spent": amount_text(row.posted, budget.unit),
        "held": amount_text(row.held, budget.unit),
        "left": amount_text(row.left, budget.unit),
        "limit": amount_text(row.limit, budget.unit),
        "used_percent": used_percent(row),
        "resets_at": second_text(resets_us),
    }
