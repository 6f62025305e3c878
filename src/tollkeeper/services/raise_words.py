"""Requests and raises as people type and read them: amounts, days, and JSON documents."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from tollkeeper.domain.budget_raises import Asked, BudgetRaise, Overdraft, RaiseEnd
from tollkeeper.domain.budget_windows import ENDLESS, zone_of
from tollkeeper.domain.budget_words import (
    UnclearWords,
    amount_of_words,
    amount_words,
    basis_points_of_words,
    percent_words,
)
from tollkeeper.domain.budgets import BASIS_POINTS, Budget
from tollkeeper.domain.errors import BadRequest

LONGEST_US: Final = 366 * 86_400_000_000
"""Whatever is given for a time ends within so long."""

_USUAL_US: Final = 7 * 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NONE: Final = frozenset({"none", "0", "0%", "no"})


def amount_of(typed: str, budget: Budget) -> int:
    """Read an amount in a budget's unit; the unit may be left out. Raises BadRequest."""
    text = typed.strip()
    if text and text[-1].isdigit() and "$" not in text:
        text = f"{text} {budget.unit}"
    try:
        amount, unit = amount_of_words(text, "the amount")
    except UnclearWords as unclear:
        raise BadRequest(str(unclear), code="bad_amount") from None
    if unit is not budget.unit:
        raise BadRequest(f"this budget counts {budget.unit}, not {unit}", code="bad_amount")
    if amount <= 0:
        raise BadRequest("the amount is more than nothing", code="bad_amount")
    return amount


def until_of(typed: str, budget: Budget, now_us: int) -> int:
    """Read when something ends: a day, which belongs to it, in the budget's zone; a moment
    with its offset; or "" for the end of the budget's window. Raises BadRequest.
    """
    text = typed.strip()
    if not text:
        return usual_until(budget, now_us)
    until_us = _read_until(text, budget)
    if not now_us < until_us <= now_us + LONGEST_US:
        raise BadRequest("it ends in the future, within a year", code="bad_until")
    return until_us


def usual_until(budget: Budget, now_us: int) -> int:
    """Give the end of the budget's window, and where that is never, a week from now."""
    if budget.window.kind in ENDLESS:
        return now_us + _USUAL_US
    return budget.window.around(now_us).end_us


def last_day_of(until_us: int, budget: Budget) -> date:
    """Give the last day that something lasts on, in the budget's zone."""
    return _local(until_us - 1, budget).date()


def moment_text(at_us: int, budget: Budget) -> str:
    """Write a moment in the budget's zone: ``2026-12-01 00:00 Europe/Berlin``."""
    return f"{_local(at_us, budget):%Y-%m-%d %H:%M} {budget.window.zone}"


def overdraft_of(typed: str, budget: Budget, by: str, now_us: int) -> Overdraft:
    """Read what an owner may take: an amount, a share of the limit, or ``none``."""
    text = typed.strip()
    allowed = Overdraft(budget.budget_id, now_us, by)
    if text.lower() in _NONE:
        return allowed
    if not text.endswith("%"):
        return allowed._replace(amount=amount_of(text, budget))
    try:
        part_bp = basis_points_of_words(text, "the share")
    except UnclearWords as unclear:
        raise BadRequest(str(unclear), code="bad_amount") from None
    if not 0 < part_bp <= BASIS_POINTS:
        raise BadRequest("the share is above 0, and at most 100%", code="bad_amount")
    return allowed._replace(part_bp=part_bp)


def overdraft_text(allowed: Overdraft, budget: Budget) -> str:
    """Write what an owner may take: ``10 %``, ``20 USD``, ``none``."""
    if allowed.amount:
        return amount_words(allowed.amount, budget.unit)
    return f"{percent_words(allowed.part_bp)}%" if allowed.part_bp else "none"


# ------------------------------------------------------------------ documents


def request_document(asked: Asked, budget: Budget, now_us: int) -> dict[str, Any]:
    """Give a request as JSON. Amounts are texts with their unit."""
    request, decision = asked.request, asked.decision
    document: dict[str, Any] = {
        "id": request.request_id,
        "budget": {"id": budget.budget_id, "name": budget.name},
        "for": request.entity,
        "amount": amount_words(request.amount, budget.unit),
        "until": time_text(request.until_us),
        "reason": request.reason,
        "asked_by": request.asked_by,
        "asked_at": time_text(request.asked_at_us),
        "state": str(asked.state(now_us)),
        "decision": None,
    }
    if decision is not None:
        given = amount_words(decision.amount, budget.unit) if decision.approved else None
        document["decision"] = {
            "by": decision.decided_by,
            "at": time_text(decision.decided_at_us),
            "via": decision.via,
            "note": decision.note,
            "amount": given,
            "until": time_text(decision.until_us) if decision.approved else None,
        }
    return document


def raise_document(given: BudgetRaise, budget: Budget) -> dict[str, Any]:
    """Give a raise as JSON."""
    return {
        "id": given.raise_id,
        "budget": {"id": budget.budget_id, "name": budget.name},
        "for": given.entity,
        "amount": amount_words(given.amount, budget.unit),
        "from": time_text(given.from_us),
        "until": time_text(given.until_us),
        "kind": str(given.kind),
        "by": given.made_by,
        "request": given.request_id or None,
        "ended": _end_document(given.ended),
    }


def _end_document(ended: RaiseEnd | None) -> dict[str, Any] | None:
    if ended is None:
        return None
    at = time_text(ended.ended_at_us)
    return {"by": ended.ended_by, "at": at, "via": ended.via, "note": ended.note}


def time_text(at_us: int) -> str:
    """Write a moment in UTC for programs."""
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _local(at_us: int, budget: Budget) -> datetime:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone_of(budget.window.zone))


def _read_until(text: str, budget: Budget) -> int:
    try:
        following = date.fromisoformat(text) + timedelta(days=1)
        moment = datetime.combine(following, time(), zone_of(budget.window.zone))
    except (ValueError, OverflowError):
        moment = _moment(text)
    return (moment - _EPOCH) // _MICROSECOND


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequest(
            "write the last day, like 2026-12-31, or a moment with its offset", code="bad_until"
        )
    return moment
