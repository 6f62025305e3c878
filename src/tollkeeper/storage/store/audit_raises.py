"""What the audit log says of requests for more of a budget, decisions, raises and overdrafts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollkeeper.domain.audit import Action, Target
from tollkeeper.storage.store.audit_lines import Said, Told


def more_asked(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Tell that somebody asked for more."""
    asked = said["request"]
    detail = {name: getattr(asked, name) for name in ("entity", "amount", "until_us", "reason")}
    detail |= {"request_id": asked.request_id}
    yield Told(Action.BUDGET_ASK, Target("budget", asked.budget_id), detail)


def request_decided(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Tell what was decided about it, unless somebody else was faster."""
    if result:
        decision = said["decision"]
        names = ("approved", "amount", "until_us", "note", "via")
        detail = {name: getattr(decision, name) for name in names}
        yield Told(Action.BUDGET_DECIDE, Target("budget request", decision.request_id), detail)


def raise_ended(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Tell that a raise was taken back."""
    if result:
        end = said["end"]
        detail = {"via": end.via, "note": end.note}
        yield Told(Action.BUDGET_END_RAISE, Target("budget raise", end.raise_id), detail)


def overdraft_taken(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Tell that an owner took an overdraft."""
    if result:
        taken = said["taken"]
        detail = {name: getattr(taken, name) for name in ("entity", "amount", "until_us")}
        yield Told(Action.BUDGET_OVERDRAFT, Target("budget", taken.budget_id), detail)


def overdraft_allowed(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Tell what an owner may take."""
    allowed = said["allowed"]
    detail = {"amount": allowed.amount, "part_bp": allowed.part_bp}
    yield Told(Action.BUDGET_ALLOW_OVERDRAFT, Target("budget", allowed.budget_id), detail)
