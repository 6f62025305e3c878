"""Asking for more of a budget, and deciding about it.

A refused caller asks for an amount, until a day, with a reason. Whoever may decide gives as
much as they want for as long as they want, or nothing. Of two who decide at once, the second
is told so. Nobody but an admin decides about a request of their own.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final, NamedTuple

from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_raises import (
    REASON_CHARS_MAX,
    Asked,
    BudgetRaise,
    BudgetRequest,
    Decision,
    RaiseKind,
    RequestState,
)
from tollkeeper.domain.budget_words import amount_words
from tollkeeper.domain.budgets import (
    ANY,
    LIMIT_MAX,
    Budget,
    BudgetScope,
    Mode,
)
from tollkeeper.domain.deliveries import Severity
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.domain.ids import IdMint
from tollkeeper.ports import Store, Vault
from tollkeeper.services import budgets, outbox
from tollkeeper.services.keys import Issuer
from tollkeeper.services.raise_words import LONGEST_US, moment_text
from tollkeeper.telemetry import logger

REQUESTS_PATH: Final = "/budgets/requests"
OPEN_MAX: Final = 20
"""So many requests of one person may wait at once."""
KEEPERS: Final = frozenset({Role.ADMIN, Role.FINANCE})
"""Roles that look after every budget."""

_LINK: Final = "link to decide about a request"
_LINK_CHARS: Final = 32
_ID_CHARS: Final = 32
_ids: Final = IdMint()


class Wanted(NamedTuple):
    """What somebody asks for, in the budget's unit."""

    budget_id: str
    entity: str
    amount: int
    until_us: int
    reason: str


class Given(NamedTuple):
    """What somebody gives; ``via`` is where they did it: page, link, api or command line."""

    amount: int
    until_us: int
    note: str
    via: str


