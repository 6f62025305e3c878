"""The alerts: what fired, who was told, how rules and channels stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from tollkeeper.console import words
from tollkeeper.console.alert_marks import ALERTS_MAX, DELIVERIES_MAX, alerts_mark
from tollkeeper.console.api.alerts import channel_named
from tollkeeper.console.early import stands
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.alerts import BUDGET_RULE, STANDING, Alert, AlertState
from tollkeeper.domain.anomalies import AnomalyRule
from tollkeeper.domain.deliveries import DeliveryState, Failed, Told, troubles
from tollkeeper.domain.errors import Refused
from tollkeeper.reports import formatting, zones
from tollkeeper.services.alert_documents import deliveries_by_alert
from tollkeeper.services.alerting import RuleState
from tollkeeper.services.alerts import acknowledge
from tollkeeper.services.delivering import try_channel

READERS: Final = frozenset({Role.ADMIN, Role.FINANCE, Role.AUDITOR})
"""Roles that see what the whole organisation is told."""

ACKNOWLEDGERS: Final = frozenset({Role.ADMIN, Role.FINANCE})
TESTERS: Final = frozenset({Role.ADMIN})

STATES: Final[Mapping[str, words.Word]] = {
    AlertState.FIRED: words.Word("Fired", "Nobody has said yet that they saw it.", "bad"),
    AlertState.ACKNOWLEDGED: words.Word("Seen", "Somebody has seen it.", "warn"),
    AlertState.RECOVERED: words.Word("Recovered", "It is well again.", "good"),
    AlertState.ENDED: words.Word("Over", "Its window is over."),
}
DELIVERIES: Final[Mapping[str, words.Word]] = {
    DeliveryState.WAITING: words.Word("On its way", "It is tried, again if need be.", "warn"),
    DeliveryState.GATHERED: words.Word("Next digest", "It waits for the channel's digest."),
    DeliveryState.DIGESTED: words.Word("In a digest", "It was part of a digest.", "good"),
    DeliveryState.DELIVERED: words.Word("Delivered", "The channel took it.", "good"),
    DeliveryState.DEAD: words.Word("Given up", "It did not arrive.", "bad"),
}
RULES: Final[Mapping[str, words.Word]] = {
    BUDGET_RULE: words.Word("Budget thresholds", "Each budget at its own thresholds."),
    AnomalyRule.SPEND_HOUR: words.Word(
        "Unusual hour", "An hour's spend against the median of hours like it, and how they differ."
    ),
    AnomalyRule.SPEND_DAY: words.Word("Unusual day", "A day's spend against twice the average."),
    AnomalyRule.PROJECTED: words.Word(
        "Pace of budgets", "A budget that will be spent before its window ends."
    ),
    AnomalyRule.ERROR_RATE: words.Word(
        "Failing requests", "More than a fifth fails, and three times what is usual."
    ),
    AnomalyRule.LATENCY: words.Word(
        "Slow answers", "The slowest twentieth takes twice as long as in the last week."
    ),
    AnomalyRule.NEW_TOOL: words.Word(
        "New tool on a key",
        "A key in long use comes with another tool. Addresses of callers are not kept, so "
        "places cannot be told.",
    ),
}
RULE_STATES: Final[Mapping[str, words.Word]] = {
    "quiet": words.Word("Quiet", "Nothing unusual.", "good"),
    "fired": words.Word("Fired", "It found something.", "bad"),
    "unknown": words.Word("Cannot tell", "There is not enough history."),
    "off": words.Word("Off", "Switched off in tollkeeper.yaml."),
}


class ToldLine(NamedTuple):
    """One channel that was told of an alert."""

    channel: str
    state: words.Word


class AlertLine(NamedTuple):
    """One alert. ``told`` is empty where no channel was to have it."""

    alert_id: str
    title: str
    rule: str
    state: words.Word
    fired: str
    fired_full: str
    by: str
    told: tuple[ToldLine, ...]
    may_acknowledge: bool
    is_open: bool


class RuleLine(NamedTuple):
    """One rule, and how it stood when it was last looked at."""

    rule: words.Word
    state: words.Word
    detail: str


class ChannelLine(NamedTuple):
    """One channel. ``gets`` says what it is told of."""

    name: str
    kind: str
    address: str
    gets: str
    state: words.Word
    delivered: str
    fault: str


class DeliveryLine(NamedTuple):
    """One message on its way to one channel. ``again`` says when it is tried next, "" if never."""

    delivery_id: str
    when: str
    when_full: str
    title: str
    event: str
    channel: str
    state: words.Word
    attempts: int
    status: str
    took: str
    fault: str
    again: str


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """Everything about alerts. ``done`` and ``fault`` say what became of what was asked.

    ``mark`` stands for all that is shown: it is another one as soon as anything has changed.
    """

    template: ClassVar[str] = "alerts.html"
    lines: tuple[AlertLine, ...]
    open_count: int
    shows_all: bool
    over_count: int
    rules: tuple[RuleLine, ...]
    channels: tuple[ChannelLine, ...]
    deliveries: tuple[DeliveryLine, ...]
    may_test: bool
    mark: str
    done: str = ""
    fault: str = ""
    status: int = 200


def alerts(console: Console, viewer: Viewer, query: Query) -> AlertsPage:
    """Answer ``GET /alerts``."""
    stands(AlertsPage)
    return _page(console, viewer, query)


def acknowledge_alert(console: Console, viewer: Viewer, form: Query) -> AlertsPage | Redirect:
    """Answer ``POST /alerts/{alert_id}/acknowledge``."""
    try:
        acknowledge(console.store, form["alert_id"], viewer.name, console.now_us())
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"/alerts?done={form['alert_id']}#fired")


def test_channel(console: Console, viewer: Viewer, form: Query) -> AlertsPage | Redirect:
    """Answer ``POST /alerts/channels/{channel}/test``."""
    mailing = console.alerting.mailing()
    try:
        found = channel_named(mailing, form["channel"])
    except Refused as refused:
        return _page(console, viewer, form, fault=refused.message, status=refused.status)
    delivery = try_channel(
        *(console.store, console.alerting.notifier(), mailing, found),
        *(viewer.name, console.now_us()),
    )
    if delivery.fault:
        return _page(console, viewer, form, fault=f"{found.name}: {delivery.fault}")
    return Redirect(f"/alerts?tested={found.name}#channels")


def _page(
    console: Console, viewer: Viewer, query: Query, *, fault: str = "", status: int = 200
) -> AlertsPage:
    store, now_us = console.store, console.now_us()
    mark = alerts_mark(store, console.alerting)  # first: what changes meanwhile is told once more
    times = _Times(zones.zone_info(query["tz"]), now_us)
    found = store.alerts(ALERTS_MAX)
    is_open = [it for it in found if it.state in STANDING]
    shows_all = query.get("show") == "all" or not is_open
    shown = found if shows_all else is_open
    told, deliveries = deliveries_by_alert(store, shown), store.deliveries(DELIVERIES_MAX)
    may = viewer.role in ACKNOWLEDGERS
    return AlertsPage(
        lines=tuple(_alert(it, told.get(it.alert_id, ()), times, may=may) for it in shown),
        open_count=len(is_open),
        shows_all=shows_all,
        over_count=len(found) - len(is_open),
        rules=_rules(console, len(store.budgets())),
        channels=_channels(console, deliveries, times),
        deliveries=tuple(_delivery(it, times) for it in deliveries),
        may_test=viewer.role in TESTERS,
        mark=mark,
        done=_done(found, console, query),
        fault=fault,
        status=status,
    )


def _done(found: Sequence[Alert], console: Console, query: Query) -> str:
    for alert in found:
        if alert.alert_id == query.get("done") and alert.state is AlertState.ACKNOWLEDGED:
            return f"Seen: {alert.title}"
    tested = query.get("tested", "")
    if tested in console.alerting.mailing().channels:
        return f"The test message has reached {tested}"
    return ""


def _alert(alert: Alert, told: Iterable[Told], times: _Times, *, may: bool) -> AlertLine:
    rule = RULES.get(alert.key.rule)
    return AlertLine(
        alert.alert_id,
        alert.title,
        rule.name if rule else alert.key.rule,
        STATES.get(alert.state, words.Word(str(alert.state), "")),
        times.short(alert.fired_at_us),
        times.full(alert.fired_at_us),
        alert.by,
        tuple(ToldLine(it.delivery.channel, DELIVERIES[it.delivery.state]) for it in told),
        may and alert.state is AlertState.FIRED,
        alert.state in STANDING,
    )


def _rules(console: Console, budgets: int) -> tuple[RuleLine, ...]:
    count = f"{formatting.count(budgets)} {'budget' if budgets == 1 else 'budgets'}"
    first = RuleLine(
        RULES[BUDGET_RULE],
        RULE_STATES["quiet"]._replace(name="Looking", meaning="Every second."),
        count if budgets else "There is no budget yet.",
    )
    return (first, *map(_rule, console.alerting.rules()))


def _rule(state: RuleState) -> RuleLine:
    return RuleLine(RULES[state.rule], RULE_STATES[state.state], state.detail)


def _channels(
    console: Console, deliveries: Iterable[Told], times: _Times
) -> tuple[ChannelLine, ...]:
    states = {it.channel: it for it in console.store.channel_states()}
    failing = troubles(_failed(deliveries), states)
    lines = []
    for channel in console.alerting.mailing().channels.values():
        known = states.get(channel.name)
        trouble = failing.get(channel.name)
        state, fault = words.Word("Open", "It gets messages.", "good"), ""
        if known is not None and known.closed_at_us:
            state, fault = (
                words.Word("Closed", "It gets nothing until a test arrives.", "bad"),
                known.fault,
            )
        elif trouble is not None:
            since = times.short(trouble.since_us)
            state = words.Word("Failing", "What failed is tried again for three days.", "warn")
            fault = f"since {since}: {trouble.fault}"
        gets = "everything" if channel.events == ("*",) else ", ".join(channel.events)
        delivered_us = known.delivered_at_us if known else None
        lines.append(
            ChannelLine(
                channel.name,
                channel.kind,
                channel.shown,
                f"{gets}, once a day" if channel.is_digest else gets,
                state,
                times.short(delivered_us) if delivered_us else "",
                fault,
            )
        )
    return tuple(lines)


def _failed(deliveries: Iterable[Told]) -> Iterable[Failed]:
    for delivery, message in deliveries:
        if delivery.fault and delivery.attempts:
            yield Failed(
                delivery.channel, delivery.changed_at_us, message.created_at_us, delivery.fault
            )


def _delivery(told: Told, times: _Times) -> DeliveryLine:
    delivery, message = told
    took = formatting.duration(delivery.latency_ms) if delivery.latency_ms is not None else ""
    is_waiting = delivery.state is DeliveryState.WAITING
    return DeliveryLine(
        f"{delivery.message_id}.{delivery.channel}",
        times.short(delivery.changed_at_us),
        times.full(delivery.changed_at_us),
        message.title,
        message.event,
        delivery.channel,
        DELIVERIES[delivery.state],
        delivery.attempts,
        "" if delivery.status is None else str(delivery.status),
        took,
        delivery.fault,
        times.short(delivery.next_at_us) if delivery.fault and is_waiting else "",
    )


class _Times:
    """Writes moments in the viewer's zone."""

    def __init__(self, zone: ZoneInfo, now_us: int) -> None:
        self._zone = zone
        self._today = zones.local_time(now_us, zone).date()

    def short(self, at_us: int) -> str:
        """Write the time today, the day and time before."""
        local = zones.local_time(at_us, self._zone)
        if local.date() == self._today:
            return f"{local:%H:%M:%S}"
        return f"{formatting.day(local.date())}, {local:%H:%M}"

    def full(self, at_us: int) -> str:
        """Write date, time and zone."""
        local = zones.local_time(at_us, self._zone)
        return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
