"""The rate limits that somebody's calls meet, and how much of them was used in the last minute.

What counts is in the gateways' memory, and their replies say what is left. Here the ledger is
asked instead, and only of limits that count nobody else's calls: what others use is not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tollkeeper.console.shared import Console
from tollkeeper.domain.budgets import ANY, BudgetScope, Spender
from tollkeeper.domain.rate_limits import RateRule
from tollkeeper.reports import formatting
from tollkeeper.reports.me import LastMinute, last_minute
from tollkeeper.services.rate_rules import own_rules


class OwnLimit(NamedTuple):
    """A rule that somebody's calls meet. ``used`` is None where it counts others' calls too."""

    rule: RateRule
    is_of_file: bool
    used: LastMinute | None


class LimitLine(NamedTuple):
    """A limit as a page shows it. ``used`` is "" where that is not known here."""

    name: str
    source: str
    whose: str
    most: str
    used: str


def own_limits(console: Console, callers: Iterable[Spender], user_id: str) -> list[OwnLimit]:
    """Give the limits of a key or of a person with all their keys. Raises LedgerUnavailable."""
    known = tuple(callers)
    keys = {each.key_id for each in known if each.key_id}
    ids = {BudgetScope.KEY: keys.pop() if len(keys) == 1 else "", BudgetScope.USER: user_id}
    asked: dict[BudgetScope, LastMinute] = {}
    found = []
    for own in own_rules(console.store, console.rate_limits(), known):
        scope = own.rule.scope
        if own.counts_alone and ids.get(scope) and scope not in asked:
            asked[scope] = last_minute(
                console.ledger,
                console.org,
                user_id=user_id if scope is BudgetScope.USER else "",
                key_id=ids[scope] if scope is BudgetScope.KEY else "",
                now_us=console.now_us(),
            )
        used = asked.get(scope) if own.counts_alone else None
        found.append(OwnLimit(own.rule, own.is_of_file, used))
    return found


def limit_document(limit: OwnLimit) -> dict[str, Any]:
    """Give a limit as data."""
    rule, used = limit.rule, limit.used
    return {
        "name": rule.name,
        "source": "file" if limit.is_of_file else "store",
        "scope": str(rule.scope),
        "models": rule.match if rule.scope is BudgetScope.MODEL else ANY,
        "each": rule.each,
        "requests_per_minute": rule.requests_per_minute,
        "tokens_per_minute": rule.tokens_per_minute,
        "parallel": rule.parallel,
        "last_minute": None if used is None else used._asdict(),
    }


def limit_line(limit: OwnLimit) -> LimitLine:
    """Write a limit for a page."""
    rule, used = limit.rule, limit.used
    most, now = [], []
    for count, unit, taken in (
        (rule.requests_per_minute, "request", used.requests if used else None),
        (rule.tokens_per_minute, "token", used.tokens if used else None),
    ):
        if count is not None:
            most.append(f"{formatting.count(count)} {unit}{'' if count == 1 else 's'} a minute")
            if taken is not None:
                now.append(f"{formatting.count(taken)} {unit}{'' if taken == 1 else 's'}")
    if rule.parallel is not None:
        most.append(f"{formatting.count(rule.parallel)} at the same time")
    source = "tollkeeper.yaml" if limit.is_of_file else ""
    return LimitLine(rule.name, source, _whose(rule), ", ".join(most), ", ".join(now))


def _whose(rule: RateRule) -> str:
    """Say whose calls of the viewer's a rule counts together."""
    if rule.scope is BudgetScope.MODEL:
        of = "all models" if rule.match == ANY else rule.match
        return f"each model of {of}, with everybody" if rule.each else f"{of}, with everybody"
    if rule.each or (rule.match != ANY and rule.scope is not BudgetScope.TEAM):
        words = {BudgetScope.KEY: "each key", BudgetScope.USER: "you, with all keys"}
        return words.get(rule.scope, "your team together")
    if rule.match != ANY:
        return f"team {rule.match} together"
    return f"all {rule.scope}s together"
