"""Budgets that stand in the configuration file: which of them are made, changed or ended.

The id of such a budget follows from its name and from what it counts. So a budget that counts
something else is another one, the old one ends, and what was spent of it stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from tollkeeper.domain.budget_windows import LATEST_US
from tollkeeper.domain.budget_words import FILE_PREFIX, is_of_file
from tollkeeper.domain.budgets import FIXED, KNOWN_AFTER_US, Budget

_DIGEST_CHARS: Final = 20


def file_changes(kept: Iterable[Budget], wanted: Sequence[Budget], now_us: int) -> list[Budget]:
    """Give the budgets to add or to keep in place of the version before, so that all is as wanted.

    ``kept`` are all that there are, ``wanted`` those of the file. One that comes back after its
    end begins anew.
    """
    living: dict[str, Budget] = {}
    numbers: dict[str, int] = {}
    for budget in kept:
        if is_of_file(budget.budget_id):
            family, _, number = budget.budget_id.rpartition("-")
            numbers[family] = max(numbers.get(family, 0), int(number))
            if budget.until_us == LATEST_US:
                living[family] = budget
    changed = []
    for budget in wanted:
        family = _family(budget)
        known = living.pop(family, None)
        if known is None:
            budget_id = f"{family}-{numbers.get(family, 0) + 1}"
            since_us = now_us + KNOWN_AFTER_US
            changed.append(budget._replace(budget_id=budget_id, since_us=since_us, version=1))
            continue
        same = budget._replace(
            budget_id=known.budget_id, since_us=known.since_us, version=known.version
        )
        if same != known:
            changed.append(same._replace(version=known.version + 1))
    for budget in living.values():
        until_us = max(now_us + KNOWN_AFTER_US, budget.since_us)
        changed.append(budget._replace(until_us=until_us, version=budget.version + 1))
    return changed


def _family(budget: Budget) -> str:
    counted = [budget.name, *(getattr(budget, name) for name in FIXED[1:])]
    digest = sha256(repr(counted).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{FILE_PREFIX}{digest[:_DIGEST_CHARS]}"
