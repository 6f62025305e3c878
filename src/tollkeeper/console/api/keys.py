"""``/api/v1/keys``: list, issue, change, rotate and revoke keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import (
    PAGING,
    check_names,
    issuer_of,
    list_page,
    read_body,
    viewer_of,
)
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.budget_words import UnclearWords
from tollkeeper.domain.errors import BadRequest, LedgerUnavailable, NotFound
from tollkeeper.domain.self_service import cap_of_words
from tollkeeper.ports import KeyRecord
from tollkeeper.reports.keys import UNUSED, key_tools, key_uses, use_document
from tollkeeper.reports.period import period_named
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.zones import epoch_us_of
from tollkeeper.services import keys as service
from tollkeeper.services.key_caps import caps_of_keys
from tollkeeper.services.key_changes import KeyChange, change
from tollkeeper.services.key_documents import emails_of, key_document
from tollkeeper.services.key_rotation import OVERLAP_US, Rotation, rotate, rotate_once
from tollkeeper.services.key_self_service import Desk, issue, require_end

IDEMPOTENCY_KEY: Final = "idempotency-key"


class NewKeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/keys``. ``user`` is an e-mail address, ``budget`` what the key
    alone may spend: ``50 USD/month``.
    """

    name: str
    role: KeyKind = KeyKind.VIRTUAL
    user: str = ""
    team: str = ""
    models: list[str] = []
    providers: list[str] = []
    networks: list[str] = []
    tags: dict[str, str] = {}
    expires_at: datetime | None = None
    budget: str = ""


class KeyChangeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/keys/{key_id}``. What is left out stays as it is; an empty list
    takes a limit away, ``expires_at`` null the end.
    """

    name: str | None = None
    models: list[str] | None = None
    providers: list[str] | None = None
    networks: list[str] | None = None
    tags: dict[str, str] | None = None
    expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET


class RotationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/keys/{key_id}/rotate``.

    ``overlap_s`` is for how long the secret before stays good, 0 for not at all, a week at
    most. Without ``expires_at`` the key keeps its end.
    """

    overlap_s: int = OVERLAP_US // 1_000_000
    expires_at: datetime | None = None


def list_keys(console: Console, access: Access, question: Question) -> Answer:
    """List the keys that whoever asks may see, oldest first."""
    check_names(question.query, PAGING)
    records = service.readable_keys(console.store, issuer_of(access))
    emails, now_us = emails_of(console.store), console.now_us()
    caps, uses = caps_of_keys(console.store, now_us), _uses(console, access, question.zone)
    rows = [
        key_document(record, emails, now_us, caps, uses and uses(record.key.key_id))
        for record in records
    ]
    page = list_page(rows, question.query)
    return Document({"keys": list(page.rows), "next_cursor": page.next_cursor})


def get_key(console: Console, access: Access, question: Question) -> Answer:
    """Give one key."""
    check_names(question.query, ())
    wanted = question.path["key_id"]
    for record in service.readable_keys(console.store, issuer_of(access)):
        if record.key.key_id == wanted:
            uses = _uses(console, access, question.zone)
            return Document(_document(console, record, console.now_us(), uses and uses(wanted)))
    raise NotFound("there is no such key", code="key_not_found")


def issue_key(console: Console, access: Access, question: Question) -> Answer:
    """Issue a key; its text is in this answer and nowhere else.

    With an ``Idempotency-Key`` the same request may be sent again within a day, and gives
    the same key.
    """
    check_names(question.query, ())
    body = read_body(question.body, NewKeyBody)
    try:
        cap = cap_of_words(body.budget) if body.budget else None
    except UnclearWords as unclear:
        raise BadQuestion("budget", unclear.reason) from None
    issuer, now_us = issuer_of(access), console.now_us()
    once = question.headers.get(IDEMPOTENCY_KEY)
    if once == "":
        raise BadRequest("the Idempotency-Key is empty", code="bad_idempotency_key")
    desk = Desk(console.store, console.vault, console.self_service(), console.zone)
    issued, repeated = issue(desk, _request(body), cap, issuer, now_us, once or "")
    headers = {}
    if once is not None:
        headers["Idempotent-Replayed"] = "true" if repeated else "false"
    row = _document(console, issued.record, now_us)
    headers["Location"] = f"/api/v1/keys/{issued.record.key.key_id}"
    return Document({"key": issued.token, **row}, 201, headers)


