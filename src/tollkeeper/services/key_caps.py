"""Budgets of single keys: made with the key, and shown where the key is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.clock import second_text
from tollkeeper.domain.budget_words import budget_of, window_words
from tollkeeper.domain.budgets import ANY, Balance, Budget, BudgetScope, Mode
from tollkeeper.domain.self_service import Cap, cap_words
from tollkeeper.ports import KeyRecord, Store
from tollkeeper.services import budgets
from tollkeeper.services.budget_documents import amount_text
from tollkeeper.services.budget_standings import EVERYTHING, opens_at_us, standings

KeyCaps = Mapping[str, Sequence[tuple[Budget, Balance]]]
"""Budgets of keys alone, by the key's id, with how they stand now."""
NO_CAPS: Final[KeyCaps] = {}


def is_of_one_key(budget: Budget) -> bool:
    """Tell whether a budget counts the calls of one key and nothing else."""
    return budget.scope is BudgetScope.KEY and budget.match != ANY


def make_cap(store: Store, record: KeyRecord, cap: Cap, zone: str, by: str, now_us: int) -> Budget:
    """Give a key a hard budget. Part of the transaction that issues it."""
    key = record.key
    amount, _, window = cap_words(cap).partition("/")
    words = {
        "name": f"Key {key.name} ({key.key_id})",
        "scope": BudgetScope.KEY.value,
        "match": key.key_id,
        "limit": amount,
        "window": window,
    }
    return budgets.make_budget(store, budget_of(words, zone), by, now_us)


def caps_of_keys(store: Store, now_us: int) -> KeyCaps:
    """Give the budgets of all keys that have some of their own, and what is left of them."""
    found: dict[str, list[tuple[Budget, Balance]]] = {}
    for each in standings(store, EVERYTHING, now_us):
        if is_of_one_key(each.budget) and not budgets.has_ended(each.budget, now_us) and each.rows:
            found.setdefault(each.budget.match, []).append((each.budget, each.rows[0]))
    return found


def hard_caps(store: Store, key_id: str, now_us: int) -> list[Cap]:
    """Give what a key may spend by budgets of its own that refuse."""
    return [
        Cap(budget.limit, budget.unit, budget.window.kind)
        for budget in store.budgets()
        if is_of_one_key(budget)
        and budget.match == key_id
        and budget.mode is Mode.HARD
        and not budgets.has_ended(budget, now_us)
    ]


def spent_of_keys(store: Store, key_ids: Sequence[str], alike: Cap, now_us: int) -> int:
    """Sum up what keys have spent in this window, calls on their way included, by budgets of
    their own in the unit and window of ``alike``. A revoked key spends nothing more, and what it
    spent is not given back by that."""
    spent = 0
    caps = caps_of_keys(store, now_us) if key_ids else NO_CAPS
    for key_id in key_ids:
        rows = [
            row.posted + row.held
            for budget, row in caps.get(key_id, ())
            if (budget.unit, budget.window.kind) == (alike.unit, alike.window)
        ]
        spent += max(rows, default=0)
    return spent


def cap_document(budget: Budget, row: Balance) -> dict[str, Any]:
    """Give a key's budget as data: amounts are decimal strings in its unit."""
    return {
        "id": budget.budget_id,
        "unit": str(budget.unit),
        "window": window_words(budget.window),
        "mode": str(budget.mode),
        "limit": amount_text(row.limit, budget.unit),
        "spent": amount_text(row.posted, budget.unit),
        "held": amount_text(row.held, budget.unit),
        "left": amount_text(row.left, budget.unit),
        "resets_at": second_text(opens_at_us(budget, row)),
    }
