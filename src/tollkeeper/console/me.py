"""``GET /me``: what the holder of a key, or of a session, spent today, what is left of the budgets
that their calls count in, and which rate limits those meet.

With a virtual key it answers JSON, or one line for a status line (``?format=line``); a
browser gets the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Line, Question
from tollkeeper.console.api.reading import viewer_of
from tollkeeper.console.own_limits import limit_document, own_limits
from tollkeeper.console.pages import me as page
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import VirtualKey
from tollkeeper.domain.budgets import Balance, Budget, Mode, Unit
from tollkeeper.domain.money import usd
from tollkeeper.reports import formatting, zones
from tollkeeper.reports.answers import own_call_document, spent_document, time_text
from tollkeeper.reports.call import own_call
from tollkeeper.reports.me import SpentToday, spent_today
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.services.budget_documents import names_of, own_document
from tollkeeper.services.budget_standings import opens_at_us, own_onlooker, own_rows

_PARAMETERS = ("format", "tz", "call")
_FORMATS = ("json", "line")
_KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "access_token"})


def me(console: Console, access: Access, question: Question) -> Answer:
    """Answer with the shape that suits whoever asks."""
    if access.key is None and question.query.get("format") not in _FORMATS:
        return page.me(console, viewer_of(access), {**question.query, "tz": question.zone})
    return me_document(console, access, question)


def me_document(console: Console, access: Access, question: Question) -> Answer:
    """Say who asks and what they spent today, as a document or as one line."""
    viewer, key = viewer_of(access), access.key
    wanted = question.query.get("format", "json")
    if wanted not in _FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(_FORMATS)}")
    for name in question.query:
        if name not in _PARAMETERS and name not in _KEY_PARAMETERS:
            raise BadQuestion(quoted(name), f"no such parameter; {one_of(_PARAMETERS)}")
    spent = spent_today(
        console.ledger,
        console.org,
        user_id=viewer.user_id,
        key_id=key.key_id if key else "",
        zone=question.zone,
        now_us=console.now_us(),
    )
    onlooker = own_onlooker(console.store, console.org, viewer.user_id, key)
    rows = own_rows(console.store, onlooker, console.now_us())
    if wanted == "line":
        return Line(status_line(spent, rows, question.zone))
    names = names_of(console.store)
    return Document(
        {
            "identity": _identity(console, access),
            "key": None if key is None else _key(key),
            "budgets": [own_document(budget, row, names) for budget, row in rows],
            "limits": [
                limit_document(each)
                for each in own_limits(console, onlooker.callers or (), viewer.user_id)
            ],
            "today": spent_document(spent),
            "call": _call(console, access, question.query.get("call", "")),
        }
    )


def status_line(
    spent: SpentToday, rows: Sequence[tuple[Budget, Balance]] = (), zone: str = "UTC"
) -> str:
    """Write a day in one line, with the fullest hard budget at its end:
    ``$1.42 today · 38 calls · 2 unpriced · $3.58 of $5.00 left until Dec 1``."""
    calls = f"{formatting.count_full(spent.requests)} {_plural('call', spent.requests)}"
    parts = [f"{formatting.money(spent.cost_usd)} today", calls]
    if spent.refusals:
        parts.append(f"{formatting.count_full(spent.refusals)} refused")
    if spent.unpriced:
        parts.append(f"{formatting.count_full(spent.unpriced)} unpriced")
    parts += [_left(*pair, zone) for pair in rows if pair[0].mode is Mode.HARD][:1]
    return " · ".join(parts)


def _left(budget: Budget, row: Balance, zone: str) -> str:
    """Say what is left of a budget, and until when: ``$3.58 of $5.00 left until Dec 1``."""
    left, limit = max(row.left, 0), row.limit
    if budget.unit is Unit.USD:
        of = f"{formatting.money(usd(left))} of {formatting.money(usd(limit))} left"
    else:
        of = f"{formatting.count(left)} of {formatting.count(limit)} {budget.unit} left"
    ends_us = opens_at_us(budget, row)
    if ends_us is None:
        return of
    ends = zones.local_time(ends_us, zones.zone_info(zone))
    at_midnight = ends.hour == ends.minute == 0
    return f"{of} until {formatting.day(ends.date())}" + ("" if at_midnight else f", {ends:%H:%M}")


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _identity(console: Console, access: Access) -> Mapping[str, Any]:
    viewer, key = access.viewer, access.key
    user = console.store.user(viewer.user_id) if viewer and viewer.user_id else None
    return {
        "org": console.org,
        "team": (key.team if key else user.team if user else "") or None,
        "user_id": user.user_id if user else None,
        "user": user.email if user else None,
        "role": user.role.value if user else None,
    }


def _call(console: Console, access: Access, call_id: str) -> Mapping[str, Any] | None:
    """Say what was recorded of one call; None while it is not, and if it is not theirs."""
    if not call_id:
        return None
    viewer, key = viewer_of(access), access.key
    found = own_call(
        console.ledger,
        console.org,
        call_id,
        user_id=viewer.user_id,
        key_id=key.key_id if key else "",
    )
    return None if found is None else own_call_document(found)


def _key(key: VirtualKey) -> Mapping[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "models": list(key.models),
        "providers": list(key.providers),
        "tags": dict(key.tags),
        "expires_at": None if key.expires_at_us is None else time_text(key.expires_at_us),
    }
