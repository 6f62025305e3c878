"""Balances against the ledger: late bookings count once, and every difference is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from budget_desks import CENT, DOLLAR, NOW, SECOND, budget, file_authority, profile
from ledgers import SMALL
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budgets import Amounts, BudgetScope, Unit
from tollkeeper.domain.calls import Held, Part, Settled
from tollkeeper.domain.corrections import Booking, correction
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome, entries_of
from tollkeeper.reports.budget_sums import LedgerSums
from tollkeeper.services.balance_check import EVERY_US, SETTLES_US, TOLD_US, BalanceCheck
from tollkeeper.services.budget_gate import Ask, BudgetGate, Subject, exchange
from tollkeeper.services.budget_spending import spending_of
from tollkeeper.services.late_spending import late_bookings
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.store.sqlite_budgets import SqliteBudgetAuthority
from tollkeeper.storage.store.store import open_sql_store

BUDGETS = (
    budget("a-org", 100 * DOLLAR),
    budget("b-model", 10**9, scope=BudgetScope.MODEL, each=True, unit=Unit.TOKENS),
    budget("c-tag", 10**9, scope=BudgetScope.TAG, tag="job", each=True, unit=Unit.REQUESTS),
    budget("d-key", 100 * DOLLAR, scope=BudgetScope.KEY, match="k1", exempt_models=("odd*",)),
)
CALLS = 6


class Desk:
    """One gate, its authority and a ledger that its calls are booked in."""

    def __init__(self, folder: Path) -> None:
        self.authority: SqliteBudgetAuthority = file_authority(folder, BUDGETS)
        self.store = open_sql_store(folder / "store.sqlite3")
        self.ledger = DuckDbLedger(folder / "ledger.duckdb", SMALL)
        self.gate = BudgetGate("g1", Book(BUDGETS), NOW)
        self.now = NOW
        sums = LedgerSums(self.ledger, "Acme")
        self.check = BalanceCheck(
            self.store, sums, lambda: self.now, lambda: True, self.authority.abandoned
        )

    def call(self, number: int, cost: int | None) -> list[LedgerEntry]:
        model = ("claude-sonnet-4-5", "odd-1")[number % 2]
        whom = profile(model=model, key_id=f"k{number % 3}", tags={"job": f"j{number % 2}"})
        held = Held(f"e{number}", f"e{number}", NOW, 1, True, 0, 0, whom, hold_nanos=7 * CENT)
        subject, hold = Subject(whom), Amounts(10 * CENT, 400)
        while isinstance(decision := self.gate.admit(subject, f"e{number}", hold, NOW), Ask):
            exchange(self.gate, self.authority, decision, NOW)
        part = Part(model, {"input": 100, "output": number}, Basis.MEASURED, cost, cost)
        settled = Settled(f"e{number}", 200, Outcome.OK, "", 5, 5, "", "1", [part])
        self.gate.settle(f"e{number}", spending_of(held, settled))
        entries = entries_of(held, settled)
        self.ledger.append(entries, None)
        return entries

    def report(self) -> None:
        asked = self.gate.reports(self.now)
        if asked is not None:
            exchange(self.gate, self.authority, asked, self.now)

    def checked(self) -> list[tuple[str, int, int]]:
        self.now += EVERY_US
        self.check.take_turn()
        self.now += SETTLES_US
        self.check.take_turn()
        self.now += TOLD_US
        self.check.take_turn()
        assert self.check.checked.at_us == self.now
        assert self.check.checked.rows
        return [(it.key.budget_id, it.posted, it.booked) for it in self.check.checked.drifts]

    def close(self) -> None:
        self.authority.close()
        self.store.close()
        self.ledger.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with closing(Desk(tmp_path)) as made:
        yield made


def test_balances_are_the_sum_of_entries_also_where_costs_are_unknown(desk: Desk) -> None:
    for number in range(CALLS):
        desk.call(number, None if number == 2 else number * CENT)
    desk.report()
    assert desk.checked() == []
    assert desk.check.gauges()["tollkeeper_budget_drifts"][1] == 0


def test_a_row_that_says_something_else_is_found(desk: Desk) -> None:
    for number in range(CALLS):
        desk.call(number, CENT)
    desk.now += SECOND
    desk.report()
    (row,) = desk.authority.balances("a-org")
    assert desk.authority.correct(row.key, row.posted, row.posted + CENT)
    assert desk.checked() == [("a-org", row.posted + CENT, row.posted)]


def test_a_cost_that_becomes_known_later_takes_the_place_of_what_was_held(desk: Desk) -> None:
    (entry,) = desk.call(0, None)
    desk.report()
    part = Part(entry.model_served, {}, Basis.MEASURED, 3 * CENT, 3 * CENT)
    pair = correction(Booking(entry, entry), part, "2", NOW + SECOND)
    desk.ledger.append(pair, None)
    assert [it[0] for it in desk.checked()] == ["a-org"]
    bookings = late_bookings(Book(BUDGETS), pair)
    assert [booking.amount for booking in bookings] == [3 * CENT - 7 * CENT]
    assert desk.authority.book_late(bookings, desk.now) == 1
    assert desk.authority.book_late(bookings, desk.now) == 0
    assert desk.checked() == []


def test_what_was_charged_for_a_lost_gateway_is_no_difference(desk: Desk) -> None:
    desk.call(0, 3 * CENT)
    desk.report()
    ended = desk.authority.abandon("g1", desk.now + EVERY_US)
    (row,) = [it for it in desk.authority.balances() if it.key.budget_id == "a-org"]
    assert row.posted == 3 * CENT + ended.held[row.key] > 3 * CENT
    assert desk.checked() == []
    desk.authority.write_off("g1", desk.now)
    assert desk.checked() == []
