"""Budgets of the made-up company, near their limits as its history goes."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.demo.company import ORG, Company
from tollkeeper.demo.people import admin_of
from tollkeeper.demo.services import RUNAWAY
from tollkeeper.demo.stories import DAY_US
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Budget, BudgetScope, Mode, Unit
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.ports import Ledger, Store
from tollkeeper.reports.budget_sums import LedgerSums

_PERCENT: Final = 100
_THRESHOLDS_BP: Final = (5_000, 8_000, 10_000)


class Wish(NamedTuple):
    """A budget, and how many per cent of it are to be spent: of the row that spent most."""

    name: str
    scope: BudgetScope
    match: str
    window: WindowKind
    percent: int
    each: bool = False
    mode: Mode = Mode.OBSERVE
    unit: Unit = Unit.USD


WISHES: Final = (
    Wish("The company, each month", BudgetScope.ORG, "*", WindowKind.MONTH, 84),
    Wish("Platform, each month", BudgetScope.TEAM, "Platform", WindowKind.MONTH, 96),
    Wish("Growth, each month", BudgetScope.TEAM, "Growth", WindowKind.MONTH, 103),
    Wish("Support, each month", BudgetScope.TEAM, "Support", WindowKind.MONTH, 62),
    Wish("Everybody, each month", BudgetScope.USER, "*", WindowKind.MONTH, 91, each=True),
    Wish(
        "Every customer, each quarter",
        BudgetScope.END_CUSTOMER,
        "*",
        WindowKind.QUARTER,
        78,
        each=True,
    ),
    Wish(
        "Opus, each week", BudgetScope.MODEL, "claude-opus-*", WindowKind.WEEK, 71, unit=Unit.TOKENS
    ),
    Wish("Invoice reader, each day", BudgetScope.KEY, "", WindowKind.DAY, 35, mode=Mode.HARD),
)


def set_budgets(store: Store, ledger: Ledger, company: Company, now_us: int) -> None:
    """Make the budgets, with limits that follow from what is spent in their windows of now."""
    sums = LedgerSums(ledger, ORG)
    mint = IdMint(mark=company.seed)
    by = admin_of(company).email
    for wish in WISHES:
        budget = _budget(wish, company, mint.next(now_us // 1_000))
        found = sums.of(budget, budget.window.around(now_us))
        limit = _limit(wish, max(found.values(), default=0))
        store.add_budget(budget._replace(limit=limit), company.first_day * DAY_US, by)


def _budget(wish: Wish, company: Company, budget_id: str) -> Budget:
    match = wish.match or _loop_key(company)
    return Budget(
        budget_id,
        wish.name,
        wish.scope,
        wish.unit,
        1,
        WindowRule(wish.window),
        match=match,
        each=wish.each,
        mode=wish.mode,
        thresholds_bp=_THRESHOLDS_BP,
        since_us=company.first_day * DAY_US,
    )


def _loop_key(company: Company) -> str:
    """Give the key that once ran wild: somebody has given it a limit since."""
    return next(it.key_id for it in company.services if it.service.key_name == RUNAWAY)


def _limit(wish: Wish, spent: int) -> int:
    """Give a limit of three digits, of which about so much is spent."""
    least = 5 * NANOS_PER_USD if wish.unit is Unit.USD else 1_000_000
    exact = max(least, spent * _PERCENT // wish.percent)
    unit: int = 10 ** max(0, len(str(exact)) - 3)
    return max(unit, exact // unit * unit)
