"""Asking for more of a budget, and deciding about it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from tollkeeper.console import words
from tollkeeper.console.access import issuer_of
from tollkeeper.console.pages.budget_raises import RaiseLine, raise_lines
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.budget_raises import Asked, RequestState
from tollkeeper.domain.budgets import ANY, Budget, BudgetScope
from tollkeeper.domain.errors import BadRequest, NotFound, Refused
from tollkeeper.services import budget_requests as service
from tollkeeper.services import overdrafts
from tollkeeper.services.budget_refusals import amount_text
from tollkeeper.services.budget_requests import REQUESTS_PATH, Given, Wanted
from tollkeeper.services.budget_standings import used_bp
from tollkeeper.services.keys import Issuer
from tollkeeper.services.raise_words import (
    amount_of,
    last_day_of,
    moment_text,
    until_of,
    usual_until,
)

STATES: Final[Mapping[RequestState, words.Word]] = {
    RequestState.ASKED: words.Word("Waiting", "Nobody has decided yet.", "warn"),
    RequestState.APPROVED: words.Word("Approved", "The limit is raised for that time.", "good"),
    RequestState.DECLINED: words.Word("Declined", "Nothing was given.", "bad"),
    RequestState.EXPIRED: words.Word("Expired", "Its time was over before anybody decided."),
}
_FIGURES_FOR_KEEPERS: Final = frozenset(
    {BudgetScope.TAG, BudgetScope.END_CUSTOMER, BudgetScope.SESSION}
)
"""Rows of these are named by whoever calls, so they tell their figures to few."""


class Standing(NamedTuple):
    """How the row stands that more is asked for; percent of its limit that is used."""

    spent: str
    held: str
    limit: str
    used_percent: int


class RequestLine(NamedTuple):
    """One request, ready to be shown. ``given`` is "" where nothing was."""

    request_id: str
    href: str
    budget: str
    whose: str
    amount: str
    until: str
    reason: str
    asked_by: str
    asked_at: str
    state: words.Word
    is_waiting: bool
    decided_by: str
    decided_at: str
    given: str
    given_until: str
    note: str
    via: str


@dataclass(frozen=True, slots=True)
class AskPage:
    """The form to ask for more. ``form`` has what was typed, or what is usual."""

    template: ClassVar[str] = "budget_ask.html"
    budget_id: str
    entity: str
    budget: str
    whose: str
    window: str
    unit: str
    standing: Standing | None
    overdraft: str
    overdrawn: str
    form: Mapping[str, str]
    waiting: RequestLine | None
    fault: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """The requests that the viewer made or may decide about."""

    template: ClassVar[str] = "budget_requests.html"
    waiting: tuple[RequestLine, ...]
    decided: tuple[RequestLine, ...]
    may_decide: bool
    done: RequestLine | None


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One request, and the form to decide about it where the viewer may.

    ``link`` is the signature of the link that led here, passed on with the form. ``given`` is
    the raise that was given, None where nothing was.
    """

    template: ClassVar[str] = "budget_request.html"
    line: RequestLine
    standing: Standing | None
    may_decide: bool
    form: Mapping[str, str]
    given: RaiseLine | None
    link: str = ""
    fault: str = ""
    status: int = 200


# ------------------------------------------------------------------ asking


def ask_form(console: Console, viewer: Viewer, query: Query) -> AskPage:
    """Answer ``GET /budgets/ask``."""
    return _ask_page(console, viewer, query)


def ask(console: Console, viewer: Viewer, form: Query) -> AskPage | Redirect:
    """Answer ``POST /budgets/ask``. Sent twice, the form asks once."""
    who, now_us = issuer_of(console, viewer), console.now_us()
    budget = _budget(console, form, who)
    try:
        wanted = Wanted(
            budget.budget_id,
            form.get("for", ""),
            amount_of(form.get("amount", ""), budget),
            until_of(form.get("until", ""), budget, now_us),
            form.get("reason", ""),
        )
        once = form.get("once") or secrets.token_urlsafe(16)
        asked = service.ask(console.store, console.vault, wanted, who, now_us, once)
    except Refused as refused:
        return _ask_page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"{REQUESTS_PATH}?done={asked.request.request_id}")


def overdraw(console: Console, viewer: Viewer, form: Query) -> AskPage | Redirect:
    """Answer ``POST /budgets/ask/overdraft``: take it."""
    who = issuer_of(console, viewer)
    try:
        overdrafts.take(
            *(console.store, form.get("budget", ""), form.get("for", ""), who, console.now_us())
        )
    except NotFound:
        raise
    except Refused as refused:
        return _ask_page(console, viewer, form, fault=refused.message, status=refused.status)
    return _ask_page(console, viewer, {"budget": form["budget"], "for": form.get("for", "")})


