"""One call explained: what it used, times which price, line by line, and how it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup

from tollkeeper.console import remedies, words
from tollkeeper.console.bills import Bill, bills_of, model_of
from tollkeeper.console.charts.call_timeline import Span, call_timeline
from tollkeeper.console.early import stands
from tollkeeper.console.links import Links
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.shared import Console, Query
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.ledger import ERROR_OUTCOMES, LedgerEntry, Outcome, is_attempt
from tollkeeper.domain.spenders import Caller
from tollkeeper.reports import call as report
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.answers import call_document
from tollkeeper.reports.budget_replay import routed_model
from tollkeeper.reports.call import CallDetail
from tollkeeper.services.budget_standings import onlooker_of

_RECENT: Final = timedelta(days=29)


class Fact(NamedTuple):
    """Something known of a call. ``href`` leads to the calls that share it, "" if none do."""

    name: str
    text: str
    href: str = ""
    meaning: str = ""


class Attempt(NamedTuple):
    """One try at a provider, and what came of it. ``picture`` is its bar in the timeline."""

    number: int
    provider: str
    model: str
    outcome: words.Word
    status: str
    began: str
    took: str
    first: str
    request_id: str
    why: str
    what: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class CallPage:
    """Everything that is known of one call. ``cost`` is written in full."""

    template: ClassVar[str] = "call.html"
    report: CallDetail
    title: str
    asked_for: str
    when: str
    zone: str
    outcome: words.Word
    basis: words.Word
    cost: str
    took: str
    first: str
    tokens: tuple[Fact, ...]
    bills: tuple[Bill, ...]
    attempts: tuple[Attempt, ...]
    facts: tuple[Fact, ...]
    tags: tuple[Fact, ...]
    day_href: str
    json_href: str

    def document(self) -> Mapping[str, Any]:
        """Give the call as JSON."""
        return call_document(self.report)


def call(console: Console, viewer: Viewer, query: Query) -> CallPage:
    """Answer ``GET /calls/{call_id}``. Raises LookupError where the viewer may see no such call."""
    found = report.call(ledger_for(console, viewer), viewer.scope, query["call_id"])
    stands(CallPage, title=f"Call {found.call_id}")
    found = replace(
        found,
        entries=tuple(each.explained(console.explain(each.entry)) for each in found.entries),
    )
    zone = zones.zone_info(query["tz"])
    whole = found if viewer.sees_names else report.call(console.ledger, viewer.scope, found.call_id)
    budgets = tuple(_budgets(console, viewer, _last_attempt(whole)))
    return _page(found, zone, console.now_us(), budgets)


def _page(found: CallDetail, zone: ZoneInfo, now_us: int, budgets: tuple[Fact, ...]) -> CallPage:
    first, last = found.first, found.standing(_last_attempt(found))
    began = zones.local_time(first.started_at_us, zone)
    links = _links(began, zones.local_time(now_us, zone))
    whole_ms = (last.started_at_us - first.started_at_us) // 1_000 + last.duration_ms
    reached = last.ttft_ms
    if reached is not None:
        reached += (last.started_at_us - first.started_at_us) // 1_000
    return CallPage(
        report=found,
        title=model_of(last) or "A call",
        asked_for=first.model_requested,
        when=f"{began:%Y-%m-%d %H:%M:%S}.{began.microsecond // 1_000:03d}",
        zone=str(zone),
        outcome=words.outcome(last.outcome),
        basis=words.basis(last.basis),
        cost=formatting.money_full(found.cost_usd),
        took=formatting.duration(whole_ms),
        first=formatting.duration(reached),
        tokens=tuple(_tokens(found)),
        bills=bills_of(found, zone),
        attempts=_attempts(found, zone),
        facts=(*_facts(first, last, links), *budgets),
        tags=tuple(
            Fact(key, value, links.narrowed(f"tag:{key}", value).calls())
            for key, value in sorted(first.tags.items())
        ),
        day_href=links.during(**_day(began)).calls(),
        json_href=f"/api/v1/calls/{found.call_id}",
    )


def _budgets(console: Console, viewer: Viewer, entry: LedgerEntry) -> Iterator[Fact]:
    """Name the budgets that the call counted in, as far as the viewer may see them."""
    call = Caller(
        org=entry.org,
        team=entry.team,
        user_id=entry.user_id,
        key_id=entry.key_id,
        tags=entry.tags,
        model=routed_model(entry.model_served, entry.model_requested),
        provider=entry.provider,
        endpoint=entry.endpoint,
        tool=entry.tool,
        end_customer=entry.end_customer,
        session_id=entry.session_id,
    )
    onlooker = onlooker_of(console.store, viewer)
    for concern in Book(console.store.budgets()).concerns(call, entry.started_at_us):
        if onlooker.sees(concern.budget):
            budget = concern.budget
            yield Fact("Budget", budget.name, f"/budget/{budget.budget_id}", "It counted in this.")


def _last_attempt(found: CallDetail) -> LedgerEntry:
    attempts = [each.entry for each in found.entries if is_attempt(each.entry)]
    return attempts[-1] if attempts else found.first


def _links(began: datetime, now: datetime) -> Links:
    """Lead to calls of the usual period, or of the call's own day where it is older."""
    recent = now.date() - began.date() <= _RECENT
    time = {"period": "30d"} if recent else _day(began)
    return Links(time, str(began.tzinfo))


