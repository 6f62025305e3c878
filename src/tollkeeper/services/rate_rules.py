"""Rate limits that people set by a command or the API: checked, listed, removed.

A rule has one name. Whoever sets a name that is there changes that rule, and its counts go on
where it still counts the same calls. Rules of the configuration file are changed there alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.domain.budgets import ANY, BudgetScope, Spender
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.rate_limits import RateRule, StoredRateRule
from tollkeeper.ports import Store
from tollkeeper.services import people
from tollkeeper.telemetry import logger

RULES_MAX: Final = 1_000
_FIXED: Final = "rate limit {!r} stands in tollkeeper.yaml: change it there"
_OF_FILE: Final = "file:"
_ALONE: Final = frozenset({BudgetScope.KEY, BudgetScope.USER})
_ids: Final = IdMint()


class OwnRule(NamedTuple):
    """A rule that somebody's calls meet; ``counts_alone`` where it counts no others with them."""

    rule: RateRule
    is_of_file: bool
    counts_alone: bool


def set_rule(
    store: Store, wanted: RateRule, fixed: Sequence[RateRule], by: str, now_us: int
) -> StoredRateRule:
    """Make a rule, or change the one of its name. ``by`` says who does, ``fixed`` are the file's.

    A person is named by e-mail or id, a team by its name, a key by its id. Raises BadRequest for
    a rule that cannot be used, NotFound for one on nobody, Conflict where the name stands in the
    file or there are too many.
    """
    name = wanted.name.strip()
    wanted = wanted._replace(rule_id="", name=name, match=wanted.match.strip() or ANY)
    problem = wanted.problem()
    if problem:
        raise BadRequest(problem, code="rate_limit_unusable")
    _require_not_fixed(name, fixed)
    with store.together():
        wanted = wanted._replace(match=_known_match(store, wanted))
        rules = store.rate_rules()
        former = next((each.rule for each in rules if each.rule.name == name), None)
        if former is None and len(rules) >= RULES_MAX:
            raise Conflict(f"there are {RULES_MAX} rate limits already", code="too_many_limits")
        if former is not None:
            wanted = wanted._replace(rule_id=former.rule_id)
            if wanted.counted != former.counted:
                store.remove_rate_rule(former.rule_id)
                wanted = wanted._replace(rule_id="")
        if not wanted.rule_id:
            wanted = wanted._replace(rule_id=_ids.next(now_us // 1000))
        stored = StoredRateRule(wanted, now_us, by)
        store.set_rate_rule(stored)
    logger.info("rate limit set", extra={"rule": wanted.rule_id, "called": name, "by": by})
    return stored


def remove_rule(store: Store, called: str, fixed: Sequence[RateRule], by: str) -> StoredRateRule:
    """Remove a rule, named by its name or id. Raises NotFound, Conflict for one of the file."""
    with store.together():
        rules = store.rate_rules()
        named = [each for each in rules if called in {each.rule.rule_id, each.rule.name}]
        if not named:
            _require_not_fixed(called.removeprefix(_OF_FILE), fixed)
            raise NotFound(f"there is no rate limit {called!r}", code="rate_limit_not_found")
        (found, *_) = named
        store.remove_rate_rule(found.rule.rule_id)
    logger.info("rate limit removed", extra={"rule": found.rule.rule_id, "by": by})
    return found


def rule_documents(store: Store, fixed: Sequence[RateRule]) -> list[dict[str, Any]]:
    """Give all rules as data, those of the file first, for the API and the command line alike.

    Times are ISO 8601, UTC; people are named by e-mail where they are known.
    """
    emails = {user.user_id: user.email for user in store.users()}
    made = [rule_document(stored, emails) for stored in store.rate_rules()]
    return [*(_of_file(rule, emails) for rule in fixed), *made]


def own_rules(store: Store, fixed: Sequence[RateRule], callers: Iterable[Spender]) -> list[OwnRule]:
    """Give the rules that some callers meet: which of them depends on the model too.

    How much of them is left only the gateway knows, whose replies say so.
    """
    known = tuple(callers)
    rules = [(rule, True) for rule in fixed]
    rules += [(stored.rule, False) for stored in store.rate_rules()]
    return [
        OwnRule(rule, is_of_file, rule.scope in _ALONE and (rule.each or rule.match != ANY))
        for rule, is_of_file in rules
        if known
        and (
            rule.scope is BudgetScope.MODEL
            or any(rule.entity_of(caller) is not None for caller in known)
        )
    ]


def rule_document(stored: StoredRateRule, emails: Mapping[str, str]) -> dict[str, Any]:
    """Give one rule as data."""
    rule = stored.rule
    return {
        "id": rule.rule_id,
        "name": rule.name,
        "source": "store",
        "scope": str(rule.scope),
        "match": emails.get(rule.match, rule.match) if _is_of_user(rule) else rule.match,
        "each": rule.each,
        "requests_per_minute": rule.requests_per_minute,
        "tokens_per_minute": rule.tokens_per_minute,
        "parallel": rule.parallel,
        "set_at": second_text(stored.set_at_us),
        "set_by": stored.set_by,
    }


def _of_file(rule: RateRule, emails: Mapping[str, str]) -> dict[str, Any]:
    found = rule_document(StoredRateRule(rule, 0, "tollkeeper.yaml"), emails)
    return found | {"id": _OF_FILE + rule.name, "source": "file", "set_at": None}


def _require_not_fixed(name: str, fixed: Sequence[RateRule]) -> None:
    if any(rule.name == name for rule in fixed):
        raise Conflict(_FIXED.format(name), code="rate_limit_fixed")


def _is_of_user(rule: RateRule) -> bool:
    return rule.scope is BudgetScope.USER


def _known_match(store: Store, rule: RateRule) -> str:
    """Give whom a rule names as calls name them. Raises NotFound where nobody is called so."""
    match = rule.match
    if match == ANY or rule.scope is BudgetScope.MODEL:
        return match
    if rule.scope is BudgetScope.TEAM:
        return people.find_team(store, match).name
    if _is_of_user(rule):
        return people.find_user(store, match).user_id if "@" in match else _user_id(store, match)
    if store.key(match) is None:
        raise NotFound(f"there is no key {match!r}", code="key_not_found")
    return match


def _user_id(store: Store, user_id: str) -> str:
    if store.user(user_id) is None:
        raise NotFound(f"there is no user {user_id!r}", code="user_not_found")
    return user_id
