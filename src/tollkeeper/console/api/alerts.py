"""``/api/v1/alerts``: what fired, who was told, the channels and rules; acknowledge and test."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import PAGING, check_names, list_page, viewer_of
from tollkeeper.console.shared import Console
from tollkeeper.domain.channels import Channel
from tollkeeper.domain.errors import NotFound
from tollkeeper.services import alert_documents as documents
from tollkeeper.services.alerts import acknowledge
from tollkeeper.services.delivering import Mailing, try_channel

ALERTS_MAX: Final = 5_000
DELIVERIES_MAX: Final = 5_000


def list_alerts(console: Console, access: Access, question: Question) -> Answer:
    """List alerts, newest first, each with who was told."""
    check_names(question.query, PAGING)
    alerts = console.store.alerts(ALERTS_MAX)
    page = list_page([{"id": it.alert_id, "alert": it} for it in alerts], question.query)
    rows = documents.alert_documents(console.store, [row["alert"] for row in page.rows])
    return Document({"alerts": rows, "next_cursor": page.next_cursor})


def acknowledge_alert(console: Console, access: Access, question: Question) -> Answer:
    """Note that somebody has seen an alert; doing it again changes nothing."""
    check_names(question.query, ())
    by = viewer_of(access).name
    seen = acknowledge(console.store, question.path["alert_id"], by, console.now_us())
    (row,) = documents.alert_documents(console.store, [seen])
    return Document(row)


def list_deliveries(console: Console, access: Access, question: Question) -> Answer:
    """List what went to channels, what changed last first."""
    check_names(question.query, PAGING)
    rows = [documents.delivery_document(it) for it in console.store.deliveries(DELIVERIES_MAX)]
    page = list_page(rows, question.query)
    return Document({"deliveries": list(page.rows), "next_cursor": page.next_cursor})


def list_channels(console: Console, access: Access, question: Question) -> Answer:
    """List the configured channels, and how they do."""
    check_names(question.query, PAGING)
    states = {it.channel: it for it in console.store.channel_states()}
    channels = console.alerting.mailing().channels.values()
    rows = [documents.channel_document(it, states.get(it.name)) for it in channels]
    page = list_page(rows, question.query)
    return Document({"channels": list(page.rows), "next_cursor": page.next_cursor})


def list_rules(console: Console, access: Access, question: Question) -> Answer:
    """List the rules that compare with what is usual, and how they stand."""
    check_names(question.query, PAGING)
    page = list_page(list(map(documents.rule_document, console.alerting.rules())), question.query)
    return Document({"rules": list(page.rows), "next_cursor": page.next_cursor})


def test_channel(console: Console, access: Access, question: Question) -> Answer:
    """Send a test message to a channel now, and say what became of it."""
    check_names(question.query, ())
    mailing = console.alerting.mailing()
    found = channel_named(mailing, question.path["channel"])
    delivery = try_channel(
        *(console.store, console.alerting.notifier(), mailing, found),
        *(viewer_of(access).name, console.now_us()),
    )
    return Document(documents.outcome_document(delivery))


def channel_named(mailing: Mailing, name: str) -> Channel:
    """Give a configured channel. Raises NotFound, which names those that there are."""
    found = mailing.channels.get(name)
    if found is None:
        known = ", ".join(mailing.channels) or "none is configured"
        raise NotFound(f"there is no such channel; known: {known}", code="channel_not_found")
    return found
