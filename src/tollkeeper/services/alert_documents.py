"""Alerts, deliveries, channels and rules as the API and the command line tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tollkeeper.domain.alerts import BUDGET_RULE, Alert
from tollkeeper.domain.anomalies import AnomalyRule
from tollkeeper.domain.budget_windows import LATEST_US
from tollkeeper.domain.budget_words import percent_words
from tollkeeper.domain.budgets import Budget, Unit
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.deliveries import ChannelState, Delivery, Told
from tollkeeper.domain.money import usd_text
from tollkeeper.ports import Store
from tollkeeper.services.alerting import RuleState
from tollkeeper.services.times import utc_text

UNITS: Final[Mapping[str, str]] = {
    AnomalyRule.SPEND_HOUR: Unit.USD,
    AnomalyRule.SPEND_DAY: Unit.USD,
    AnomalyRule.ERROR_RATE: "basis_points",
    AnomalyRule.LATENCY: "milliseconds",
    AnomalyRule.NEW_TOOL: "",
}
"""In what rules count that have no budget."""


def unit_of(alert: Alert, budgets: Mapping[str, Budget]) -> str:
    """Say in what an alert's amounts are, "" where that is not known."""
    if alert.key.rule in UNITS:
        return str(UNITS[alert.key.rule])
    budget = budgets.get(alert.key.subject)
    return "" if budget is None else str(budget.unit)


def alert_documents(store: Store, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """Give alerts, each with who was told of it."""
    budgets = {it.budget_id: it for it in store.budgets()}
    told = deliveries_by_alert(store, alerts)
    return [alert_document(it, unit_of(it, budgets), told.get(it.alert_id, ())) for it in alerts]


def deliveries_by_alert(store: Store, alerts: Iterable[Alert]) -> Mapping[str, list[Told]]:
    """Give the deliveries of what was told when alerts fired, by the alerts' ids."""
    ids = [f"msg_{alert.alert_id}_fired" for alert in alerts]
    found: dict[str, list[Told]] = {}
    for told in store.deliveries(10_000, ids) if ids else ():
        found.setdefault(told.message.alert_id, []).append(told)
    return found


def alert_document(alert: Alert, unit: str, told: Iterable[Told]) -> dict[str, Any]:
    """Give one alert. Amounts are texts: USD with nine decimals, all else whole numbers."""
    key = alert.key
    ends = alert.window_end_us < LATEST_US
    is_budget = key.rule == BUDGET_RULE
    return {
        "id": alert.alert_id,
        "rule": key.rule,
        "subject": key.subject,
        "entity": key.entity,
        "name": alert.name,
        "title": alert.title,
        "state": str(alert.state),
        "threshold_percent": percent_words(key.threshold_bp) if is_budget else None,
        "round": key.round,
        "unit": unit,
        "value": _amount(alert.value, unit),
        "limit": _amount(alert.limit, unit),
        "window_start": utc_text(key.window_start_us),
        "window_end": utc_text(alert.window_end_us) if ends else None,
        "fired_at": utc_text(alert.fired_at_us),
        "changed_at": utc_text(alert.changed_at_us),
        "acknowledged_by": alert.by or None,
        "told": [
            {"channel": each.delivery.channel, "state": str(each.delivery.state)} for each in told
        ],
    }


def delivery_document(told: Told) -> dict[str, Any]:
    """Give one delivery."""
    delivery, message = told
    return {
        "id": f"{delivery.message_id}.{delivery.channel}",
        "message_id": delivery.message_id,
        "event": message.event,
        "title": message.title,
        **outcome_document(delivery),
        "created_at": utc_text(message.created_at_us),
    }


def outcome_document(delivery: Delivery) -> dict[str, Any]:
    """Give what became of a delivery so far."""
    waits = str(delivery.state) == "waiting"
    return {
        "channel": delivery.channel,
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "status": delivery.status,
        "latency_ms": delivery.latency_ms,
        "fault": delivery.fault or None,
        "reply": delivery.reply or None,
        "changed_at": utc_text(delivery.changed_at_us),
        "next_at": utc_text(delivery.next_at_us) if waits else None,
    }


def channel_document(channel: Channel, state: ChannelState | None) -> dict[str, Any]:
    """Give one channel, without anything secret of it."""
    known = state or ChannelState(channel.name)
    return {
        "id": channel.name,
        "kind": channel.kind,
        "address": channel.shown,
        "events": list(channel.events),
        "digest": channel.is_digest,
        "recoveries": channel.recoveries,
        "state": "closed" if known.closed_at_us else "open",
        "failures": known.failures,
        "fault": known.fault or None,
        "closed_at": None if known.closed_at_us is None else utc_text(known.closed_at_us),
        "delivered_at": None if known.delivered_at_us is None else utc_text(known.delivered_at_us),
    }


def rule_document(state: RuleState) -> dict[str, Any]:
    """Give how one rule stands."""
    looked = state.looked_at_us
    return {
        "id": state.rule,
        "state": state.state,
        "detail": state.detail or None,
        "looked_at": None if looked is None else utc_text(looked),
    }


def _amount(amount: int, unit: str) -> str:
    return usd_text(amount) if unit == Unit.USD else str(amount)
