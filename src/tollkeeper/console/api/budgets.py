"""``/api/v1/budgets``: list budgets and how they stand, make, change and end them, pay into
them, and try one on the past."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.keys import IDEMPOTENCY_KEY
from tollkeeper.console.api.reading import PAGING, check_names, list_page, read_body, viewer_of
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_words import UnclearWords, amount_of_words
from tollkeeper.domain.budgets import Budget, Mode, Sizing
from tollkeeper.domain.errors import BadRequest
from tollkeeper.reports.budget_replay import replay
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.services import budget_changes, budgets
from tollkeeper.services.budget_documents import budget_document, names_of, replay_document
from tollkeeper.services.budget_standings import onlooker_of, standing, standings

KEEPERS: Final = frozenset({Role.ADMIN, Role.FINANCE})
"""Roles that make, change and end budgets."""
TRIERS: Final = KEEPERS | {Role.AUDITOR}
"""Roles that may try a budget on the past: they see what everybody spent."""
DAYS_MAX: Final = 400
_DAY_US: Final = 86_400_000_000


class NewBudgetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of ``POST /api/v1/budgets``: the words of the configuration file.

    ``limit`` is like ``5000 USD``, ``2M tokens`` or ``1000 requests``; ``window`` like ``month``
    or ``quarter from April``; ``alert_at`` in per cent of the limit; ``since`` and ``until``
    the first and the last day, or moments with their offset.
    """

    limit: str
    scope: str = "org"
    match: str = ""
    each: bool = False
    tag: str = ""
    name: str = ""
    window: str = ""
    timezone: str = ""
    rollover: str = ""
    exempt_models: list[str] = []
    mode: Mode = Mode.HARD
    sizing: Sizing = Sizing.BALANCED
    alert_at: list[str | float] | None = None
    since: str = ""
    until: str = ""


class ChangedBudgetBody(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The body of ``POST /api/v1/budgets/{id}``. ``version`` is the one that was read."""

    version: int
    name: str | None = None
    limit: str | None = None
    rollover: str | None = None
    mode: Mode | None = None
    sizing: Sizing | None = None
    alert_at: list[str | float] | None = None


class TopUpBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/budgets/{id}/top-up``. ``amount`` is like ``50 USD``."""

    amount: str
    version: int


class ReplayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/budget-replays``: a budget that is there, or one in words."""

    id: str = ""
    budget: NewBudgetBody | None = None
    days: int = 30


def list_budgets(console: Console, access: Access, question: Question) -> Answer:
    """List the budgets that concern whoever asks, and how they stand; ended ones too."""
    check_names(question.query, PAGING)
    now_us, names = console.now_us(), names_of(console.store)
    found = standings(console.store, onlooker_of(console.store, viewer_of(access)), now_us)
    page = list_page([budget_document(each, names, now_us) for each in found], question.query)
    return Document({"budgets": list(page.rows), "next_cursor": page.next_cursor})


def get_budget(console: Console, access: Access, question: Question) -> Answer:
    """Give one budget, and how it stands."""
    check_names(question.query, ())
    return _told(console, access, question.path["budget_id"])


def make_budget(console: Console, access: Access, question: Question) -> Answer:
    """Make a budget, which counts from two seconds later on.

    With an ``Idempotency-Key`` the same request may be sent again within a day, and makes
    nothing more.
    """
    check_names(question.query, ())
    words = _words(read_body(question.body, NewBudgetBody))
    by, now_us = viewer_of(access).name, console.now_us()
    once = question.headers.get(IDEMPOTENCY_KEY)
    headers = {}
    try:
        if once is None:
            made = budget_changes.make(console.store, words, console.zone, by, now_us)
        else:
            made, repeated = budget_changes.make_once(
                console.store, console.vault, words, console.zone, by, once, now_us
            )
            headers["Idempotent-Replayed"] = "true" if repeated else "false"
    except UnclearWords as unclear:
        raise question_of(unclear) from unclear
    headers["Location"] = f"/api/v1/budgets/{made.budget_id}"
    return _told(console, access, made.budget_id, 201, headers)


def change_budget(console: Console, access: Access, question: Question) -> Answer:
    """Change a budget's name, limit, mode, sizing, rollover or thresholds.

    409 where somebody else has changed it since ``version``.
    """
    check_names(question.query, ())
    body = read_body(question.body, ChangedBudgetBody)
    words = _words(body)
    words.pop("version")
    budget_id = question.path["budget_id"]
    try:
        budget_changes.change(console.store, budget_id, words, viewer_of(access).name, body.version)
    except UnclearWords as unclear:
        raise question_of(unclear) from unclear
    return _told(console, access, budget_id)


def end_budget(console: Console, access: Access, question: Question) -> Answer:
    """End a budget: it counts no more calls. Doing it again changes nothing."""
    check_names(question.query, ())
    budget_id = question.path["budget_id"]
    budget_changes.end(console.store, budget_id, viewer_of(access).name, console.now_us())
    return _told(console, access, budget_id)


def top_up(console: Console, access: Access, question: Question) -> Answer:
    """Pay into a prepaid budget. Sent twice with one version, it is done once."""
    check_names(question.query, ())
    body = read_body(question.body, TopUpBody)
    budget_id = question.path["budget_id"]
    amount = paid(budgets.budget(console.store, budget_id), body.amount)
    budget_changes.top_up(console.store, budget_id, amount, viewer_of(access).name, body.version)
    return _told(console, access, budget_id)


def replay_budget(console: Console, access: Access, question: Question) -> Answer:
    """Say what a budget, existing or proposed, would have refused in the last days."""
    check_names(question.query, ())
    body = read_body(question.body, ReplayBody)
    if bool(body.id) == (body.budget is not None):
        raise BadQuestion("budget", "say the id of a budget, or describe one")
    if not 1 <= body.days <= DAYS_MAX:
        raise BadQuestion("days", f"a number from 1 to {DAYS_MAX}")
    if body.budget is None:
        wanted = budgets.budget(console.store, body.id)
    else:
        try:
            words = _words(body.budget)
            wanted = budget_changes.wanted_budget(console.store, words, console.zone)
        except UnclearWords as unclear:
            raise question_of(unclear) from unclear
    now_us = console.now_us()
    found = replay(console.ledger, console.org, wanted, now_us - body.days * _DAY_US, now_us)
    return Document(replay_document(found, names_of(console.store)))


def paid(budget: Budget, text: str) -> int:
    """Read what is paid into a budget. Raises BadQuestion unless it is in the budget's unit."""
    try:
        amount, unit = amount_of_words(text, "amount")
    except UnclearWords as unclear:
        raise question_of(unclear) from unclear
    if unit is not budget.unit:
        raise BadRequest(f"this budget is in {budget.unit}", code="budget_unusable")
    return amount


def question_of(unclear: UnclearWords) -> BadQuestion:
    """Give words that say no budget as the API's problem."""
    return BadQuestion(unclear.option or "budget", unclear.reason)


def _words(body: msgspec.Struct) -> dict[str, Any]:
    """Give what was said, by the words that ``domain.budget_words`` reads."""
    said: dict[str, Any] = msgspec.to_builtins(body)
    return said


def _told(
    console: Console,
    access: Access,
    budget_id: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Document:
    now_us = console.now_us()
    onlooker = onlooker_of(console.store, viewer_of(access))
    found = standing(console.store, budget_id, onlooker, now_us)
    document = budget_document(found, names_of(console.store), now_us)
    return Document(document, status, headers or {})
