"""Keys that people issue within the bounds that an admin has set, each with its own budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import NamedTuple

from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.budget_words import amount_words
from tollkeeper.domain.errors import BadRequest, NotAllowed
from tollkeeper.domain.self_service import Cap, SelfService, cap_words, rule_for
from tollkeeper.ports import KeyRecord, Store, Vault
from tollkeeper.services import keys, names
from tollkeeper.services.idempotent_keys import IssuedOnce, is_made, issue_once
from tollkeeper.services.key_caps import hard_caps, make_cap, spent_of_keys
from tollkeeper.services.key_documents import key_state
from tollkeeper.services.keys import Issuer, KeyRequest


class Desk(NamedTuple):
    """What issuing needs besides who wants what: where keys are kept, the rules that bind
    whoever is no admin, and the time zone of new budgets' windows.
    """

    store: Store
    vault: Vault
    rules: Sequence[SelfService]
    zone: str

    def together(self) -> AbstractContextManager[None]:
        """Make all that is done inside happen, or nothing."""
        return self.store.together()


def issue(
    desk: Desk, request: KeyRequest, cap: Cap | None, issuer: Issuer, now_us: int, once: str = ""
) -> IssuedOnce:
    """Issue a key with a budget of its own (None for none), within its issuer's bounds.

    A request that is sent again with the same ``once`` gives the same key, and no second
    budget. Raises what ``keys.issue`` raises, and NotAllowed for what is out of bounds.
    """
    with desk.together():
        rule = rule_of(desk.rules, issuer)
        if rule is not None:
            request, issuer = within_rule(rule, request, issuer, now_us)
            if request.kind is KeyKind.VIRTUAL:
                cap = cap or rule.default_cap()
        if once and is_made(desk.store, desk.vault, request, issuer, once):
            return issue_once(desk.store, desk.vault, request, issuer, once, now_us)
        if cap is not None and request.kind is KeyKind.ADMIN:
            raise BadRequest("a management key calls no model, and has no budget")
        if rule is not None:
            _require_room(desk.store, rule, request, cap, now_us)
        if once:
            done = issue_once(desk.store, desk.vault, request, issuer, once, now_us)
        else:
            issued = keys.issue(desk.store, desk.vault, request, issuer, now_us)
            done = IssuedOnce(issued, repeated=False)
        if cap is not None:
            make_cap(desk.store, done.issued.record, cap, desk.zone, issuer.name, now_us)
        return done


def rule_of(rules: Sequence[SelfService], issuer: Issuer) -> SelfService | None:
    """Give the rule that binds somebody, None for nobody's. Raises NotAllowed where there are
    rules and none is about them."""
    if issuer.role is Role.ADMIN or not rules:
        return None
    rule = rule_for(rules, issuer.role, issuer.team)
    if rule is None:
        raise NotAllowed(
            "nothing says which keys you may issue; ask an admin for one",
            code="self_service_denied",
        )
    return rule


def require_end(
    store: Store,
    rules: Sequence[SelfService],
    issuer: Issuer,
    key_id: str,
    ends_us: int | None,
    now_us: int,
) -> None:
    """Raise NotAllowed where somebody may not give a key that is there this new end.

    Without one (None) the key keeps the end that it has, and nobody gets anything new. Within
    bounds a key that has expired stays so: it would be one key more, with rights and a budget of
    before. Raises NotFound as ``keys.managed_key``.
    """
    rule = None if ends_us is None else rule_of(rules, issuer)
    if rule is None or ends_us is None:
        return
    _require_lifetime(rule, ends_us, now_us)
    if key_state(keys.managed_key(store, key_id, issuer), now_us) == "expired":
        raise NotAllowed("this key has expired: issue another one", code="key_ended")


def bounds_words(rule: SelfService) -> list[str]:
    """Say what somebody may issue, in sentences for a page."""
    days = rule.lifetime_max_us // (86_400 * 1_000_000)
    said = [
        f"Models: {_all_or(rule.models)}; providers: {_all_or(rule.providers)}.",
        f"At most {rule.keys_max} keys of your own, each for at most {days} days.",
    ]
    if rule.key_budget_max is not None:
        said.append(f"Each key may spend up to {_per(rule.key_budget_max)}.")
    if rule.total_budget_max is not None:
        said.append(f"All your keys together may spend up to {_per(rule.total_budget_max)}.")
    if rule.networks_required:
        said.append("A key needs networks from which it may be used.")
    if rule.tags:
        fixed = ", ".join(f"{name}={value}" for name, value in rule.tags.items())
        said.append(f"Calls are tagged {fixed}.")
    return said


def within_rule(
    rule: SelfService, request: KeyRequest, issuer: Issuer, now_us: int
) -> tuple[KeyRequest, Issuer]:
    """Give the request with what is fixed, and its issuer with rights of the rule's reach.

    Raises NotAllowed for what the rule does not give.
    """
    if rule.networks_required and not request.networks:
        raise NotAllowed("say from which networks the key may be used", code="networks_required")
    ends_us = request.expires_at_us
    if request.email:
        if ends_us is None:
            ends_us = rule.latest_end_us(now_us)
        _require_lifetime(rule, ends_us, now_us)
    bounded = replace(
        issuer, models=_unless_all(rule.models), providers=_unless_all(rule.providers)
    )
    tags = _fixed_tags(rule.tags, request.tags)
    return replace(request, expires_at_us=ends_us, tags=tags), bounded


def _require_lifetime(rule: SelfService, ends_us: int, now_us: int) -> None:
    if ends_us > rule.latest_end_us(now_us):
        days = rule.lifetime_max_us // (86_400 * 1_000_000)
        raise NotAllowed(f"a key lasts at most {days} days", code="lifetime_exceeded")


def _fixed_tags(fixed: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    asked = names.clean_tags(wanted)  # as they are kept: a name has no second spelling
    for name, value in fixed.items():
        if asked.get(name, value) != value:
            raise NotAllowed(f"the tag {name} is {value!r}, and stays so", code="tag_fixed")
    return {**asked, **fixed}


def require_capped(store: Store, rule: SelfService, key_id: str, now_us: int) -> None:
    """Raise NotAllowed where a key that is there has no budget such as the rule's."""
    most = rule.key_budget_max or rule.total_budget_max
    if most is None:
        return
    limits = [
        cap.amount
        for cap in hard_caps(store, key_id, now_us)
        if (cap.unit, cap.window) == (most.unit, most.window)
    ]
    if not limits or (rule.key_budget_max is not None and min(limits) > most.amount):
        raise NotAllowed(
            f"a key may spend at most {_per(most)}, and nothing holds this one to that; ask an "
            "admin to give it a budget",
            code="budget_ceiling",
        )


