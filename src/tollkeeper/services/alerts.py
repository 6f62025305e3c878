"""Thresholds of budgets: looked at every second, each told once, whoever looks.

Several processes may look at once, and each may die at any moment. An alert and its message are
written in one transaction, and the alert's key is unique: the insert that wins tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.domain.alerts import (
    BUDGET_RULE,
    HYSTERESIS_PERCENT,
    Alert,
    AlertState,
    Reading,
    Step,
    steps,
)
from tollkeeper.domain.budgets import BASIS_POINTS, NAME_CHARS_MAX, BalanceKey, Budget, BudgetScope
from tollkeeper.domain.deliveries import one_line
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.domain.ids import IdMint
from tollkeeper.failpoints import FailPoint, nowhere
from tollkeeper.ports import Store
from tollkeeper.services.alert_messages import budget_message, title_of
from tollkeeper.services.outbox import enqueue
from tollkeeper.telemetry import logger

LATE_US: Final = 3_600_000_000
"""So long after its window what was told of it stays open."""

ALERTS_SHOWN_MAX: Final = 200
KEPT_US: Final = 400 * 86_400_000_000
_PERCENT: Final = 100

_ids: Final = IdMint()
_Row = tuple[str, str, int]


class _Seen(NamedTuple):
    """How a row stood when it was last looked at, as far as it decides anything."""

    passed: tuple[int, ...]
    clearly_below: tuple[int, ...]
    limit: int
    budget_version: int


class BudgetAlerts:
    """Looks at the balances of all budgets. One for each process; used by one thread."""

    def __init__(
        self, store: Store, now_us: Callable[[], int], failpoint: FailPoint = nowhere
    ) -> None:
        self._store = store
        self._now_us = now_us
        self._pass = failpoint
        self._seen: dict[_Row, _Seen] = {}
        self._budgets: Mapping[str, Budget] = {}
        self._revision = -1

    def look(self) -> int:
        """Tell what is to be told; say how many messages that were. Raises OSError."""
        now_us = self._now_us()
        self._refresh()
        open_alerts = [it for it in self._store.open_alerts() if it.key.rule == BUDGET_RULE]
        if not self._budgets and not open_alerts:
            return 0
        part_bp = min((bp for it in self._budgets.values() for bp in it.thresholds_bp), default=0)
        # What is left out is clearly below every threshold.
        part_bp = part_bp * (_PERCENT - HYSTERESIS_PERCENT) // _PERCENT
        readings = self._readings(self._store.spent_rows(now_us, part_bp), now_us)
        self._end(open_alerts, now_us)
        readings |= self._fallen(open_alerts, readings, now_us)
        told = sum(self._consider(row, it, now_us) for row, it in readings.items())
        for row in self._seen.keys() - readings.keys():
            del self._seen[row]
        return told

    def _refresh(self) -> None:
        revision = self._store.revision()
        if revision != self._revision:
            self._budgets = {it.budget_id: it for it in self._store.budgets()}
            self._revision = revision

    def _readings(self, rows: Iterable[Mapping[str, Any]], now_us: int) -> dict[_Row, Reading]:
        found = {}
        for row in rows:
            budget = self._budgets.get(row["budget_id"])
            if budget is not None and budget.until_us + LATE_US > now_us:
                reading = _reading(budget, row)
                found[_row_of(reading)] = reading
        return found

    def _consider(self, row: _Row, reading: Reading, now_us: int) -> int:
        """Do what one reading asks for, unless it was done when it looked the same before."""
        budget = self._budgets.get(reading.subject)
        if budget is None:
            return 0
        looks = _looks(reading, budget)
        if self._seen.get(row) == looks:
            return 0
        told = 0
        if steps(reading, self._store.alerts_of([reading.key(0, 1)])):
            self._pass("alerts.fire.before")
            with self._store.together():
                told = self._take_all(BalanceKey(*row), budget, now_us)
                self._pass("alerts.fire.written")
            self._pass("alerts.fire.after")
        self._seen[row] = looks
        return told

    def _take_all(self, row: BalanceKey, budget: Budget, now_us: int) -> int:
        """Read again, now that nobody else can write, and do what is to be done.

        What was read before may be older than what another process has told meanwhile: by it, a
        budget that has just been spent would seem to be below its threshold again.
        """
        values = self._store.spent_row(row, now_us)
        if values is None:
            return 0
        reading = _reading(budget, values)
        found = steps(reading, self._store.alerts_of([reading.key(0, 1)]))
        return sum(self._take(step, reading, budget, now_us) for step in found)

    def _take(self, step: Step, reading: Reading, budget: Budget, now_us: int) -> bool:
        """Take one step, if nobody else has; tell it if it is to be told."""
        alert, who = step.known, row_name(self._store, budget, reading.entity) if step.told else ""
        if alert is None:
            title = title_of(step, budget, who) if step.told else ""
            alert = Alert(
                _ids.next(now_us // 1000),
                step.key,
                step.state,
                reading.window_end_us,
                reading.value,
                reading.limit,
                budget.name,
                one_line(title, NAME_CHARS_MAX),
                now_us,
                now_us,
            )
            is_ours = self._store.add_alert(alert)
        else:
            is_ours = self._store.move_alert(alert, step.state, now_us)
        if not is_ours or not step.told:
            return False
        message = budget_message(alert, step, reading, budget, who, now_us)
        logger.info("alert", extra={"alert": alert.alert_id, "state": str(step.state)})
        return enqueue(self._store, message)

    def _fallen(
        self, alerts: Iterable[Alert], known: Mapping[_Row, Reading], now_us: int
    ) -> dict[_Row, Reading]:
        """Read what something was told of and so little is spent now that it was left out."""
        found: dict[_Row, Reading] = {}
        for alert in alerts:
            row = alert.key.subject, alert.key.entity, alert.key.window_start_us
            budget = self._budgets.get(alert.key.subject)
            if row in known or row in found or budget is None:
                continue
            values = self._store.spent_row(BalanceKey(*row), now_us)
            if values is not None:
                found[row] = _reading(budget, values)
        return found

    def _end(self, alerts: Sequence[Alert], now_us: int) -> None:
        """Close what was told of windows that are over, and of budgets that have ended."""
        for alert in alerts:
            budget = self._budgets.get(alert.key.subject)
            ended_us = alert.window_end_us
            if budget is not None:
                ended_us = min(ended_us, budget.until_us)
            if ended_us + LATE_US <= now_us:
                self._store.move_alert(alert, AlertState.ENDED, now_us)


def acknowledge(store: Store, alert_id: str, by: str, now_us: int) -> Alert:
    """Note that somebody has seen an alert; doing it again changes nothing.

    Raises NotFound, or Conflict for an alert that is over.
    """
    found = store.alert(alert_id)
    if found is None or not found.title:
        raise NotFound("there is no such alert", code="alert_not_found")
    if found.state is AlertState.FIRED:
        store.move_alert(found, AlertState.ACKNOWLEDGED, now_us, by)
        logger.info("alert acknowledged", extra={"alert": alert_id, "by": by})
        found = store.alert(alert_id) or found
    if found.state is not AlertState.ACKNOWLEDGED:
        raise Conflict("this alert is over: there is nothing to acknowledge", code="alert_over")
    return found


def forget_old(store: Store, now_us: int) -> int:
    """Forget alerts and messages that nobody asks for any more; say how many."""
    before_us = now_us - KEPT_US
    return store.forget_alerts(before_us) + store.forget_messages(before_us)


def _reading(budget: Budget, row: Mapping[str, Any]) -> Reading:
    return Reading(
        rule=BUDGET_RULE,
        subject=budget.budget_id,
        entity=row["entity"],
        window_start_us=row["window_start_us"],
        window_end_us=row["window_end_us"],
        value=row["posted"],
        limit=max(row["limit"], 0),
        thresholds_bp=budget.thresholds_bp,
        name=budget.name,
    )


def _row_of(reading: Reading) -> _Row:
    return reading.subject, reading.entity, reading.window_start_us


def _looks(reading: Reading, budget: Budget) -> _Seen:
    margin = _PERCENT - HYSTERESIS_PERCENT
    scaled = reading.value * BASIS_POINTS * _PERCENT
    return _Seen(
        tuple(bp for bp in reading.thresholds_bp if reading.passes(bp)),
        tuple(bp for bp in reading.thresholds_bp if scaled < reading.limit * bp * margin),
        reading.limit,
        budget.version,
    )


def row_name(store: Store, budget: Budget, entity: str) -> str:
    """Give the name that people know a row by: an address, a key's name, or the value."""
    if entity and budget.scope is BudgetScope.USER:
        user = store.user(entity)
        return entity if user is None else user.email
    if entity and budget.scope is BudgetScope.KEY:
        record = store.key(entity)
        return entity if record is None else record.key.name or entity
    return entity
