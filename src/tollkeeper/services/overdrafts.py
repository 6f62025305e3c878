"""Overdrafts: what the owner of a budget may take by themselves, once in each window.

An admin says how much. The owner of a person's or a key's budget is that person, of a team's
its lead; of all others the admins. What was taken ends with the window.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_raises import BudgetRaise, Overdraft, RaiseKind
from tollkeeper.domain.budget_windows import ENDLESS
from tollkeeper.domain.budget_words import amount_words
from tollkeeper.domain.budgets import ANY, LIMIT_MAX, Budget, BudgetScope
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed
from tollkeeper.domain.file_budgets import FILE
from tollkeeper.domain.ids import IdMint
from tollkeeper.ports import Store
from tollkeeper.services import budgets, outbox
from tollkeeper.services.budget_requests import REQUESTS_PATH, askable_budget, owns
from tollkeeper.services.keys import Issuer
from tollkeeper.services.raise_words import overdraft_of
from tollkeeper.telemetry import logger

_ids: Final = IdMint()


class Offer(NamedTuple):
    """What somebody may take of a row now: nothing where ``amount`` is 0. ``taken`` is what
    was taken of this window already."""

    amount: int
    taken: BudgetRaise | None = None


def allow(store: Store, budget_id: str, typed: str, who: Issuer, now_us: int) -> Overdraft:
    """Say what the owner of a budget may take: an amount, a share, or ``none``.

    Raises NotAllowed for anybody but an admin, BadRequest, NotFound, Conflict for one that
    stands in the configuration file.
    """
    if who.role is not Role.ADMIN:
        raise NotAllowed("only an admin allows overdrafts", code="role_too_low")
    budget = budgets.budget(store, budget_id)
    allowed = overdraft_of(typed, budget, who.name, now_us)
    if budget.window.kind in ENDLESS and allowed.amount_of(budget.limit):
        raise BadRequest(
            f"a {budget.window.kind} budget has no windows to overdraw one of",
            code="budget_endless",
        )
    with store.together():
        last = next((it for it in store.overdrafts() if it.budget_id == budget_id), None)
        if last is not None and last.set_by == FILE and last.amount_of(budget.limit):
            raise Conflict(
                "this overdraft stands in tollkeeper.yaml: change it there", code="budget_of_file"
            )
        said = [] if last is None else [last.set_at_us]
        # What is said later counts, also if the clock was put back or stands still.
        allowed = allowed._replace(set_at_us=max([now_us, *(at_us + 1 for at_us in said)]))
        store.allow_overdraft(allowed)
    logger.info("overdraft allowed", extra={"budget": budget_id, "by": who.name})
    return allowed


def offer(store: Store, budget: Budget, entity: str, who: Issuer, now_us: int) -> Offer:
    """Say what somebody may take of a row now, and what was taken."""
    allowed = next((it for it in store.overdrafts() if it.budget_id == budget.budget_id), None)
    amount = allowed.amount_of(budget.limit) if allowed is not None else 0
    start_us = budget.window.around(now_us).start_us
    taken = next(
        (
            each
            for each in store.budget_raises(budget.budget_id)
            if each.kind is RaiseKind.OVERDRAFT
            and (each.entity, each.window_start_us) == (entity, start_us)
        ),
        None,
    )
    may_take = amount and taken is None and _is_owner(store, budget, entity, who)
    return Offer(amount if may_take else 0, taken)


def take(store: Store, budget_id: str, entity: str, who: Issuer, now_us: int) -> BudgetRaise:
    """Take a window's overdraft. Done again by the same person, it is done.

    Raises NotFound, NotAllowed, BadRequest where the budget allows none, Conflict where it was
    taken already.
    """
    budget = askable_budget(store, budget_id, entity, who)
    if not _is_owner(store, budget, entity, who):
        raise NotAllowed("only its owner overdraws a budget; ask for more", code="not_the_owner")
    allowed = next((it for it in store.overdrafts() if it.budget_id == budget_id), None)
    amount = allowed.amount_of(budget.limit) if allowed is not None else 0
    window = budget.window.around(now_us)
    if not amount or budget.window.kind in ENDLESS:
        raise BadRequest("this budget allows no overdraft; ask for more", code="no_overdraft")
    if budget.limit + amount > LIMIT_MAX:
        raise BadRequest("no limit is as large as that", code="bad_amount")
    taken = BudgetRaise(
        _ids.next(now_us // 1000),
        *(budget_id, entity, amount, now_us, window.end_us),
        *(RaiseKind.OVERDRAFT, now_us, who.name, "", window.start_us),
    )
    with store.together():
        if not store.add_overdraft(taken):
            known = offer(store, budget, entity, who, now_us).taken
            if known is not None and known.made_by == who.name:
                return known
            raise Conflict("it was taken already in this window", code="overdraft_taken")
        text = amount_words(amount, budget.unit)
        message = outbox.message_of(
            "budget.overdrawn",
            f"{who.name} has taken {text} beyond {budget.name}",
            "The budget allows this once in each window.",
            now_us,
            data={"budget": budget_id, "amount": text},
            path=REQUESTS_PATH,
        )
        outbox.enqueue(store, message)
    logger.info("overdraft taken", extra={"budget": budget_id, "by": who.name})
    return taken


def _is_owner(store: Store, budget: Budget, entity: str, who: Issuer) -> bool:
    whom = entity or ("" if budget.match == ANY else budget.match)
    if budget.scope is BudgetScope.USER:
        return whom == who.user_id != "" or who.role is Role.ADMIN
    if budget.scope is BudgetScope.KEY:
        record = store.key(whom)
        own = record is not None and record.key.user_id == who.user_id != ""
        return own or who.name == f"key {whom}" or who.role is Role.ADMIN
    return owns(store, budget, entity, who)
