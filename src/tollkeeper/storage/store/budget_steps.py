"""Steps within a transaction of the budget authority: holds of single calls, and rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tollkeeper.domain.budgets import Amounts, BalanceKey, Unit, amount_of
from tollkeeper.domain.holds import HoldState
from tollkeeper.domain.leases import Charge
from tollkeeper.storage.store import budget_sql as sql


class Rows(Protocol):
    """What a statement gave: a DB-API cursor."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Database(Protocol):
    """An open transaction that runs statements with values named by ``:name``."""

    def execute(self, statement: str, values: Mapping[str, Any], /) -> Rows: ...


def add_hold(
    db: Database, entry_id: str, gateway: str, charge: Charge, state: HoldState, now_us: int
) -> bool:
    """Keep a hold of an entry; False where there is one."""
    values = {
        **charge.key._asdict(),
        "entry_id": entry_id,
        "gateway": gateway,
        "amount": charge.amount,
        "spent": None if state is HoldState.HELD else 0,
        "state": str(state),
        "now_us": now_us,
    }
    return db.execute(sql.ADD_HOLD, values).rowcount > 0


def end_holds(
    db: Database, entry_id: str, state: HoldState, spent: Amounts | None, now_us: int
) -> int:
    """End the holds of an entry that are still there; say how many."""
    ended = 0
    holds = sorted(db.execute(sql.HOLDS, {"entry_id": entry_id}).fetchall())
    for *key_values, amount, _, unit in holds:
        key = BalanceKey(*key_values)
        cost = None if spent is None else amount_of(spent, Unit(unit))
        cost = amount if cost is None else cost
        values = {
            **key._asdict(),
            "entry_id": entry_id,
            "state": str(state),
            "spent": cost,
            "now_us": now_us,
        }
        if db.execute(sql.END_HOLD, values).rowcount:
            move(db, key, cost, -amount)
            ended += 1
    return ended


def move(db: Database, key: BalanceKey, posted: int, held: int) -> None:
    """Change what a row says is spent and held."""
    if posted or held:
        db.execute(sql.MOVE, {**key._asdict(), "posted": posted, "held": held})
