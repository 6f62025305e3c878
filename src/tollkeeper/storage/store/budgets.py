"""The store's budgets: made, changed under a version, never deleted."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from tollkeeper.domain.budgets import FIXED, Budget
from tollkeeper.storage.store.budget_rows import BUDGET_COLUMNS, read_budget, write_budget
from tollkeeper.storage.store.schema import budgets

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
