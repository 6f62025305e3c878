"""The Store port's part about requests for more of a budget, on SQLAlchemy."""

from __future__ import annotations

from tollkeeper.domain.budget_raises import (
    Asked,
    BudgetRaise,
    BudgetRequest,
    Decision,
    Overdraft,
    RaiseEnd,
)
from tollkeeper.storage.store import raise_rows
from tollkeeper.storage.store.transactions import Transactions


class StoredRaises:
    """Implements ``domain.budget_raises.BudgetRaises``."""

    _transactions: Transactions

    def add_budget_request(self, request: BudgetRequest) -> None:
        with self._transactions.write() as (db, _):
            raise_rows.add_request(db, request)

    def budget_requests(self, *, undecided: bool = False, most: int = 1_000) -> list[Asked]:
        with self._transactions.read() as db:
            return raise_rows.requests(db, undecided=undecided, most=most)

    def budget_request(self, request_id: str) -> Asked | None:
        with self._transactions.read() as db:
            return raise_rows.request(db, request_id)

    def decide_budget_request(self, decision: Decision, given: BudgetRaise | None) -> bool:
        with self._transactions.write() as (db, _):
            return raise_rows.decide(db, decision, given)

    def add_overdraft(self, taken: BudgetRaise) -> bool:
        with self._transactions.write() as (db, _):
            return raise_rows.add_overdraft(db, taken)

    def budget_raises(self, budget_id: str | None = None) -> list[BudgetRaise]:
        with self._transactions.read() as db:
            return raise_rows.raises(db, budget_id)

    def end_budget_raise(self, end: RaiseEnd) -> bool:
        with self._transactions.write() as (db, revision):
            return raise_rows.end_raise(db, end, revision)

    def allow_overdraft(self, allowed: Overdraft) -> None:
        with self._transactions.write() as (db, _):
            raise_rows.allow_overdraft(db, allowed)

    def overdrafts(self) -> list[Overdraft]:
        with self._transactions.read() as db:
            return raise_rows.overdrafts(db)
