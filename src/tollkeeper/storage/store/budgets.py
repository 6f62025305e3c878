"""The store's budgets: made, changed under a version, never deleted; and how they stand."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, insert, select, update

from tollkeeper.domain.budgets import FIXED, Balance, BalanceKey, Budget
from tollkeeper.storage.store.budget_rows import BUDGET_COLUMNS, read_budget, write_budget
from tollkeeper.storage.store.raise_rows import raised_at
from tollkeeper.storage.store.schema import budget_balances, budget_leases, budgets

_COLUMNS = tuple(budgets.c[name] for name in BUDGET_COLUMNS)


def add_budget(db: Connection, budget: Budget, now_us: int, by: str, revision: int) -> None:
    """Keep a new budget."""
    made = {"created_at_us": now_us, "created_by": by, "changed_revision": revision}
    db.execute(insert(budgets).values(**write_budget(budget), **made))


def change_budget(db: Connection, budget: Budget, revision: int) -> bool:
    """Keep a budget in place of the version before it; False if that is another by now."""
    row = db.execute(select(*_COLUMNS).where(budgets.c.budget_id == budget.budget_id)).first()
    if row is None:
        raise LookupError(f"no budget {budget.budget_id!r}")
    known = read_budget(row)
    for name in FIXED:
        if getattr(known, name) != getattr(budget, name):
            raise ValueError(f"what a budget counts never changes: make a new one ({name})")
    changed = db.execute(
        update(budgets)
        .where(budgets.c.budget_id == budget.budget_id, budgets.c.version == budget.version - 1)
        .values(**write_budget(budget), changed_revision=revision)
    )
    return changed.rowcount > 0


def all_budgets(db: Connection) -> list[Budget]:
    """List all budgets by their ids."""
    return [read_budget(row) for row in db.execute(select(*_COLUMNS).order_by(_COLUMNS[0]))]


def balances(db: Connection, budget_id: str | None, at_us: int | None) -> list[Balance]:
    """List rows by their keys: of one budget or all, of windows that last at a time or all.

    What raises a limit at that time is part of it.
    """
    row, lease = budget_balances.c, budget_leases.c
    unspent = case((lease.granted > lease.spent, lease.granted - lease.spent), else_=0)
    leased = (
        select(func.coalesce(func.sum(unspent), 0))
        .where(
            lease.budget_id == row.budget_id,
            lease.entity == row.entity,
            lease.window_start_us == row.window_start_us,
        )
        .scalar_subquery()
    )
    limit = budgets.c.limit_amount + raised_at(row, at_us or 0) + row.rolled_in - row.rolled_on
    key = (row.budget_id, row.entity, row.window_start_us)
    asked = (
        select(*key, row.window_end_us, row.posted, row.held, leased, limit)
        .join(budgets, budgets.c.budget_id == row.budget_id)
        .order_by(*key)
    )
    if budget_id is not None:
        asked = asked.where(row.budget_id == budget_id)
    if at_us is not None:
        asked = asked.where(row.window_start_us <= at_us, row.window_end_us > at_us)
    return [
        Balance(BalanceKey(*found[:3]), found[3], found[4], found[5], int(found[6]), int(found[7]))
        for found in db.execute(asked)
    ]
