"""Budgets that stand in the configuration file: which of them are made, changed or ended.

The id of such a budget follows from its name and from what it counts. So a budget that counts
something else is another one, the old one ends, and what was spent of it stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.domain.budget_windows import EARLIEST_US
from tollkeeper.domain.budget_words import FILE_PREFIX, is_of_file
from tollkeeper.domain.budgets import FIXED, KNOWN_AFTER_US, Budget

FILE: Final = "tollkeeper.yaml"
"""By whom an overdraft is said to be allowed that stands in the file, whatever its name."""

_DIGEST_CHARS: Final = 20


def file_changes(kept: Iterable[Budget], wanted: Sequence[Budget], now_us: int) -> list[Budget]:
    """Give the budgets to add or to keep in place of the version before, so that all is as wanted.

    ``kept`` are all that there are, ``wanted`` those of the file. One that comes back after its
    end begins anew; one that the file itself lets end is over, and stays so.
    """
    known_at_us = now_us + KNOWN_AFTER_US
    last = _last_of_each(kept)
    changed = []
    for budget in wanted:
        family = _family(budget)
        known = last.pop(family, None)
        if known is not None and (
            known.until_us == budget.until_us or known.until_us > known_at_us
        ):
            until_us = budget.until_us
            if until_us != known.until_us:
                until_us = max(until_us, known_at_us, known.since_us)
            same = budget._replace(
                budget_id=known.budget_id,
                since_us=known.since_us,
                until_us=until_us,
                version=known.version,
            )
            if same != known:
                changed.append(same._replace(version=known.version + 1))
        elif budget.until_us > known_at_us:
            number = 1 if known is None else _number(known) + 1
            since_us = max(known_at_us, budget.since_us)
            changed.append(
                budget._replace(budget_id=f"{family}-{number}", since_us=since_us, version=1)
            )
    for budget in last.values():
        if budget.until_us > known_at_us:
            until_us = max(known_at_us, budget.since_us)
            changed.append(budget._replace(until_us=until_us, version=budget.version + 1))
    return changed


def file_overdrafts(
    wanted: Mapping[str, Overdraft], now_us: int, kept: Iterable[Budget], said: Iterable[Overdraft]
) -> list[Overdraft]:
    """Give what is to be said anew of overdrafts, so that budgets of the file allow what it says.

    ``wanted`` are those of the file by the names of their budgets, ``said`` the last that was
    said of each. Of what the file does not say, only what it has said before is taken back.
    """
    before = {it.budget_id: it for it in said}
    changed = []
    for budget in _last_of_each(kept).values():
        known = before.get(budget.budget_id, Overdraft(budget.budget_id, 0, ""))
        new = wanted.get(budget.name)
        if new is None and known.set_by != FILE:
            continue
        now = Overdraft(budget.budget_id, max(now_us, known.set_at_us + 1), FILE)
        if new is not None:
            now = now._replace(amount=new.amount, part_bp=new.part_bp)
        is_same = (now.amount, now.part_bp) == (known.amount, known.part_bp)
        if not is_same or (new is not None and known.set_by != FILE):
            changed.append(now)
    return changed


def _last_of_each(kept: Iterable[Budget]) -> dict[str, Budget]:
    """Give the last budget of each family of the file's."""
    last: dict[str, Budget] = {}
    for budget in kept:
        if is_of_file(budget.budget_id):
            family = budget.budget_id.rpartition("-")[0]
            if family not in last or _number(last[family]) < _number(budget):
                last[family] = budget
    return last


def _number(budget: Budget) -> int:
    return int(budget.budget_id.rpartition("-")[2])


def _family(budget: Budget) -> str:
    counted = [budget.name, *(getattr(budget, name) for name in FIXED[1:])]
    if budget.since_us != EARLIEST_US:
        counted.append(budget.since_us)
    digest = sha256(repr(counted).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{FILE_PREFIX}{digest[:_DIGEST_CHARS]}"
