"""Budgets in tollkeeper.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.config import yaml_file
from tollkeeper.domain.budget_words import UnclearWords, budget_of
from tollkeeper.domain.budgets import Budget, BudgetScope

_SECTION: Final = "budgets"
_EXAMPLE: Final = "budgets: [{scope: org, limit: 5000 USD, window: month, timezone: Europe/Berlin}]"
_BY_EMAIL: Final = "write the id that `tollkeeper users list --json` shows"


def budgets(
    document: yaml_file.Document, listed: Sequence[Mapping[str, Any]], zone: str
) -> tuple[Budget, ...]:
    """Read the section, in order. Raises ConfigError, which names the line.

    ``zone`` is where windows are counted if a budget says nothing.
    """
    found: dict[str, Budget] = {}
    for number, words in enumerate(listed):
        path: yaml_file.Path = (_SECTION, number)
        try:
            budget = budget_of(words, zone)
        except UnclearWords as error:
            at = (*path, error.option) if error.option else path
            raise document.error(at, error.reason, _EXAMPLE) from None
        if budget.scope is BudgetScope.USER and "@" in budget.match:
            raise document.error((*path, "match"), "a person is named by an id here", _BY_EMAIL)
        if budget.name in found:
            raise document.error(
                (*path, "name"), f"there are two budgets {budget.name!r}", "give each a name"
            )
        found[budget.name] = budget
    return tuple(found.values())
