"""What the made-up company was told of by now: the rules look at its past as it came about.

The balances grow hour by hour as the ledger says, and the rules look when something passes a
threshold, when one of the stories happens, and each morning of the last days. So an alert is of
the time of its cause, and the first look of a server that starts finds little new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from tollkeeper.demo.company import ORG, Company
from tollkeeper.demo.people import admin_of
from tollkeeper.demo.stories import DAY_US, HOUR_US
from tollkeeper.domain.alerts import AlertState
from tollkeeper.domain.budgets import BASIS_POINTS, BalanceKey, Budget
from tollkeeper.ports import BudgetAuthority, Ledger, Store
from tollkeeper.reports.budget_sums import LedgerSums
from tollkeeper.reports.usual_figures import LedgerUsualFigures
from tollkeeper.services.alerts import BudgetAlerts, acknowledge
from tollkeeper.services.anomalies import Anomalies, Limits

_GATEWAY: Final = "demo-history"
_MORNINGS: Final = 5
_MORNING_US: Final = 9 * HOUR_US
_MINUTE_US: Final = 60_000_000
_LATELY_US: Final = _MINUTE_US
_ALERTS_MAX: Final = 1_000
_LEFT_OPEN: Final = 2
_SEEN_AFTER_US: Final = (11 * _MINUTE_US, 37 * _MINUTE_US, 94 * _MINUTE_US)


class _Moment(NamedTuple):
    """When the rules look, and what was spent between the moment before and this one."""

    at_us: int
    spent: Mapping[BalanceKey, int]
    compare: bool


class _Past:
    """The clock of what is looked at."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us


def live_through(
    store: Store, authority: BudgetAuthority, ledger: Ledger, company: Company, now_us: int
) -> None:
    """Book what the ledger says was spent of all budgets in their windows of now, and let the
    rules look meanwhile. All alerts but the newest two were seen by somebody."""
    past = _Past(now_us)
    thresholds = BudgetAlerts(store, lambda: past.now_us)
    usual = LedgerUsualFigures(ledger, ORG, "UTC")
    unusual = Anomalies(store, usual, Limits, lambda: past.now_us)
    for number, moment in enumerate(_moments(store, ledger, company, now_us)):
        past.now_us = moment.at_us
        if moment.spent:
            authority.finish(f"{_GATEWAY}-{number}", moment.spent, moment.at_us)
        thresholds.look()
        if moment.compare:
            unusual.look()
    _see(store, company)


def _moments(store: Store, ledger: Ledger, company: Company, now_us: int) -> Iterator[_Moment]:
    """Give when something was to be looked at, in the order of time."""
    budgets = {budget.budget_id: budget for budget in store.budgets()}
    hours = _by_hour(LedgerSums(ledger, ORG), budgets.values(), now_us)
    comparing = _comparing(company, now_us)
    booked: dict[BalanceKey, int] = {}
    waiting: dict[BalanceKey, int] = {}
    for hour_us in sorted({*hours, *comparing}):
        passes = False
        for key, amount in hours.get(hour_us, {}).items():
            before = booked.get(key, 0)
            after = booked[key] = before + amount
            waiting[key] = waiting.get(key, 0) + amount
            budget = budgets[key.budget_id]
            passes = passes or _passed(budget, before) != _passed(budget, after)
        compare = hour_us in comparing
        if passes or compare:
            yield _Moment(min(_within(hour_us), now_us - _LATELY_US), waiting, compare)
            waiting = {}
    yield _Moment(now_us - _LATELY_US, waiting, True)


def _by_hour(
    sums: LedgerSums, budgets: Iterable[Budget], now_us: int
) -> Mapping[int, Mapping[BalanceKey, int]]:
    """Give what each hour adds to each balance of now."""
    found: dict[int, dict[BalanceKey, int]] = {}
    for budget in budgets:
        window = budget.window.around(now_us)
        for hour_us, amounts in sums.by_hour(budget, window).items():
            added = found.setdefault(hour_us, {})
            for entity, amount in amounts.items():
                added[BalanceKey(budget.budget_id, entity, window.start_us)] = amount
    return found


def _comparing(company: Company, now_us: int) -> frozenset[int]:
    """Give the hours in which what is unusual is looked for."""
    told = company.stories
    stories = (told.runaway.from_us + HOUR_US, told.leak.from_us + HOUR_US, told.outage.from_us)
    today_us = now_us - now_us % DAY_US
    mornings = (today_us - ago * DAY_US + _MORNING_US for ago in range(_MORNINGS))
    return frozenset(at_us for at_us in (*stories, *mornings) if at_us + HOUR_US < now_us)


def _within(hour_us: int) -> int:
    """Give a minute near the end of an hour, another one in each."""
    return hour_us + (31 + hour_us // HOUR_US * 7 % 29) * _MINUTE_US


def _passed(budget: Budget, amount: int) -> int:
    return sum(
        amount > 0 and amount * BASIS_POINTS >= budget.limit * threshold_bp
        for threshold_bp in budget.thresholds_bp
    )


def _see(store: Store, company: Company) -> None:
    """Let the admin and somebody of finance acknowledge all but what was told last."""
    people = (admin_of(company).email, company.people[1].email)
    told = store.alerts(_ALERTS_MAX, open_only=True)
    for number, alert in enumerate(told[_LEFT_OPEN:]):
        if alert.state is AlertState.FIRED:
            seen_us = alert.fired_at_us + _SEEN_AFTER_US[number % len(_SEEN_AFTER_US)]
            acknowledge(store, alert.alert_id, people[number % len(people)], seen_us)
