"""``/api/v1/budgets/requests`` and overdrafts: ask for more of a budget, decide, take."""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.keys import IDEMPOTENCY_KEY
from tollkeeper.console.api.reading import (
    PAGING,
    check_names,
    issuer_of,
    list_page,
    read_body,
)
from tollkeeper.console.shared import Console
from tollkeeper.domain.errors import BadRequest
from tollkeeper.services import budget_requests as service
from tollkeeper.services import budgets, overdrafts, raise_ends
from tollkeeper.services.budget_requests import Given, Wanted
from tollkeeper.services.raise_words import (
    amount_of,
    overdraft_text,
    raise_document,
    request_document,
    until_of,
)

VIA: Final = "api"
_KEY_CHARS_MAX: Final = 255


class AskBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST /api/v1/budgets/requests``.

    ``amount`` is like ``20 USD``; ``until`` the last day, or a moment with its offset, "" for
    the end of the budget's window; ``for`` whose, where the budget counts each value apart.
    """

    budget: str
    amount: str
    reason: str
    entity: str = msgspec.field(name="for", default="")
    until: str = ""


class ApproveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST …/approve``: what is given, "" for what was asked for."""

    amount: str = ""
    until: str = ""
    note: str = ""


class DeclineBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST …/decline``."""

    note: str = ""


class EndRaiseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST …/raises/{raise_id}/end``."""

    note: str = ""


class OverdraftBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST …/overdraft``: whose, where the budget counts each value apart."""

    entity: str = msgspec.field(name="for", default="")


class AllowOverdraftBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST …/overdraft/allow``: an amount, a share like ``10 %``, or ``none``."""

    amount: str


BODIES: Final = (
    *(AskBody, ApproveBody, DeclineBody, EndRaiseBody),
    *(OverdraftBody, AllowOverdraftBody),
)


def list_requests(console: Console, access: Access, question: Question) -> Answer:
    """List the requests that whoever asks made or may decide about, the newest first."""
    check_names(question.query, PAGING)
    now_us = console.now_us()
    found = service.requests_for(console.store, issuer_of(access))
    rows = [request_document(asked, budget, now_us) for asked, budget in found]
    page = list_page(rows, question.query)
    return Document({"requests": list(page.rows), "next_cursor": page.next_cursor})


def get_request(console: Console, access: Access, question: Question) -> Answer:
    """Give one request."""
    check_names(question.query, ())
    who, now_us = issuer_of(access), console.now_us()
    asked, budget = service.request_for(console.store, question.path["request_id"], who)
    return Document(request_document(asked, budget, now_us))


def ask(console: Console, access: Access, question: Question) -> Answer:
    """Ask for more of a budget; with an ``Idempotency-Key`` it may be sent again."""
    check_names(question.query, ())
    body = read_body(question.body, AskBody)
    who, now_us, once = issuer_of(access), console.now_us(), _once(question)
    budget = service.askable_budget(console.store, body.budget, body.entity, who)
    wanted = Wanted(
        budget.budget_id,
        body.entity,
        amount_of(body.amount, budget),
        until_of(body.until, budget, now_us),
        body.reason,
    )
    asked = service.ask(console.store, console.vault, wanted, who, now_us, once)
    headers = {"Location": f"/api/v1/budgets/requests/{asked.request.request_id}"}
    return Document(request_document(asked, budget, now_us), 201, headers)


def approve(console: Console, access: Access, question: Question) -> Answer:
    """Give what was asked for, or another amount until another day."""
    check_names(question.query, ())
    body = read_body(question.body, ApproveBody)
    who, now_us = issuer_of(access), console.now_us()
    request_id = question.path["request_id"]
    asked, budget = service.request_for(console.store, request_id, who)
    given = Given(
        amount_of(body.amount, budget) if body.amount else asked.request.amount,
        until_of(body.until, budget, now_us) if body.until else asked.request.until_us,
        body.note,
        VIA,
    )
    decided = service.approve(console.store, request_id, given, who, now_us)
    return Document(request_document(decided, budget, now_us))


def decline(console: Console, access: Access, question: Question) -> Answer:
    """Give nothing, and say why."""
    check_names(question.query, ())
    body = read_body(question.body, DeclineBody)
    who, now_us = issuer_of(access), console.now_us()
    request_id = question.path["request_id"]
    _, budget = service.request_for(console.store, request_id, who)
    decided = service.decline(console.store, request_id, body.note, who, now_us, VIA)
    return Document(request_document(decided, budget, now_us))


def list_raises(console: Console, access: Access, question: Question) -> Answer:
    """List what raises a budget or has raised it, the newest first."""
    check_names(question.query, PAGING)
    budget = budgets.budget(console.store, question.path["budget_id"])
    found = raise_ends.raises_for(console.store, budget, issuer_of(access))
    page = list_page([raise_document(each, budget) for each in found], question.query)
    return Document({"raises": list(page.rows), "next_cursor": page.next_cursor})


def end_raise(console: Console, access: Access, question: Question) -> Answer:
    """End a raise now, before its time is over."""
    check_names(question.query, ())
    body = read_body(question.body, EndRaiseBody)
    ended, budget = raise_ends.end(
        *(console.store, question.path["raise_id"], body.note),
        *(issuer_of(access), console.now_us(), VIA),
    )
    return Document(raise_document(ended, budget))


def take_overdraft(console: Console, access: Access, question: Question) -> Answer:
    """Take what the budget lets its owner take once in each window."""
    check_names(question.query, ())
    body = read_body(question.body, OverdraftBody)
    who, now_us = issuer_of(access), console.now_us()
    budget_id = question.path["budget_id"]
    taken = overdrafts.take(console.store, budget_id, body.entity, who, now_us)
    return Document(raise_document(taken, budgets.budget(console.store, budget_id)))


def allow_overdraft(console: Console, access: Access, question: Question) -> Answer:
    """Say what the owner of a budget may take by themselves, once in each window."""
    check_names(question.query, ())
    body = read_body(question.body, AllowOverdraftBody)
    who, budget_id = issuer_of(access), question.path["budget_id"]
    allowed = overdrafts.allow(console.store, budget_id, body.amount, who, console.now_us())
    budget = budgets.budget(console.store, budget_id)
    return Document({"budget": budget_id, "overdraft": overdraft_text(allowed, budget)})


def _once(question: Question) -> str:
    once = question.headers.get(IDEMPOTENCY_KEY, "")
    if len(once) > _KEY_CHARS_MAX or not once.isprintable():
        raise BadRequest(
            "an Idempotency-Key is 1 to 255 visible characters", code="bad_idempotency_key"
        )
    return once
