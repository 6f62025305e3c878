"""Rules beyond thresholds: looked at every minute, each finding told once.

They compare the last hour or day with what is usual, and each budget's pace with its limit. A
rule that cannot tell says what is missing; the page shows that instead of silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.anomalies import (
    DAY_US,
    HISTORY_DAYS,
    HOUR_US,
    AnomalyRule,
    HourSums,
    Usual,
    UsualFigures,
    Verdict,
    error_rate,
    is_like,
    latency,
    new_tool,
    spend_day,
    spend_hour,
)
from tollkeeper.domain.budget_windows import LATEST_US, zone_of
from tollkeeper.domain.budgets import NAME_CHARS_MAX, Budget, Unit, entity_text
from tollkeeper.domain.deliveries import Message, Severity, one_line
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.money import usd_text
from tollkeeper.domain.runway import RunwayReason
from tollkeeper.ports import Store
from tollkeeper.services.alert_messages import amount_text
from tollkeeper.services.alerting import RuleState
from tollkeeper.services.alerts import LATE_US, row_name
from tollkeeper.services.outbox import enqueue, message_of
from tollkeeper.services.runway import runway_of
from tollkeeper.services.times import moment_words, utc_text

EVENT_PREFIX: Final = "anomaly."
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL: Final = "The organisation"
_COUNT_MAX: Final = 2**62

_ids: Final = IdMint()


class Limits(NamedTuple):
    """What the configuration says of the rules: which are off, and how strict the others are."""

    off: frozenset[str] = frozenset()
    min_usd: int = 1
    deviations: int = 6
    zone: str = "UTC"


class Finding(NamedTuple):
    """What a rule found about one thing in one stretch of time."""

    rule: AnomalyRule
    subject: str
    entity: str
    window_start_us: int
    window_end_us: int
    verdict: Verdict
    title: str
    text: str


class Anomalies:
    """Looks at the rules. One for each process; used by one thread."""

    def __init__(
        self,
        store: Store,
        figures: UsualFigures,
        limits: Callable[[], Limits],
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._figures = figures
        self._limits = limits
        self._now_us = now_us
        self._states: dict[str, RuleState] = {}

    def look(self) -> int:
        """Look at every rule and tell what is found; say how much that was.

        Raises LedgerUnavailable or OSError.
        """
        now_us, limits = self._now_us(), self._limits()
        usual = self._figures.usual(now_us)
        findings = [*_of_ledger(usual, limits, now_us), *self._paces(now_us)]
        told = 0
        for rule in AnomalyRule:
            mine = [it for it in findings if it.rule is rule]
            if rule in limits.off:
                self._states[rule] = RuleState(rule, "off", "", now_us)
                continue
            told += sum(self._tell(it, now_us) for it in mine if it.verdict.is_hit)
            self._states[rule] = _state(rule, mine, now_us)
        self._end(now_us)
        return told

    def states(self) -> Sequence[RuleState]:
        """Say how every rule stands; what was not looked at yet says so."""
        off = self._limits().off
        return tuple(
            RuleState(rule, "off")
            if rule in off
            else self._states.get(rule, RuleState(rule, "unknown", "not looked at yet"))
            for rule in AnomalyRule
        )

    def _paces(self, now_us: int) -> Iterator[Finding]:
        """Hold each budget's pace against its limit."""
        budgets = {it.budget_id: it for it in self._store.budgets()}
        for balance in self._store.balances(None, now_us):
            budget = budgets.get(balance.key.budget_id)
            if budget is None or balance.window_end_us >= LATEST_US or not balance.limit:
                continue
            if not budget.since_us <= now_us < budget.until_us or balance.posted <= 0:
                continue
            runway = runway_of(budget, balance, now_us)
            missing = ""
            if runway.reason is RunwayReason.NOT_ENOUGH_HISTORY:
                missing = f"{runway.reason}: its window has hardly begun"
            breach = runway.is_breach and runway.spent_at_us is not None
            at_end = min(runway.at_end or 0, _COUNT_MAX)
            entity = balance.key.entity
            who = row_name(self._store, budget, entity) if breach else entity  # looked up if told
            yield Finding(
                AnomalyRule.PROJECTED,
                budget.budget_id,
                entity,
                balance.key.window_start_us,
                balance.window_end_us,
                Verdict(breach, at_end, balance.limit, missing),
                f"{_whose(budget, who)}: spent before its {_kind(budget)} ends",
                _pace_text(budget, at_end, balance.limit, runway.spent_at_us, balance.posted),
            )

    def _tell(self, found: Finding, now_us: int) -> bool:
        """Tell one finding, unless it was told already."""
        key = AlertKey(found.rule, found.subject, found.entity, found.window_start_us, 0)
        if self._store.alerts_of([key]):
            return False
        title = one_line(found.title, NAME_CHARS_MAX)
        alert = Alert(
            _ids.next(now_us // 1000),
            key,
            AlertState.FIRED,
            found.window_end_us,
            min(found.verdict.value, _COUNT_MAX),
            min(found.verdict.limit, _COUNT_MAX),
            title,
            title,
            now_us,
            now_us,
        )
        with self._store.together():
            if not self._store.add_alert(alert):
                return False
            return enqueue(self._store, _message(alert, found, now_us))

    def _end(self, now_us: int) -> None:
        """Close what was told of stretches of time that are over."""
        rules = set(AnomalyRule)
        for alert in self._store.open_alerts():
            if alert.key.rule in rules and alert.window_end_us + LATE_US <= now_us:
                self._store.move_alert(alert, AlertState.ENDED, now_us)


# ------------------------------------------------------------------ what the ledger says


def _of_ledger(usual: Usual, limits: Limits, now_us: int) -> Iterator[Finding]:
    calendar = _Calendar(limits.zone)
    for team, hours in usual.hours.items():
        since_us = usual.since_us.get(team, now_us)
        yield _hour(team, hours, since_us, limits, calendar, now_us)
        yield _day(team, hours, since_us, limits, calendar, now_us)
    whole = usual.hours.get("", {})
    yield _errors(whole, now_us)
    yield _latency(usual, now_us)
    for use in usual.tools:
        yield Finding(
            AnomalyRule.NEW_TOOL,
            use.key_id,
            entity_text(use.tool),
            use.since_us,
            use.since_us + DAY_US,
            new_tool(use, now_us),
            f"Key {use.key_name or use.key_id}: used with {use.tool}, for the first time",
            f"This key has been used with other tools in {use.calls_before:,} calls. If nobody "
            "you know does this, revoke it on the page Keys.",
        )


class _Calendar:
    """The local times of moments, each worked out once."""

    def __init__(self, zone: str) -> None:
        self._zone = zone_of(zone)
        self._known: dict[int, datetime] = {}

    def local(self, at_us: int) -> datetime:
        """Give the local time of a moment."""
        found = self._known.get(at_us)
        if found is None:
            found = (_EPOCH + timedelta(microseconds=at_us)).astimezone(self._zone)
            self._known[at_us] = found
        return found


def _hour(
    team: str,
    hours: Mapping[int, HourSums],
    since_us: int,
    limits: Limits,
    calendar: _Calendar,
    now_us: int,
) -> Finding:
    this = calendar.local(now_us)
    start_us = _us(this.replace(minute=0, second=0, microsecond=0))
    first_us = max(since_us, start_us - HISTORY_DAYS * DAY_US)
    like = []
    for hour_us in range(start_us - HOUR_US, first_us, -HOUR_US):
        other = calendar.local(hour_us)
        if is_like(this.weekday(), this.hour, other.weekday(), other.hour):
            like.append(hours.get(hour_us, HourSums()).cost_nanos)
    cost = hours.get(start_us, HourSums()).cost_nanos
    verdict = spend_hour(cost, like, limits.deviations, limits.min_usd)
    return Finding(
        AnomalyRule.SPEND_HOUR,
        "",
        entity_text(team) if team else "",
        start_us,
        start_us + HOUR_US,
        verdict,
        f"{team or _ALL}: {amount_text(cost, Unit.USD)} in an hour is unusually much",
        f"Hours like this one cost {amount_text(verdict.limit, Unit.USD)} at most, as a rule "
        f"({len(like)} of them were looked at).",
    )


def _day(
    team: str,
    hours: Mapping[int, HourSums],
    since_us: int,
    limits: Limits,
    calendar: _Calendar,
    now_us: int,
) -> Finding:
    today = calendar.local(now_us).date()
    days: dict[int, int] = {}
    for hour_us, sums in hours.items():
        ago = (today - calendar.local(hour_us).date()).days
        days[ago] = days.get(ago, 0) + sums.cost_nanos
    # The first day is not a full one.
    full = min((today - calendar.local(since_us).date()).days - 1, HISTORY_DAYS - 1)
    before = [days.get(ago, 0) for ago in range(1, full + 1)]
    cost = days.get(0, 0)
    verdict = spend_day(cost, before, limits.min_usd)
    midnight = calendar.local(now_us).replace(hour=0, minute=0, second=0, microsecond=0)
    start_us = _us(midnight)
    return Finding(
        AnomalyRule.SPEND_DAY,
        "",
        entity_text(team) if team else "",
        start_us,
        start_us + DAY_US,
        verdict,
        f"{team or _ALL}: {amount_text(cost, Unit.USD)} today is more than twice the usual",
        f"Twice the average of {full} days is {amount_text(verdict.limit, Unit.USD)}.",
    )


def _errors(hours: Mapping[int, HourSums], now_us: int) -> Finding:
    recent_us = now_us - HOUR_US
    now, before = HourSums(), HourSums()
    for hour_us, sums in hours.items():
        if hour_us + HOUR_US > recent_us:
            now = HourSums(0, now.requests + sums.requests, now.errors + sums.errors)
        else:
            before = HourSums(0, before.requests + sums.requests, before.errors + sums.errors)
    verdict = error_rate(now, before)
    start_us = now_us - now_us % HOUR_US
    return Finding(
        AnomalyRule.ERROR_RATE,
        "",
        "",
        start_us,
        start_us + HOUR_US,
        verdict,
        f"{verdict.value // 100}% of requests fail",
        f"{now.errors:,} of {now.requests:,} requests lately; at most "
        f"{verdict.limit // 100}% is usual.",
    )


def _latency(usual: Usual, now_us: int) -> Finding:
    verdict = latency(usual.latency_now, usual.latency_usual)
    start_us = now_us - now_us % HOUR_US
    return Finding(
        AnomalyRule.LATENCY,
        "",
        "",
        start_us,
        start_us + HOUR_US,
        verdict,
        f"Answers are slow: one in twenty takes longer than {verdict.value / 1000:.1f} s",
        f"In the last week it was {(usual.latency_usual.p95_ms or 0) / 1000:.1f} s.",
    )


# ------------------------------------------------------------------ words


def _message(alert: Alert, found: Finding, now_us: int) -> Message:
    in_usd = found.rule in {AnomalyRule.SPEND_HOUR, AnomalyRule.SPEND_DAY}
    value, limit = alert.value, alert.limit
    made = message_of(
        EVENT_PREFIX + found.rule,
        found.title,
        found.text,
        now_us,
        severity=Severity.WARNING,
        data={
            "alert_id": alert.alert_id,
            "rule": str(found.rule),
            "state": str(alert.state),
            "subject": found.subject,
            "entity": found.entity,
            "window": {
                "start": utc_text(found.window_start_us),
                "end": utc_text(found.window_end_us),
            },
            "value": usd_text(value) if in_usd else str(value),
            "usual_at_most": usd_text(limit) if in_usd else str(limit),
        },
        message_id=f"msg_{alert.alert_id}_fired",
    )
    return made._replace(alert_id=alert.alert_id)


def _pace_text(budget: Budget, at_end: int, limit: int, spent_at_us: int | None, spent: int) -> str:
    lines = [f"Spent {amount_text(spent, budget.unit)} of {amount_text(limit, budget.unit)}."]
    if spent_at_us is not None:
        lines.append(f"At this pace it is spent {moment_words(spent_at_us, budget.window.zone)},")
        lines.append(f"and would be {amount_text(at_end, budget.unit)} at the end.")
    return " ".join(lines)


def _state(rule: AnomalyRule, findings: Sequence[Finding], now_us: int) -> RuleState:
    hits = [it for it in findings if it.verdict.is_hit]
    if hits:
        return RuleState(rule, "fired", hits[0].title, now_us)
    told = [it for it in findings if not it.verdict.missing]
    if told:
        return RuleState(rule, "quiet", "", now_us)
    missing = findings[0].verdict.missing if findings else "not enough history: nothing to look at"
    return RuleState(rule, "unknown", missing, now_us)


def _whose(budget: Budget, who: str) -> str:
    return f"{budget.name} ({who})" if who else budget.name


def _kind(budget: Budget) -> str:
    return str(budget.window.kind)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