def _day(began: datetime) -> dict[str, str]:
    return {"from": began.date().isoformat(), "to": began.date().isoformat()}


def _tokens(found: CallDetail) -> Iterator[Fact]:
    """Give what the call used in all, most telling first."""
    for name, count in found.quantities.items():
        text = f"{formatting.count_full(count)} {words.counted(name)}"
        yield Fact(words.quantity(name), text.strip())


# ------------------------------------------------------------------ attempts and facts


def _attempts(found: CallDetail, zone: ZoneInfo) -> tuple[Attempt, ...]:
    entries = [each.entry for each in found.entries if is_attempt(each.entry)]
    start_us = found.first.started_at_us
    spans = [_span(entry, (entry.started_at_us - start_us) // 1_000) for entry in entries]
    pictures = call_timeline(spans)
    return tuple(
        _attempt(entry, zone, picture) for entry, picture in zip(entries, pictures, strict=True)
    )


def _span(entry: LedgerEntry, start_ms: int) -> Span:
    return Span(
        start_ms,
        None if entry.ttft_ms is None else start_ms + entry.ttft_ms,
        start_ms + entry.duration_ms,
        failed=entry.outcome in ERROR_OUTCOMES or entry.outcome == Outcome.REFUSED,
    )


def _attempt(entry: LedgerEntry, zone: ZoneInfo, picture: Markup) -> Attempt:
    began = zones.local_time(entry.started_at_us, zone)
    why, what = remedies.failure(entry)
    return Attempt(
        number=entry.attempt,
        provider=entry.provider or "no provider",
        model=entry.model_served or entry.model_requested,
        outcome=words.outcome(entry.outcome),
        status=str(entry.status) if entry.status else "",
        began=f"{began:%H:%M:%S}.{began.microsecond // 1_000:03d}",
        took=formatting.duration(entry.duration_ms),
        first="" if entry.ttft_ms is None else formatting.duration(entry.ttft_ms),
        request_id=entry.request_id_upstream,
        why=why,
        what=what,
        picture=picture,
    )


def _facts(first: LedgerEntry, last: LedgerEntry, links: Links) -> Iterator[Fact]:
    """Say who called what, and how; what is not known is left out."""

    def calls(dimension: str, value: str) -> str:
        return links.narrowed(dimension, value).calls()

    person = first.user_name or first.user_id
    key = f"{first.key_name} ({first.key_id})" if first.key_name else first.key_id
    tool = f"{first.tool} {first.tool_version}".strip()
    facts = (
        (person, Fact("Person", person, calls("user", first.user_id))),
        (first.team, Fact("Team", first.team, calls("team", first.team))),
        (key, Fact("Key", key, calls("key", first.key_id))),
        (tool, Fact("Tool", tool, calls("tool", first.tool))),
        (first.session_id, Fact("Session", first.session_id, calls("session", first.session_id))),
        (
            first.end_customer,
            Fact("Customer", first.end_customer, calls("customer", first.end_customer)),
        ),
        (last.provider, Fact("Provider", last.provider, calls("provider", last.provider))),
        (last.model_served, Fact("Model", last.model_served, calls("model", last.model_served))),
        (
            first.model_requested if first.model_requested != last.model_served else "",
            Fact(
                "Asked for",
                first.model_requested,
                calls("model_requested", first.model_requested),
                "The model that the request named.",
            ),
        ),
        (last.tier, Fact("Tier", last.tier, calls("tier", last.tier))),
        (
            first.endpoint,
            Fact("Endpoint", f"{first.endpoint}{', streamed' if first.streamed else ''}"),
        ),
        (first.source, Fact("Seen by", first.source.replace("_", " "))),
        (first.call_id, Fact("Call", first.call_id)),
        (last.request_id_upstream, Fact("Provider's id", last.request_id_upstream)),
    )
    return (fact for known, fact in facts if known)
