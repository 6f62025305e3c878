"""Budgets as people make and change them in words: whom they name is looked up, whoever changes
one says which version was read, and the same request that arrives twice is done once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tollkeeper.domain.budget_words import UnclearWords, budget_of, is_of_file, words_of
from tollkeeper.domain.budgets import ANY, Budget, BudgetScope
from tollkeeper.domain.errors import BadRequest, Conflict
from tollkeeper.ports import Store, Vault
from tollkeeper.services import budgets

CHANGEABLE: Final = ("name", "limit", "mode", "sizing", "rollover", "alert_at")
"""Words that may be said of a budget that is there."""
REPEATABLE_US: Final = 24 * 3600 * 1_000_000

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_HALF: Final = 16


class Made(NamedTuple):
    """A budget, and whether an earlier request had made it already."""

    budget: Budget
    repeated: bool = False


def wanted_budget(store: Store, words: Mapping[str, Any], zone: str) -> Budget:
    """Read a budget that somebody wants, and look up whom it names.

    A person may be named by address, a key by its name. Raises UnclearWords for what is no
    budget, and for one of somebody who is not there: it would never hold anybody.
    """
    return _looked_up(store, budget_of(words, zone))


def make(store: Store, words: Mapping[str, Any], zone: str, by: str, now_us: int) -> Budget:
    """Make a budget of words. Raises UnclearWords, Conflict where there are too many."""
    return budgets.make_budget(store, wanted_budget(store, words, zone), by, now_us)


def make_once(
    store: Store,
    vault: Vault,
    words: Mapping[str, Any],
    zone: str,
    by: str,
    idempotency_key: str,
    now_us: int,
) -> Made:
    """Make a budget, or give the one that the same request has made before.

    Its id is derived from who asks, the key and what was asked for, so nothing more is kept.
    Raises what ``make`` raises; BadRequest for a key that is none; Conflict when the key was
    used for another request, or longer ago than a day.
    """
    if not _KEY.fullmatch(idempotency_key):
        raise BadRequest(
            "an Idempotency-Key is 1 to 255 visible characters", code="bad_idempotency_key"
        )
    wanted = wanted_budget(store, words, zone)
    who = json.dumps([by, idempotency_key]).encode()
    edges = {name: words[name] for name in ("since", "until") if words.get(name)}
    what = json.dumps({**words_of(wanted), **edges}, sort_keys=True).encode()
    first = vault.mac(who, purpose="id of a budget made once").hex()[:_HALF]
    last = vault.mac(who + b"\0" + what, purpose="id of a budget made once").hex()[:_HALF]
    budget_id = f"{first}-{last}"
    with store.together():
        for known in store.budgets():
            if known.budget_id.startswith(f"{first}-"):
                break
        else:
            return Made(budgets.make_budget(store, wanted, by, now_us, budget_id))
    made_us = known.since_us - budgets.KNOWN_AFTER_US
    if known.budget_id != budget_id or now_us - made_us >= REPEATABLE_US:
        raise Conflict(
            "this Idempotency-Key was used for another request, or more than a day ago",
            code="idempotency_key_reused",
        )
    return Made(known, repeated=True)


def change(
    store: Store, budget_id: str, words: Mapping[str, Any], by: str, version: int | None = None
) -> Budget:
    """Change what may change of a budget that was read as ``version`` (None: as it is now).

    Raises UnclearWords, BadRequest for words that are fixed, Conflict where somebody else has
    changed it in between or where it stands in the configuration file, NotFound.
    """
    found = _changeable(store, budget_id)
    for option in words:
        if option not in CHANGEABLE:
            raise BadRequest(
                f"what a budget counts never changes: make a new one ({option})",
                code="budget_fixed",
            )
    changed = budget_of({**words_of(found), "rollover": None, **words}, found.window.zone)
    if changed.unit is not found.unit:
        raise UnclearWords("limit", f"is in {found.unit}, and stays so")
    rollover_max = changed.rollover_max
    if "rollover" not in words:
        rollover_max = min(found.rollover_max, changed.limit)
    kept = found._replace(
        name=changed.name,
        limit=changed.limit,
        mode=changed.mode,
        sizing=changed.sizing,
        rollover_max=rollover_max,
        thresholds_bp=changed.thresholds_bp,
        version=found.version if version is None else version,
    )
    return budgets.change_budget(store, kept, by)


def end(store: Store, budget_id: str, by: str, now_us: int) -> Budget:
    """End a budget. Raises NotFound, Conflict for one that stands in the configuration file."""
    return budgets.end_budget(store, _changeable(store, budget_id).budget_id, by, now_us)


def top_up(
    store: Store, budget_id: str, amount: int, by: str, version: int | None = None
) -> Budget:
    """Pay into a prepaid budget that was read as ``version`` (None: as it is now).

    Sent twice with a version, it is done once: the second time is a Conflict. Raises what
    ``budgets.top_up`` and ``change`` raise.
    """
    with store.together():
        found = _changeable(store, budget_id)
        if version is not None and found.version != version:
            raise Conflict(
                "somebody else has changed this budget meanwhile: look at it again",
                code="budget_changed",
            )
        return budgets.top_up(store, budget_id, amount, by)


def _changeable(store: Store, budget_id: str) -> Budget:
    if is_of_file(budget_id):
        raise Conflict(
            "this budget stands in tollkeeper.yaml: change it there", code="budget_of_file"
        )
    return budgets.budget(store, budget_id)


def _looked_up(store: Store, budget: Budget) -> Budget:
    """Put ids in the place of names, and refuse a budget of somebody who is not there."""
    said = budget.match
    if said == ANY:
        return budget
    if budget.scope is BudgetScope.TEAM:
        team = store.team_named(said)
        found = team.name if team else ""
    elif budget.scope is BudgetScope.USER:
        user = store.user_with_email(said) if "@" in said else store.user(said)
        found = user.user_id if user else ""
    elif budget.scope is BudgetScope.KEY:
        found = _key_called(store, said)
    else:
        return budget
    if not found:
        word = "person" if budget.scope is BudgetScope.USER else budget.scope
        raise UnclearWords("match", f"there is no {word} {said[:60]!r}")
    return budget._replace(match=found)


def _key_called(store: Store, said: str) -> str:
    """Find a key by its id, or by a name that only one has."""
    records = store.keys()
    ids = [each.key.key_id for each in records if said in {each.key.key_id, each.key.name}]
    if said in ids:
        return said
    if len(ids) > 1:
        raise UnclearWords("match", f"{len(ids)} keys are called {said[:60]!r}: give its id")
    return ids[0] if ids else ""