def _ask_page(
    console: Console, viewer: Viewer, query: Query, *, fault: str = "", status: int = 200
) -> AskPage:
    who, now_us = issuer_of(console, viewer), console.now_us()
    entity = query.get("for", "")
    budget = _budget(console, query, who)
    offered = overdrafts.offer(console.store, budget, entity, who, now_us)
    waiting = next(
        (
            _line(console, asked, budget, now_us)
            for asked in console.store.budget_requests(undecided=True)
            if asked.request.asked_by == who.name
            and (asked.request.budget_id, asked.request.entity) == (budget.budget_id, entity)
            and asked.state(now_us) is RequestState.ASKED
        ),
        None,
    )
    usual = {"until": f"{last_day_of(usual_until(budget, now_us), budget)}"}
    typed = {name: query.get(name, "") for name in ("amount", "until", "reason")}
    taken = offered.taken
    return AskPage(
        budget_id=budget.budget_id,
        entity=entity,
        budget=budget.name,
        whose=_whose(console, budget, entity),
        window=f"{budget.window.kind}, {budget.window.zone}",
        unit=str(budget.unit).upper() if budget.unit == "usd" else str(budget.unit),
        standing=_standing(console, budget, entity, who, now_us),
        overdraft=amount_text(offered.amount, budget.unit) if offered.amount else "",
        overdrawn=(
            f"{amount_text(taken.amount, budget.unit)} until {moment_text(taken.until_us, budget)}"
            if taken is not None
            else ""
        ),
        form={**typed, **({} if typed["until"] else usual), "once": secrets.token_urlsafe(16)},
        waiting=waiting,
        fault=fault,
        status=status,
    )


# ------------------------------------------------------------------ deciding


def requests(console: Console, viewer: Viewer, query: Query) -> RequestsPage:
    """Answer ``GET /budgets/requests``."""
    who, now_us = issuer_of(console, viewer), console.now_us()
    found = service.requests_for(console.store, who)
    lines = [_line(console, asked, budget, now_us) for asked, budget in found]
    return RequestsPage(
        waiting=tuple(line for line in lines if line.is_waiting),
        decided=tuple(line for line in lines if not line.is_waiting),
        may_decide=who.role in service.KEEPERS or who.role is Role.LEAD,
        done=next((line for line in lines if line.request_id == query.get("done")), None),
    )


def request(console: Console, viewer: Viewer, query: Query) -> RequestPage:
    """Answer ``GET /budgets/requests/{request_id}``. Looking decides nothing."""
    return _request_page(console, viewer, query)


def approve(console: Console, viewer: Viewer, form: Query) -> RequestPage | Redirect:
    """Answer ``POST /budgets/requests/{request_id}/approve``."""
    who, now_us = issuer_of(console, viewer), console.now_us()
    asked, budget = service.request_for(console.store, form["request_id"], who)
    try:
        given = Given(
            amount_of(form.get("amount", ""), budget),
            until_of(form.get("until", ""), budget, now_us),
            form.get("note", "").strip(),
            _via(console, form),
        )
        service.approve(console.store, asked.request.request_id, given, who, now_us)
    except Refused as refused:
        return _request_page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"{REQUESTS_PATH}?done={asked.request.request_id}")


def decline(console: Console, viewer: Viewer, form: Query) -> RequestPage | Redirect:
    """Answer ``POST /budgets/requests/{request_id}/decline``."""
    who, now_us = issuer_of(console, viewer), console.now_us()
    note, via = form.get("note", "").strip(), _via(console, form)
    try:
        asked = service.decline(console.store, form["request_id"], note, who, now_us, via)
    except NotFound:
        raise
    except Refused as refused:
        return _request_page(console, viewer, form, fault=refused.message, status=refused.status)
    return Redirect(f"{REQUESTS_PATH}?done={asked.request.request_id}")


