"""Issuing a key exactly once, however often the request is sent.

A key's id is derived from who asks and from their idempotency key, its secret from these and
from everything that was asked for. So a request that is sent again, because its answer was
lost, finds the key that it made and gives the same text, and nothing secret is ever stored.
"""

from __future__ import annotations

import hmac
import json
import re
import string
from dataclasses import asdict
from typing import Final, NamedTuple

from tollkeeper.domain import key_tokens
from tollkeeper.domain.errors import BadRequest, Conflict
from tollkeeper.ports import Store, Vault
from tollkeeper.services import keys
from tollkeeper.services.keys import ChosenKey, IssuedKey, Issuer, KeyRequest

REPEATABLE_US: Final = 24 * 3600 * 1_000_000
"""How long a request may be sent again; later its answer would be a secret shown again."""

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_ALPHABET: Final = string.digits + string.ascii_letters


class IssuedOnce(NamedTuple):
    """The key, and whether an earlier request had made it already."""

    issued: IssuedKey
    repeated: bool


def issue_once(
    store: Store,
    vault: Vault,
    request: KeyRequest,
    issuer: Issuer,
    idempotency_key: str,
    now_us: int,
) -> IssuedOnce:
    """Issue a key, or give the one that the same request has made before.

    Raises what ``keys.issue`` raises; BadRequest for an idempotency key that is none;
    Conflict when it was used for another request, or longer ago than a day.
    """
    if not _KEY.fullmatch(idempotency_key):
        raise BadRequest(
            "an Idempotency-Key is 1 to 255 visible characters", code="bad_idempotency_key"
        )
    chosen = _chosen(vault, request, issuer, idempotency_key)
    with store.together():
        record = store.key(chosen.key_id)
        if record is None:
            issued = keys.issue(store, vault, request, issuer, now_us, chosen=chosen)
            return IssuedOnce(issued, repeated=False)
    secret_hmac = vault.key_hmac(chosen.secret.encode())
    if not hmac.compare_digest(secret_hmac, record.key.secret_hmac):
        raise Conflict(
            "this Idempotency-Key was used for another request", code="idempotency_key_reused"
        )
    if now_us - record.created_at_us >= REPEATABLE_US:
        raise Conflict(
            "this Idempotency-Key was used more than a day ago", code="idempotency_key_reused"
        )
    token = key_tokens.build(record.key.kind, chosen.key_id, chosen.secret)
    return IssuedOnce(IssuedKey(token, record), repeated=True)


def is_made(
    store: Store, vault: Vault, request: KeyRequest, issuer: Issuer, idempotency_key: str
) -> bool:
    """Tell whether a request with this idempotency key has made a key before."""
    return store.key(_chosen(vault, request, issuer, idempotency_key).key_id) is not None


def _chosen(vault: Vault, request: KeyRequest, issuer: Issuer, idempotency_key: str) -> ChosenKey:
    who = json.dumps([issuer.name, idempotency_key]).encode()
    what = json.dumps(asdict(request), sort_keys=True, default=list).encode()
    return ChosenKey(
        _base62(vault.mac(who, purpose="id of a key issued once"), key_tokens.KEY_ID_CHARS),
        secret_from(vault.mac(who + b"\0" + what, purpose="secret of a key issued once")),
    )


def secret_from(derived: bytes) -> str:
    """Write 32 derived bytes as the secret of a key."""
    return _base62(derived, key_tokens.SECRET_CHARS)


def _base62(data: bytes, characters: int) -> str:
    rest = int.from_bytes(data, "big")
    digits = []
    for _ in range(characters):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
