"""Budgets in tollkeeper.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.config import yaml_file
from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.domain.budget_windows import ENDLESS
from tollkeeper.domain.budget_words import UnclearWords, budget_of
from tollkeeper.domain.budgets import Budget, BudgetScope
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.file_budgets import FILE
from tollkeeper.services.raise_words import overdraft_of

FILE_OPTIONS: Final = ("overdraft",)
"""What may be said here, beside the words of a budget."""

_SECTION: Final = "budgets"
_EXAMPLE: Final = "budgets: [{scope: org, limit: 5000 USD, window: month, timezone: Europe/Berlin}]"
_OVERDRAFT: Final = "overdraft: 20 USD, or a share of the limit: overdraft: 10%"
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
            budget = budget_of({name: words[name] for name in words.keys() - FILE_OPTIONS}, zone)
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


def overdrafts(
    document: yaml_file.Document,
    listed: Sequence[Mapping[str, Any]],
    budgets: Sequence[Budget],
) -> dict[str, Overdraft]:
    """Read what owners may take beyond a limit, by the names of the budgets that say so.

    ``budgets`` are those of the section. Raises ConfigError, which names the line.
    """
    found: dict[str, Overdraft] = {}
    for number, (words, budget) in enumerate(zip(listed, budgets, strict=True)):
        said = words.get("overdraft")
        if said is None:
            continue
        path: yaml_file.Path = (_SECTION, number, "overdraft")
        if isinstance(said, bool) or not isinstance(said, str | int):
            raise document.error(path, "is an amount, a share or none", _OVERDRAFT)
        try:
            allowed = overdraft_of(str(said), budget, FILE, 0)
        except BadRequest as error:
            raise document.error(path, error.message, _OVERDRAFT) from None
        if budget.window.kind in ENDLESS and allowed.amount_of(budget.limit):
            message = f"a {budget.window.kind} budget has no windows to overdraw one of"
            raise document.error(path, message, _OVERDRAFT)
        found[budget.name] = allowed
    return found
