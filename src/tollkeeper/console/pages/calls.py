"""The calls: what happened, newest first, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, NamedTuple

from tollkeeper.console.early import stands
from tollkeeper.console.first_call import FirstCall, first_call
from tollkeeper.console.heads import Head, head_of, label
from tollkeeper.console.links import Choice, Links, time_of
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.rendering import address
from tollkeeper.console.rows import CallLine, lines_of
from tollkeeper.console.shared import Console, Query, Table
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.ledger import ERROR_OUTCOMES, Basis, Outcome
from tollkeeper.reports import calls as report
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.answers import calls_document
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.filters import Filter, filters_text, parse_filters
from tollkeeper.reports.measures import ratio
from tollkeeper.reports.parameters import DEFAULT_PERIOD, calls_question
from tollkeeper.reports.usage import UsageAnswer, UsageQuestion, usage

ROWS: Final = 50
SUGGESTIONS_MAX: Final = 200
_TYPED: Final = ("team", "user", "key", "model", "provider", "tool", "session")
_CHOSEN: Final = ("outcome", "basis")
_REASON: Final = "unpriced_reason"
_TOTALS: Final = ("cost_usd", "requests", "refusals", "errors", "tokens_in", "tokens_out")
_QUICK: Final = (
    ("Errors", Filter("outcome", tuple(sorted(ERROR_OUTCOMES)))),
    ("Refused", Filter("outcome", (Outcome.REFUSED.value,))),
    ("Unpriced", Filter("basis", (Basis.UNPRICED.value,))),
    ("Estimated", Filter("basis", (Basis.ESTIMATED.value,))),
)


class Field(NamedTuple):
    """One thing to filter by. ``options`` are (value, text) to choose from, or to suggest."""

    name: str
    value: str
    options: tuple[tuple[str, str], ...]
    free: bool


class Share(NamedTuple):
    """How much is known less well than it should be, ``some`` if there is any at all."""

    name: str
    text: str
    full: str
    note: str
    some: bool


@dataclass(frozen=True, slots=True)
class CallsPage:
    """One page of the list.

    ``totals`` are of all calls that pass, not of this page. ``quick`` are filters that are
    often wanted. ``tried`` says when new prices were tried on calls without one. ``newest_href``
    is the first page, ``older_href`` the next one ("" on the last). ``follows`` tells that this
    is the first page of a period that still runs, so new calls belong at its top. ``start`` is
    set as long as nothing was ever called.
    """

    template: ClassVar[str] = "calls.html"
    report: report.CallsPage
    head: Head
    totals: UsageAnswer
    lines: tuple[CallLine, ...]
    form: tuple[Field, ...]
    form_hidden: tuple[tuple[str, str], ...]
    quick: tuple[Choice, ...]
    tried: str
    newest_href: str
    older_href: str
    file_href: str
    explore_href: str
    first_page: bool
    follows: bool
    start: FirstCall | None

    @property
    def address(self) -> str:
        """Give the page's own address, however it was asked for."""
        return self.newest_href

    @property
    def estimated(self) -> Share:
        """Say how much of the cost was counted here."""
        found = self.totals.basis.get(Basis.ESTIMATED)
        requests = 0 if found is None else found.requests
        cost = None if found is None else found.cost_usd
        part = ratio(cost if requests else 0, self.totals.totals["cost_usd"])
        note = f"of the cost, in {formatting.count(requests)} calls" if requests else "of the cost"
        full = f"{formatting.money_full(cost)} in {requests:,} calls" if requests else "nothing"
        return Share("Estimated", formatting.share(part), full, note, bool(requests))

    @property
    def unpriced(self) -> Share:
        """Count the calls whose cost is unknown: as calls and tokens, never as money."""
        calls, tokens = self.totals.unpriced_calls, self.totals.unpriced_tokens
        return Share(
            "Unpriced",
            formatting.count(calls),
            f"{calls:,} calls, {tokens:,} tokens",
            f"calls, {formatting.count(tokens)} tokens" if calls else "every call has its price",
            bool(calls),
        )

    def document(self) -> Mapping[str, Any]:
        """Give the page as JSON."""
        return calls_document(self.report)

    def table(self) -> Table:
        """Give the calls as a table."""
        columns = [field.name for field in fields(CallRow)]
        return Table(
            "calls",
            columns,
            [{name: getattr(row, name) for name in columns} for row in self.report.rows],
        )


def calls(console: Console, viewer: Viewer, query: Query) -> CallsPage:
    """Answer ``GET /calls``."""
    now_us = console.now_us()
    asked = _asked(query)
    question = calls_question(asked, now_us)
    assert question.period is not None  # noqa: S101 - _asked names one
    ledger = ledger_for(console, viewer)
    totalled = UsageQuestion(question.period, _TOTALS, filters=question.filters)
    if not question.cursor:  # which the report reads
        stands(CallsPage, console.ledger)
    with ledger.snapshot():  # the list and its totals are of one moment
        found = report.calls(ledger, viewer.scope, question)
        totals = usage(ledger, viewer.scope, totalled)
    links = Links(time_of(asked), question.period.zone, question.filters)
    names = _names(console, viewer, found.rows)
    newest = links.calls()
    first_page = not question.cursor
    nothing = first_page and not found.rows
    ever = not nothing or bool(report.newest(ledger, viewer.scope, (), 1).rows)
    return CallsPage(
        report=found,
        head=head_of(viewer, question.period, links, "/calls", names),
        totals=totals,
        lines=lines_of(found.rows, links, question.period.zone, now_us),
        form=_form(links.filters, found.rows, dict(names)),
        form_hidden=(*links.time.items(), ("tz", links.zone), ("filter", _kept(links.filters))),
        quick=_quick(links),
        tried=_tried(console, viewer, links),
        newest_href=newest,
        older_href=address("/calls", {**_query(links), "cursor": found.next_cursor})
        if found.next_cursor
        else "",
        file_href=links.calls_file(),
        explore_href=links.explore(),
        first_page=first_page,
        follows=first_page and not question.period.complete,
        start=None if ever else first_call(console, viewer),
    )


