"""Alerts: when something has gone past a threshold, and when it has come back.

Each (rule, subject, entity, window, threshold) is told once. A threshold that was told stays
quiet until the thing is clearly below it again, or until its limit was raised; from then on it
is armed again, as the next *round*. Of several that are passed at once only the highest is told.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from tollkeeper.domain.budgets import BASIS_POINTS, BalanceKey

BUDGET_RULE: Final = "budget"
"""The rule of thresholds of budgets: its subject is the budget's id."""

HYSTERESIS_PERCENT: Final = 5
"""So far below a threshold a thing must come to count as recovered."""

NAME_CHARS_MAX: Final = 200
_PERCENT: Final = 100


class AlertState(enum.StrEnum):
    """How an alert stands. Whoever has no row is armed."""

    FIRED = "fired"
    ACKNOWLEDGED = "acknowledged"  # somebody has seen it
    PASSED = "passed"  # a higher threshold was told in its place
    RECOVERED = "recovered"  # it is below again, and armed
    ENDED = "ended"  # its window is over

    __hash__ = str.__hash__


STANDING: Final = frozenset({AlertState.FIRED, AlertState.ACKNOWLEDGED})
"""States of which somebody was told, and which are not over."""

OPEN: Final = STANDING | {AlertState.PASSED}


class AlertKey(NamedTuple):
    """What is told once, for each round.

    ``rule`` is a word, ``subject`` what it is about (a budget's id, "" for the organisation),
    ``entity`` whom of it ("" for all together).
    """

    rule: str
    subject: str
    entity: str
    window_start_us: int
    threshold_bp: int
    round: int = 1


class Alert(NamedTuple):
    """One alert. ``value`` and ``limit`` are in the rule's own unit, as they were when it fired.

    ``name`` is what people call the subject, ``title`` what was told, "" if a higher threshold
    was told instead. ``by`` is who acknowledged it, "" while nobody has. Times are epoch
    microseconds.
    """

    alert_id: str
    key: AlertKey
    state: AlertState
    window_end_us: int
    value: int
    limit: int
    name: str
    title: str
    fired_at_us: int
    changed_at_us: int
    by: str = ""


class Reading(NamedTuple):
    """How one thing stands in one window: ``value`` of ``limit``, and what is told of it."""

    rule: str
    subject: str
    entity: str
    window_start_us: int
    window_end_us: int
    value: int
    limit: int
    thresholds_bp: tuple[int, ...]
    name: str = ""

    def passes(self, threshold_bp: int) -> bool:
        """Tell whether a threshold is reached. Nothing spent reaches none, not even of 0."""
        return self.value > 0 and self.value * BASIS_POINTS >= self.limit * threshold_bp

    def is_below(self, alert: Alert) -> bool:
        """Tell whether the thing has come back from an alert's threshold."""
        threshold_bp = alert.key.threshold_bp
        if self.limit > alert.limit:  # it was raised: what is still above stays as it is
            return not self.passes(threshold_bp)
        margin = _PERCENT - HYSTERESIS_PERCENT
        return self.value * BASIS_POINTS * _PERCENT < self.limit * threshold_bp * margin

    def key(self, threshold_bp: int, number: int) -> AlertKey:
        """Give the key of one threshold in one round."""
        return AlertKey(
            self.rule, self.subject, self.entity, self.window_start_us, threshold_bp, number
        )


class Step(NamedTuple):
    """What is to change: a new alert (``known`` None) or another state of a known one.

    ``told`` says whether somebody is to be told of it.
    """

    key: AlertKey
    state: AlertState
    told: bool
    known: Alert | None = None


def steps(reading: Reading, alerts: Iterable[Alert]) -> list[Step]:
    """Say what changes, given the alerts that there are of this thing in this window."""
    newest = _newest(alerts)
    found: list[Step] = []
    fresh = []
    for threshold_bp in reading.thresholds_bp:
        known = newest.get(threshold_bp)
        is_armed = known is None or known.state is AlertState.RECOVERED
        if is_armed and reading.passes(threshold_bp):
            number = 1 if known is None else known.key.round + 1
            fresh.append(reading.key(threshold_bp, number))
    back = [alert for alert in newest.values() if alert.state in OPEN and reading.is_below(alert)]
    told_back = max(
        (alert.key.threshold_bp for alert in back if alert.state in STANDING), default=None
    )
    for alert in back:
        told = alert.key.threshold_bp == told_back
        found.append(Step(alert.key, AlertState.RECOVERED, told, alert))
    highest = max((bp for bp in reading.thresholds_bp if reading.passes(bp)), default=None)
    for key in fresh:
        told = key.threshold_bp == highest
        found.append(Step(key, AlertState.FIRED if told else AlertState.PASSED, told))
    return found


def _newest(alerts: Iterable[Alert]) -> Mapping[int, Alert]:
    """Give the newest round of each threshold."""
    found: dict[int, Alert] = {}
    for alert in alerts:
        before = found.get(alert.key.threshold_bp)
        if before is None or before.key.round < alert.key.round:
            found[alert.key.threshold_bp] = alert
    return found


class AlertBook(Protocol):
    """Where alerts are kept. What two processes do at once happens once."""

    def add_alert(self, alert: Alert) -> bool:
        """Keep a new alert; False where its key is there already: somebody else has told it."""

    def move_alert(self, alert: Alert, state: AlertState, now_us: int, by: str = "") -> bool:
        """Give an alert another state; False where it is in another one than ``alert`` by now."""

    def alert(self, alert_id: str) -> Alert | None:
        """Give one alert."""

    def alerts(self, most: int, *, open_only: bool = False) -> list[Alert]:
        """List alerts that were told, newest first."""

    def open_alerts(self) -> list[Alert]:
        """List all alerts that are not over, those that only passed included."""

    def alerts_of(self, keys: Sequence[AlertKey]) -> list[Alert]:
        """List all alerts about the things and windows of some keys, whatever the threshold."""

    def spent_rows(self, now_us: int, part_bp: int) -> list[Mapping[str, Any]]:
        """List the rows of balances whose windows are not long over and of which at least
        ``part_bp`` basis points are spent: ``budget_id``, ``entity``, ``window_start_us``,
        ``window_end_us``, ``posted`` and ``limit``, with what raises it for a time."""

    def spent_row(self, key: BalanceKey, now_us: int) -> Mapping[str, Any] | None:
        """Give one such row, however much of it is spent; None where there is none."""

    def forget_alerts(self, before_us: int) -> int:
        """Delete alerts that are over and changed last before a time; say how many."""
