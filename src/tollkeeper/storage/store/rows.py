"""How a virtual key looks in a row, for the store and for the gateway's directory alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

from tollkeeper.domain.access import NO_TAGS, KeyKind, VirtualKey


def virtual_key(row: Sequence[Any], org: str) -> VirtualKey:
    """Read a row of the twelve values below; ``active`` covers the key, its user and its team.

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
    )


def write_globs(globs: Sequence[str]) -> str:
    """Write a list of globs as JSON."""
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
