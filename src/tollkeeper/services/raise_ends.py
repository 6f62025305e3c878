"""Taking back what raised a budget for a time, before that time is over.

Whoever looks after a row ends what raises its limit: admins and finance each, leads those of
their team. It is in force as a lowered limit is, and what calls hold by then stays held.
"""

from __future__ import annotations

from itertools import islice

from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_raises import REASON_CHARS_MAX, BudgetRaise, RaiseEnd
from tollkeeper.domain.budget_words import amount_words
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.ports import Store
from tollkeeper.services import outbox
from tollkeeper.services.budget_requests import REQUESTS_PATH, may_see, owns
from tollkeeper.services.keys import Issuer
from tollkeeper.telemetry import logger


def raises_for(
    store: Store, budget: Budget, who: Issuer, most: int | None = None
) -> list[BudgetRaise]:
    """List what raises a budget or has raised it, as far as somebody may know; newest first."""
    found = reversed(store.budget_raises(budget.budget_id))
    return [*islice((each for each in found if _may_see(store, each, budget, who)), most)]


def raise_for(store: Store, raise_id: str, who: Issuer) -> tuple[BudgetRaise, Budget]:
    """Give one raise with its budget. Raises NotFound where there is none that they may see."""
    for each in store.budget_raises():
        if each.raise_id == raise_id:
            budget = next(it for it in store.budgets() if it.budget_id == each.budget_id)
            if _may_see(store, each, budget, who):
                return each, budget
    raise NotFound(f"there is no raise {raise_id[:40]!r}", code="raise_not_found")


def may_end(store: Store, given: BudgetRaise, budget: Budget, who: Issuer, now_us: int) -> bool:
    """Tell whether somebody may end a raise, and it is not over yet."""
    return given.ends_at_us > now_us and owns(store, budget, given.entity, who)


def end(
    store: Store, raise_id: str, note: str, who: Issuer, now_us: int, via: str
) -> tuple[BudgetRaise, Budget]:
    """End a raise now. Done again by the same person, it is done.

    Raises NotFound, NotAllowed, BadRequest for a note that is none, Conflict where it is over
    or somebody else has ended it.
    """
    given, budget = raise_for(store, raise_id, who)
    if not owns(store, budget, given.entity, who):
        raise NotAllowed("somebody else looks after this budget", code="not_yours_to_end")
    if len(note) > REASON_CHARS_MAX or not note.isprintable():
        raise BadRequest(
            f"a note is one line of at most {REASON_CHARS_MAX} characters", code="bad_note"
        )
    if given.ended is None and given.until_us <= now_us:
        raise Conflict("it is over already", code="raise_over")
    ended = RaiseEnd(raise_id, now_us, who.name, via, note)
    with store.together():
        if given.ended is not None or not store.end_budget_raise(ended):
            return _ended_before(store, raise_id, who), budget
        amount = amount_words(given.amount, budget.unit)
        is_asked_for = bool(given.request_id)
        message = outbox.message_of(
            "budget.raise_ended",
            f"{who.name} has taken back {amount} more of {budget.name}",
            f"It was given by {given.made_by}. {note}".strip(),
            now_us,
            data={"raise": raise_id, "budget": budget.budget_id, "amount": amount},
            path=f"{REQUESTS_PATH}/{given.request_id}" if is_asked_for else REQUESTS_PATH,
        )
        outbox.enqueue(store, message)
    logger.info(
        "a raise was ended",
        extra={"raise": raise_id, "budget": budget.budget_id, "by": who.name, "via": via},
    )
    return given._replace(ended=ended), budget


def _ended_before(store: Store, raise_id: str, who: Issuer) -> BudgetRaise:
    """Give the raise as somebody has ended it, if it was the same person."""
    given = next(each for each in store.budget_raises() if each.raise_id == raise_id)
    by = given.ended.ended_by if given.ended is not None else ""
    if by == who.name:
        return given
    raise Conflict(f"{by} has ended it meanwhile", code="raise_ended")


def _may_see(store: Store, given: BudgetRaise, budget: Budget, who: Issuer) -> bool:
    if who.role is Role.AUDITOR or given.made_by == who.name:
        return True
    if owns(store, budget, given.entity, who):
        return True
    asked = store.budget_request(given.request_id) if given.request_id else None
    return asked is not None and may_see(store, asked.request, budget, who)