def _asked(query: Query) -> dict[str, str]:
    """Give the report's parameters: fields of the form become filters, and 30 days are usual."""
    typed = [Filter(name, (query[name].strip(),)) for name in _TYPED if query.get(name)]
    typed += [Filter(name, (query[name],)) for name in _CHOSEN if query.get(name)]
    if query.get("reason"):
        typed.append(Filter(_REASON, (query["reason"].strip(),)))
    tag, _, value = query.get("tag", "").partition("=")
    if tag.strip():
        typed.append(Filter(f"tag:{tag.strip()}", (value.strip(),)))
    if query.get("status"):
        typed.append(Filter("status", (query["status"].strip(),)))
    found = {
        name: value
        for name, value in query.items()
        if name not in {*_TYPED, *_CHOSEN, "tag", "status", "reason"}
    }
    if typed:
        kept = parse_filters(query.get("filter", ""))
        fresh = {each.dimension for each in typed}
        both = (*(each for each in kept if each.dimension not in fresh), *typed)
        found["filter"] = filters_text(both)
    if not any(found.get(name) for name in ("period", "from", "to")):
        found["period"] = DEFAULT_PERIOD
    rows = report.LIMIT_MAX if query.get("format") in {"csv", "parquet"} else ROWS
    return {"limit": str(rows), **found}


def _query(links: Links) -> dict[str, str]:
    return {**links.time, "tz": links.zone, "filter": filters_text(links.filters)}


def _kept(filters: Sequence[Filter]) -> str:
    """Give the filters that have no field in the form, so that sending it keeps them."""
    in_form = {*_TYPED, *_CHOSEN, _REASON, "status"}
    return filters_text(
        each
        for each in filters
        if each.dimension not in in_form or each.negated or len(each.values) > 1
    )


def _form(
    filters: Sequence[Filter], rows: Sequence[CallRow], names: dict[str, str]
) -> tuple[Field, ...]:
    """Make the fields, each with the value that is on, and with what this page suggests."""
    values = {
        each.dimension: each.values[0]
        for each in filters
        if not each.negated and len(each.values) == 1
    }
    seen: dict[str, list[str]] = {
        "team": [row.team for row in rows],
        "user": [row.user_name for row in rows],
        "key": [row.key_name for row in rows],
        "model": [row.model for row in rows],
        "provider": [row.provider for row in rows],
        "tool": [row.tool for row in rows],
        "session": [],
    }
    typed = [
        Field(
            name,
            names.get(values.get(name, ""), values.get(name, "")),
            tuple((text, text) for text in sorted(set(filter(None, seen[name])))[:SUGGESTIONS_MAX]),
            free=True,
        )
        for name in _TYPED
    ]
    kinds: tuple[tuple[str, Sequence[str]], ...] = (
        ("outcome", tuple(Outcome)),
        ("basis", tuple(Basis)),
    )
    chosen = [
        Field(
            name,
            values.get(name, ""),
            tuple((code, label(name, code, {})) for code in codes),
            free=False,
        )
        for name, codes in kinds
    ]
    reasons = sorted({row.unpriced_reason for row in rows} - {""})
    return (
        *typed,
        *chosen,
        Field("reason", values.get(_REASON, ""), tuple((each, each) for each in reasons), True),
        Field("status", values.get("status", ""), (), free=True),
    )


def _quick(links: Links) -> tuple[Choice, ...]:
    """Offer filters that are often wanted; one that is on is switched off again."""
    choices = []
    for text, each in _QUICK:
        on = each in links.filters
        other = (
            links.widened(each.dimension) if on else links.narrowed(each.dimension, *each.values)
        )
        choices.append(Choice(text, other.calls(), on))
    return tuple(choices)


def _tried(console: Console, viewer: Viewer, links: Links) -> str:
    """Say when the prices of now were tried on calls without one, where that is asked about."""
    if viewer.scope.teams is not None or viewer.scope.user_id is not None:
        return ""
    if not any(each.dimension in {"basis", _REASON} for each in links.filters):
        return ""
    run = console.store.last_pricing_run()
    if run is None:
        return ""
    at = zones.local_time(run.ended_at_us or run.began_at_us, zones.zone_info(links.zone))
    return (
        f"Prices {run.price_version} were tried on calls without one on "
        f"{formatting.day(at.date())}, {at:%H:%M}: {run.priced:,} got their price, "
        f"{run.unpriced:,} still have none."
    )


def _names(console: Console, viewer: Viewer, rows: Sequence[CallRow]) -> list[tuple[str, str]]:
    """Give the names of ids in filters, as far as this page knows them."""
    names = [(row.user_id, row.user_name) for row in rows]
    names += [(row.key_id, row.key_name) for row in rows]
    names.append((viewer.user_id, viewer.name))
    return [(identifier, name) for identifier, name in names if identifier and name]
