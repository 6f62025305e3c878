"""Changes of a key: its name, end, reach and tags. Its owner, kind, budgets and secret stay.

A change that only takes away is open to whoever may revoke the key. One that gives anything is
open to whoever could issue the key as it will be, all of it: so nobody makes of a key what
neither it nor they had, such as the models of the one from the networks of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tollkeeper.domain import globs
from tollkeeper.domain.access import KeyKind, Role, VirtualKey
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.domain.networks import networks_within
from tollkeeper.ports import ChangedKey, KeyRecord
from tollkeeper.services import keys, names
from tollkeeper.services.key_documents import key_state
from tollkeeper.services.key_self_service import Desk, require_capped, rule_of, within_rule
from tollkeeper.services.keys import Issuer, KeyRequest

_REACH: Final = {
    "models": "its models",
    "providers": "its providers",
    "networks": "its networks",
    "expires_at_us": "its end",
}


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to change of a key. None leaves a thing as it is; an empty list or mapping takes
    its limits or tags away.

    ``expires_at_us`` is the new end (microseconds since the epoch), ``endless`` takes the end
    away; where rules bound how long a key lasts it is as late as they allow.
    """

    key_id: str
    name: str | None = None
    expires_at_us: int | None = None
    endless: bool = False
    models: Sequence[str] | None = None
    providers: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    tags: Mapping[str, str] | None = None


def change(desk: Desk, wanted: KeyChange, issuer: Issuer, now_us: int) -> KeyRecord:
    """Change a key, and give it as it is then. What changes nothing is not recorded.

    Raises NotFound for a key that is not there or that the issuer may not see; NotAllowed where
    the key would get what the issuer could not give; Conflict for a key that does not work any
    more; BadRequest for what makes no sense.
    """
    with desk.together():
        record = keys.managed_key(desk.store, wanted.key_id, issuer)
        key = record.key
        if key.kind is KeyKind.ADMIN and issuer.role is not Role.ADMIN:
            raise NotAllowed("only an admin changes management keys", code="role_too_low")
        state = key_state(record, now_us)
        if state != "active":
            raise Conflict(
                f"key {key.key_id} is {state}: only a key that works can be changed",
                code="key_ended",
            )
        before = _as_it_is(key)
        after = _wished(before, wanted, now_us)
        if not _only_takes_away(before, after):
            after = _given(desk, key, before, after, issuer, now_us)
        if after != before:
            desk.store.change_key(after)
        found = desk.store.key(key.key_id)
    if found is None:
        raise NotFound(f"there is no key with id {key.key_id!r}", code="key_not_found")
    return found


def _as_it_is(key: VirtualKey) -> ChangedKey:
    return ChangedKey(
        key.key_id,
        key.name,
        key.expires_at_us,
        key.models,
        key.providers,
        dict(key.tags),
        () if key.networks is None else key.networks.texts,
    )


def _wished(before: ChangedKey, wanted: KeyChange, now_us: int) -> ChangedKey:
    """Give the key as it is asked for, whoever asks."""
    after = before
    if wanted.name is not None:
        after = replace(after, name=names.clean_name(wanted.name, "the key's name"))
    if wanted.models is not None:
        after = replace(after, models=names.clean_globs(wanted.models, "model"))
    if wanted.providers is not None:
        after = replace(after, providers=names.clean_globs(wanted.providers, "provider"))
    if wanted.networks is not None:
        after = replace(after, networks=names.clean_networks(wanted.networks))
    if wanted.tags is not None:
        after = replace(after, tags=names.clean_tags(wanted.tags))
    if wanted.endless:
        if wanted.expires_at_us is not None:
            raise BadRequest("a key has an end or none, not both")
        return replace(after, expires_at_us=None)
    if wanted.expires_at_us is None:
        return after
    if wanted.expires_at_us <= now_us:
        raise BadRequest("the key would have expired already")
    return replace(after, expires_at_us=wanted.expires_at_us)


def _only_takes_away(before: ChangedKey, after: ChangedKey) -> bool:
    """Tell whether a key may do nothing afterwards that it may not do now.

    Tags count as a right: budgets and limits go by them.
    """
    if after.tags != before.tags:
        return False
    ends_us, ended_us = after.expires_at_us, before.expires_at_us
    return (
        (ended_us is None or (ends_us is not None and ends_us <= ended_us))
        and globs.within(after.models, before.models)
        and globs.within(after.providers, before.providers)
        and networks_within(after.networks, before.networks)
    )


def _given(
    desk: Desk,
    key: VirtualKey,
    before: ChangedKey,
    after: ChangedKey,
    issuer: Issuer,
    now_us: int,
) -> ChangedKey:
    """Give the key as its changer could issue it. Raises NotAllowed where they could not."""
    user = desk.store.user(key.user_id) if key.user_id else None
    request = KeyRequest(
        after.name,
        key.kind,
        "" if user is None else user.email,
        "" if user is not None and user.team == key.team else key.team,
        after.expires_at_us,
        after.models,
        after.providers,
        after.tags,
        after.networks,
    )
    bounded = issuer
    rule = rule_of(desk.rules, issuer)
    if rule is not None:
        request, bounded = within_rule(rule, request, issuer, now_us)
        require_capped(desk.store, rule, key.key_id, now_us)
    new = keys.checked(desk.store, request, bounded, now_us, None)
    for name, words in _REACH.items():
        kept = getattr(before, name)
        if getattr(after, name) == kept and getattr(new, name) != kept:
            raise NotAllowed(
                f"the key reaches further than you do by {words}, so you can only take from it",
                code="rights_exceeded",
            )
    return replace(
        after,
        expires_at_us=new.expires_at_us,
        models=new.models,
        providers=new.providers,
        networks=new.networks,
        tags=dict(new.tags),
    )