def _require_room(
    store: Store, rule: SelfService, request: KeyRequest, cap: Cap | None, now_us: int
) -> None:
    """Refuse one key too many, and a budget above what is left of the bounds."""
    most = rule.key_budget_max
    if most is not None and cap is not None:
        _require_alike(cap, most)
        if cap.amount > most.amount:
            raise NotAllowed(f"a key may spend at most {_per(most)}", code="budget_ceiling")
    if not request.email:
        return  # a team's key: nobody's own
    user = store.user_with_email(names.clean_email(request.email))
    found = [] if user is None else store.keys_of(user.user_id)
    every = [each for each in found if each.key.kind is KeyKind.VIRTUAL]
    own = [each for each in every if key_state(each, now_us) == "active"]
    if len(own) >= rule.keys_max:
        raise NotAllowed(
            f"there are {len(own)} keys already, and {rule.keys_max} are allowed: revoke one",
            code="too_many_keys",
        )
    if rule.total_budget_max is not None and cap is not None:
        _require_alike(cap, rule.total_budget_max)
        ended = [each.key.key_id for each in every if each not in own]
        spent = spent_of_keys(store, ended, rule.total_budget_max, now_us)
        _require_total(store, own, spent, rule.total_budget_max, cap, now_us)


def _require_total(
    store: Store, own: Sequence[KeyRecord], spent: int, total: Cap, cap: Cap, now_us: int
) -> None:
    """Refuse a budget above what neither keys of now may spend nor former ones have spent."""
    taken = spent
    for each in own:
        alike = [
            found.amount
            for found in hard_caps(store, each.key.key_id, now_us)
            if (found.unit, found.window) == (total.unit, total.window)
        ]
        if not alike:
            raise NotAllowed(
                f"key {each.key.name!r} may spend without such a bound, so nothing is left for "
                "another one: revoke it, or ask an admin to give it a budget",
                code="budget_ceiling",
            )
        taken += min(alike)
    if taken + cap.amount > total.amount:
        left = amount_words(max(total.amount - taken, 0), total.unit)
        raise NotAllowed(
            f"all keys together may spend {_per(total)}, and {left} of that is not given yet",
            code="budget_ceiling",
        )


def _require_alike(cap: Cap, most: Cap) -> None:
    if (cap.unit, cap.window) != (most.unit, most.window):
        raise NotAllowed(
            f"a key's budget here is in {most.unit} for each {most.window}, up to {_per(most)}",
            code="budget_ceiling",
        )


def _per(cap: Cap) -> str:
    return cap_words(cap).replace("/", " a ")


def _unless_all(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return () if "*" in patterns else patterns


def _all_or(patterns: tuple[str, ...]) -> str:
    return "all" if "*" in patterns else ", ".join(patterns)
