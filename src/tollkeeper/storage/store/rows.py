"""How keys and price rules look in a row, for the store and the gateway's directory alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

from tollkeeper.domain.access import NO_TAGS, KeyKind, VirtualKey
from tollkeeper.domain.networks import Networks
from tollkeeper.domain.price_rules import ALWAYS_US, PriceRule


def virtual_key(row: Sequence[Any], org: str) -> VirtualKey:
    """Read a row of the fifteen values below; ``active`` covers the key, its user and its team.

    Names that many keys share are kept once in memory.
    """
    (
        key_id,
        name,
        kind,
        secret_hmac,
        expires_at_us,
        models,
        providers,
        tags,
        active,
        team,
        user_id,
        user_name,
        networks,
        earlier_hmac,
        earlier_until_us,
    ) = row
    return VirtualKey(
        key_id=key_id,
        name=intern(name),
        kind=KeyKind(kind),
        secret_hmac=bytes(secret_hmac),
        org=intern(org),
        team=intern(team),
        user_id=intern(user_id),
        user_name=intern(user_name),
        active=bool(active),
        expires_at_us=expires_at_us,
        models=read_globs(models),
        providers=read_globs(providers),
        tags=read_tags(tags),
        networks=Networks(read_globs(networks)) if networks else None,
        earlier_hmac=bytes(earlier_hmac or b""),
        earlier_until_us=earlier_until_us or 0,
    )


def price_rule(row: Sequence[Any]) -> PriceRule:
    """Read a row of a rule's nine values; no beginning or end is kept as NULL."""
    name, provider, model, team, usd, discount_bp, since_us, until_us, reason = row
    return PriceRule(
        name,
        provider,
        model,
        team,
        json.loads(usd),
        discount_bp,
        -ALWAYS_US if since_us is None else since_us,
        ALWAYS_US if until_us is None else until_us,
        reason,
    )


def write_globs(globs: Sequence[str]) -> str:
    """Write a list of globs or networks as JSON."""
    return json.dumps(list(globs), ensure_ascii=False)


def read_globs(text: str) -> tuple[str, ...]:
    """Read what ``write_globs`` wrote."""
    return () if text == "[]" else tuple(json.loads(text))


def write_tags(tags: Mapping[str, str]) -> str:
    """Write tags as a JSON object."""
    return json.dumps(dict(tags), ensure_ascii=False)


def read_tags(text: str) -> Mapping[str, str]:
    """Read what ``write_tags`` wrote."""
    return NO_TAGS if text == "{}" else json.loads(text)