def change_key(console: Console, access: Access, question: Question) -> Answer:
    """Change a key's name, end, limits and tags; fields that are left out stay as they are.

    Whoever may revoke a key may take from it; nobody gives it what they could not issue.
    """
    check_names(question.query, ())
    body = read_body(question.body, KeyChangeBody)
    ends = None if body.expires_at is msgspec.UNSET else body.expires_at
    wanted = KeyChange(
        question.path["key_id"],
        body.name,
        _end_us(ends),
        body.expires_at is None,
        body.models,
        body.providers,
        body.networks,
        body.tags,
    )
    desk = Desk(console.store, console.vault, console.self_service(), console.zone)
    now_us = console.now_us()
    return Document(_document(console, change(desk, wanted, issuer_of(access), now_us), now_us))


def rotate_key(console: Console, access: Access, question: Question) -> Answer:
    """Give a key a new secret, in this answer and nowhere else; the one before stays good for
    a while.

    With an ``Idempotency-Key`` the same request may be sent again within a day, and gives
    the same secret.
    """
    check_names(question.query, ())
    body = read_body(question.body, RotationBody)
    issuer, now_us = issuer_of(access), console.now_us()
    key_id, ends_us = question.path["key_id"], _end_us(body.expires_at)
    require_end(console.store, console.self_service(), issuer, key_id, ends_us, now_us)
    wanted = Rotation(key_id, body.overlap_s * 1_000_000, ends_us)
    once = question.headers.get(IDEMPOTENCY_KEY)
    headers = {}
    if once is None:
        issued = rotate(console.store, console.vault, wanted, issuer, now_us)
    else:
        issued, repeated = rotate_once(console.store, console.vault, wanted, issuer, once, now_us)
        headers["Idempotent-Replayed"] = "true" if repeated else "false"
    row = _document(console, issued.record, now_us)
    return Document({"key": issued.token, **row}, 200, headers)


def revoke_key(console: Console, access: Access, question: Question) -> Answer:
    """Revoke a key for good; doing it again changes nothing."""
    check_names(question.query, ())
    now_us = console.now_us()
    record = service.revoke(console.store, question.path["key_id"], issuer_of(access), now_us)
    return Document(_document(console, record, now_us))


def _document(
    console: Console, record: KeyRecord, now_us: int, use: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    caps = caps_of_keys(console.store, now_us)
    return key_document(record, emails_of(console.store), now_us, caps, use)


def _uses(console: Console, access: Access, zone: str) -> Callable[[str], Mapping[str, Any]] | None:
    """Find out how keys are used this month; None while the ledger cannot answer."""
    scope, period = viewer_of(access).scope, period_named("month", zone, console.now_us())
    try:
        uses = key_uses(console.ledger, scope, period)
        tools = key_tools(console.ledger, scope, period)
    except LedgerUnavailable:
        return None
    return lambda key_id: use_document(uses.get(key_id, UNUSED), tools.get(key_id, ()))


def _request(body: NewKeyBody) -> service.KeyRequest:
    return service.KeyRequest(
        name=body.name,
        kind=body.role,
        email=body.user,
        team=body.team,
        expires_at_us=_end_us(body.expires_at),
        models=tuple(body.models),
        providers=tuple(body.providers),
        tags=body.tags,
        networks=tuple(body.networks),
    )


def _end_us(at: datetime | None) -> int | None:
    if at is not None and at.tzinfo is None:
        raise BadQuestion("expires_at", "needs an offset: 2027-01-31T12:00:00Z")
    return None if at is None else epoch_us_of(at)