def _request_page(
    console: Console, viewer: Viewer, query: Query, *, fault: str = "", status: int = 200
) -> RequestPage:
    who, now_us = issuer_of(console, viewer), console.now_us()
    asked, budget = service.request_for(console.store, query["request_id"], who)
    wanted = asked.request
    may_decide = service.may_decide(console.store, wanted, budget, who)
    link = query.get("t", "")
    if link and not _is_link(console, wanted.request_id, link):
        raise NotFound("this link is not one of ours", code="request_not_found")
    unit = "" if budget.unit == "usd" else f" {budget.unit}"
    usual = {
        "amount": amount_text(wanted.amount, budget.unit).removesuffix(unit),
        "until": f"{last_day_of(wanted.until_us, budget)}",
        "note": "",
    }
    return RequestPage(
        line=_line(console, asked, budget, now_us),
        standing=_standing(console, budget, wanted.entity, who, now_us),
        may_decide=may_decide and asked.state(now_us) is RequestState.ASKED,
        form={name: query.get(name) or value for name, value in usual.items()},
        given=_given(console, asked, budget, who),
        link=link,
        fault=fault,
        status=status,
    )


def _given(console: Console, asked: Asked, budget: Budget, who: Issuer) -> RaiseLine | None:
    if asked.decision is None or not asked.decision.approved:
        return None
    raises = console.store.budget_raises(budget.budget_id)
    found = [it for it in raises if it.request_id == asked.request.request_id]
    return next(iter(raise_lines(console, found, budget, who)), None)


def _is_link(console: Console, request_id: str, given: str) -> bool:
    good = service.link_token(console.vault, request_id)
    return hmac.compare_digest(given.encode(), good.encode())


def _via(console: Console, form: Query) -> str:
    link = form.get("t", "")
    return "link" if link and _is_link(console, form["request_id"], link) else "page"


# ------------------------------------------------------------------ what both show


def _budget(console: Console, query: Query, who: Issuer) -> Budget:
    """Give the budget that the query names. Raises NotFound where it is not theirs to ask of."""
    if not query.get("budget"):
        raise BadRequest(
            "say of which budget: open it on the page Budgets first", code="bad_budget"
        )
    return service.askable_budget(console.store, query.get("budget", ""), query.get("for", ""), who)


def _standing(
    console: Console, budget: Budget, entity: str, who: Issuer, now_us: int
) -> Standing | None:
    """Say how a row stands, to who may know: what a refusal tells them they know anyway."""
    if budget.scope in _FIGURES_FOR_KEEPERS and who.role not in {*service.KEEPERS, Role.AUDITOR}:
        return None
    rows = console.store.balances(budget.budget_id, now_us)
    row = next((each for each in rows if each.key.entity == entity), None)
    spent, held, limit = (row.posted, row.held, row.limit) if row else (0, 0, budget.limit)
    return Standing(
        amount_text(spent, budget.unit),
        amount_text(held, budget.unit),
        amount_text(limit, budget.unit),
        min(used_bp(row) // 100, 100) if row else 0,
    )


def _whose(console: Console, budget: Budget, entity: str) -> str:
    whom = entity or ("" if budget.match == ANY else budget.match)
    if not whom:
        kind = str(budget.scope).replace("_", " ")
        return "everybody together" if budget.scope is BudgetScope.ORG else f"every {kind}"
    if budget.scope is BudgetScope.USER:
        user = console.store.user(whom)
        return user.email if user else whom
    if budget.scope is BudgetScope.KEY:
        record = console.store.key(whom)
        return f"key {record.key.name}" if record else f"key {whom}"
    if budget.scope is BudgetScope.TAG:
        return f"{budget.tag}={whom}"
    return f"{str(budget.scope).replace('_', ' ')} {whom}"


def _line(console: Console, asked: Asked, budget: Budget, now_us: int) -> RequestLine:
    wanted, decision = asked.request, asked.decision
    state = asked.state(now_us)
    approved = decision is not None and decision.approved
    return RequestLine(
        request_id=wanted.request_id,
        href=f"{REQUESTS_PATH}/{wanted.request_id}",
        budget=budget.name,
        whose=_whose(console, budget, wanted.entity),
        amount=amount_text(wanted.amount, budget.unit),
        until=moment_text(wanted.until_us, budget),
        reason=wanted.reason,
        asked_by=wanted.asked_by,
        asked_at=moment_text(wanted.asked_at_us, budget),
        state=STATES[state],
        is_waiting=state is RequestState.ASKED,
        decided_by=decision.decided_by if decision else "",
        decided_at=moment_text(decision.decided_at_us, budget) if decision else "",
        given=amount_text(decision.amount, budget.unit) if decision and approved else "",
        given_until=moment_text(decision.until_us, budget) if decision and approved else "",
        note=decision.note if decision else "",
        via=decision.via if decision else "",
    )