def ask(
    store: Store, vault: Vault, wanted: Wanted, who: Issuer, now_us: int, once: str = ""
) -> Asked:
    """Ask for more. ``once`` makes it the same request however often it is sent.

    Raises BadRequest for what cannot be asked, NotFound for a budget that is not theirs to ask
    about, Conflict where they have asked already.
    """
    budget = askable_budget(store, wanted.budget_id, wanted.entity, who)
    reason = " ".join(wanted.reason.split())
    if not 0 < len(reason) <= REASON_CHARS_MAX or not reason.isprintable():
        raise BadRequest(f"give a reason of 1 to {REASON_CHARS_MAX} characters", code="bad_reason")
    _require_room(store, budget, wanted.entity, wanted.amount, wanted.until_us, now_us)
    name = json.dumps([who.name, once]).encode()
    request = BudgetRequest(
        sha256(name).hexdigest()[:_ID_CHARS] if once else _ids.next(now_us // 1000),
        *(wanted.budget_id, wanted.entity, wanted.amount, wanted.until_us, reason),
        *(now_us, who.name, who.user_id),
    )
    with store.together():
        known = store.budget_request(request.request_id)
        if known is not None:
            return _the_same(known, request)
        _require_no_other(store, request, now_us)
        store.add_budget_request(request)
        link = f"{REQUESTS_PATH}/{request.request_id}?t={link_token(vault, request.request_id)}"
        amount = amount_words(request.amount, budget.unit)
        message = outbox.message_of(
            "budget.requested",
            f"{who.name} asks for {amount} more of {budget.name}",
            f"Until {moment_text(request.until_us, budget)}. Reason: {reason}",
            now_us,
            severity=Severity.WARNING,
            data={"request": request.request_id, "budget": budget.budget_id, "amount": amount},
            path=link,
        )
        outbox.enqueue(store, message)
    logger.info(
        "more of a budget was asked for",
        extra={"request": request.request_id, "budget": budget.budget_id, "by": who.name},
    )
    return Asked(request)


def approve(store: Store, request_id: str, given: Given, who: Issuer, now_us: int) -> Asked:
    """Give what was asked for, or something else. Done again by the same person, it is done.

    Raises NotFound, NotAllowed, Conflict where somebody else has decided or it is too late,
    BadRequest for an amount or an end that cannot be given.
    """
    asked, budget = _decidable(store, request_id, who)
    request = asked.request
    _require_note(given.note)
    if asked.decision is None:
        _require_room(store, budget, request.entity, given.amount, given.until_us, now_us)
    decision = Decision(
        *(request_id, True, given.amount, given.until_us, given.note, now_us, who.name, given.via)
    )
    gives = BudgetRaise(
        _ids.next(now_us // 1000),
        *(request.budget_id, request.entity, given.amount, now_us, given.until_us),
        *(RaiseKind.APPROVED, now_us, who.name, request_id),
    )
    return _decide(store, asked, budget, decision, gives, now_us)


def decline(store: Store, request_id: str, note: str, who: Issuer, now_us: int, via: str) -> Asked:
    """Give nothing. Raises NotFound, NotAllowed, Conflict, BadRequest as ``approve`` does."""
    asked, budget = _decidable(store, request_id, who)
    _require_note(note)
    decision = Decision(request_id, False, 0, 0, note, now_us, who.name, via)
    return _decide(store, asked, budget, decision, None, now_us)


def requests_for(store: Store, who: Issuer) -> list[tuple[Asked, Budget]]:
    """List the requests that somebody made or may decide about, the newest first."""
    known = {each.budget_id: each for each in store.budgets()}
    return [
        (asked, known[asked.request.budget_id])
        for asked in store.budget_requests()
        if asked.request.budget_id in known
        and may_see(store, asked.request, known[asked.request.budget_id], who)
    ]


def request_for(store: Store, request_id: str, who: Issuer) -> tuple[Asked, Budget]:
    """Give one request. Raises NotFound where there is none that they may see."""
    asked = store.budget_request(request_id) if _is_text(request_id) else None
    if asked is not None:
        budget = budgets.budget(store, asked.request.budget_id)
        if may_see(store, asked.request, budget, who):
            return asked, budget
    raise NotFound(f"there is no request {request_id[:40]!r}", code="request_not_found")


def link_token(vault: Vault, request_id: str) -> str:
    """Give what signs the link in a notification. It lasts until somebody has decided."""
    return vault.mac(request_id.encode(), purpose=_LINK).hex()[:_LINK_CHARS]


# ------------------------------------------------------------------ rights


def askable_budget(store: Store, budget_id: str, entity: str, who: Issuer) -> Budget:
    """Give the budget that somebody may ask more of, for one of its rows.

    Raises NotFound where there is none that is theirs to ask about, BadRequest for a row that
    it does not have, or where more would change nothing.
    """
    budget = budgets.budget(store, budget_id)
    if not _is_text(entity) or not _may_ask(store, budget, entity, who):
        raise NotFound(f"there is no budget {budget_id[:40]!r}", code="budget_not_found")
    if budget.each == (not entity):
        raise BadRequest(
            "say whose: this budget counts each value apart"
            if budget.each
            else "this budget counts everybody together",
            code="bad_for",
        )
    if budget.mode is not Mode.HARD:
        raise BadRequest("this budget refuses nobody: it only counts", code="budget_observes")
    return budget


def may_see(store: Store, request: BudgetRequest, budget: Budget, who: Issuer) -> bool:
    """Tell whether somebody made a request, or may decide about it."""
    if request.asked_by == who.name or (who.user_id and who.user_id == request.asked_by_id):
        return True
    if who.role is Role.AUDITOR:
        return True  # they look on
    return owns(store, budget, request.entity, who)


def may_decide(store: Store, request: BudgetRequest, budget: Budget, who: Issuer) -> bool:
    """Tell whether somebody may decide: who looks after the row; of their own an admin only."""
    if who.role is Role.ADMIN:
        return True
    is_own = request.asked_by == who.name or who.user_id == request.asked_by_id != ""
    return not is_own and owns(store, budget, request.entity, who)


def owns(store: Store, budget: Budget, entity: str, who: Issuer) -> bool:
    """Tell whether a row is somebody's to look after: every one for admins and finance; for a
    lead those of their team, and of the people and keys in it.
    """
    if who.role in KEEPERS:
        return True
    if who.role is not Role.LEAD or not who.team:
        return False
    whom = _whom(budget, entity)
    return bool(whom) and _team_of(store, budget.scope, whom) == who.team


def _may_ask(store: Store, budget: Budget, entity: str, who: Issuer) -> bool:
    whom = _whom(budget, entity)
    if not whom or owns(store, budget, entity, who):
        return True
    match budget.scope:
        case BudgetScope.TEAM:
            return whom == who.team
        case BudgetScope.USER:
            return whom == who.user_id
        case BudgetScope.KEY:
            record = store.key(whom)
            own = record is not None and record.key.user_id == who.user_id != ""
            return own or who.name == f"key {whom}"
    return True  # of the organisation, of models and the like: everybody's


def _whom(budget: Budget, entity: str) -> str:
    return entity or ("" if budget.match == ANY else budget.match)


def _team_of(store: Store, scope: BudgetScope, whom: str) -> str:
    """Say which team the person, key or team of a row belongs to."""
    if scope is BudgetScope.TEAM:
        return whom
    if scope is BudgetScope.USER:
        user = store.user(whom)
        return (user.team or "") if user else ""
    if scope is BudgetScope.KEY:
        record = store.key(whom)
        return record.key.team if record else ""
    return ""


# ------------------------------------------------------------------ steps


def _decidable(store: Store, request_id: str, who: Issuer) -> tuple[Asked, Budget]:
    asked, budget = request_for(store, request_id, who)
    if not may_decide(store, asked.request, budget, who):
        raise NotAllowed("somebody else decides about this request", code="not_yours_to_decide")
    return asked, budget


def _decide(
    store: Store,
    asked: Asked,
    budget: Budget,
    decision: Decision,
    gives: BudgetRaise | None,
    now_us: int,
) -> Asked:
    state = asked.state(now_us)
    if state is RequestState.EXPIRED:
        raise Conflict("the time that was asked for is over", code="request_expired")
    with store.together():
        if not store.decide_budget_request(decision, gives):
            return _decided_before(store, decision)
        verdict = "approved" if decision.approved else "declined"
        amount = amount_words(decision.amount or asked.request.amount, budget.unit)
        message = outbox.message_of(
            f"budget.{verdict}",
            f"{decision.decided_by} {verdict} {amount} more of {budget.name}",
            f"Asked for by {asked.request.asked_by}. {decision.note}".strip(),
            now_us,
            severity=Severity.INFO,
            data={"request": decision.request_id, "budget": budget.budget_id, "amount": amount},
            path=f"{REQUESTS_PATH}/{decision.request_id}",
        )
        outbox.enqueue(store, message)
    logger.info(
        "a request for more was decided",
        extra={"request": decision.request_id, "state": verdict, "by": decision.decided_by},
    )
    return Asked(asked.request, decision)


def _decided_before(store: Store, decision: Decision) -> Asked:
    """Give the decision that there is, if it is this one; else somebody else was quicker."""
    known = store.budget_request(decision.request_id)
    made = known.decision if known is not None else None
    if known is None or made is None:
        raise NotFound("the request is not there any more", code="request_not_found")
    same = decision._replace(decided_at_us=made.decided_at_us, via=made.via, note=made.note)
    if same == made:
        return known
    verdict = "approved" if made.approved else "declined"
    raise Conflict(f"{made.decided_by} has {verdict} it meanwhile", code="request_decided")


def _the_same(known: Asked, request: BudgetRequest) -> Asked:
    if known.request._replace(asked_at_us=request.asked_at_us) == request:
        return known
    raise Conflict(
        "this Idempotency-Key was used for another request", code="idempotency_key_reused"
    )


def _require_no_other(store: Store, request: BudgetRequest, now_us: int) -> None:
    """Raise Conflict where the same person waits for an answer already, or for too many."""
    waiting = [
        each.request
        for each in store.budget_requests(undecided=True)
        if each.request.asked_by == request.asked_by and each.state(now_us) is RequestState.ASKED
    ]
    if any((it.budget_id, it.entity) == (request.budget_id, request.entity) for it in waiting):
        raise Conflict("you have asked already, and wait for an answer", code="request_waits")
    if len(waiting) >= OPEN_MAX:
        raise Conflict(f"{OPEN_MAX} requests of yours wait already", code="too_many_requests")


def _require_room(
    store: Store, budget: Budget, entity: str, amount: int, until_us: int, now_us: int
) -> None:
    """Raise BadRequest where a limit would come out that is none, Conflict after its end."""
    if budget.until_us <= now_us:
        raise Conflict("this budget has ended", code="budget_ended")
    if amount <= 0:
        raise BadRequest("the amount is more than nothing", code="bad_amount")
    if not now_us < until_us <= now_us + LONGEST_US:
        raise BadRequest("it ends in the future, within a year", code="bad_until")
    raised = sum(
        each.amount
        for each in store.budget_raises(budget.budget_id)
        if each.entity == entity and each.ends_at_us > now_us
    )
    if budget.limit + raised + amount > LIMIT_MAX:
        most = amount_words(LIMIT_MAX, budget.unit)
        raise BadRequest(f"no limit is above {most}", code="bad_amount")


def _require_note(note: str) -> None:
    if not _is_text(note):
        raise BadRequest(
            f"a note is one line of at most {REASON_CHARS_MAX} characters", code="bad_note"
        )


def _is_text(given: str) -> bool:
    """Tell whether a store can look for a text: "" and what people see, in no great length."""
    return len(given) <= REASON_CHARS_MAX and given.isprintable()
