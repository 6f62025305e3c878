"""Rotation: a key gets a new secret, and the one before stays good for a while.

It is the same key before and after: its id, name, rights, budgets and history go on, so
nothing has to be moved and no budget can be escaped by a rotation. Whatever still sends the
old secret works until the overlap is over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.domain import globs, key_tokens
from tollkeeper.domain.access import KeyKind, Role, VirtualKey
from tollkeeper.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from tollkeeper.domain.networks import networks_within
from tollkeeper.ports import KeyRecord, NewSecret, Store, Vault
from tollkeeper.services import keys
from tollkeeper.services.idempotent_keys import REPEATABLE_US, IssuedOnce, secret_from
from tollkeeper.services.key_documents import key_state
from tollkeeper.services.keys import IssuedKey, Issuer

OVERLAP_MAX_US: Final = 7 * 86_400 * 1_000_000
OVERLAP_US: Final = 24 * 3600 * 1_000_000
"""What is usual: a day, in which everything that has the key can be changed."""
_ONCE: Final = re.compile(r"[\x21-\x7e]{1,255}")
_PURPOSE: Final = "secret of a key rotated once"


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is asked for: how long the secret before stays good (microseconds, 0 for not at
    all), and the key's new end; without one it keeps the end that it has.
    """

    key_id: str
    overlap_us: int = OVERLAP_US
    expires_at_us: int | None = None


class _Chosen(NamedTuple):
    secret: str
    secret_hmac: bytes


def rotate(store: Store, vault: Vault, wanted: Rotation, issuer: Issuer, now_us: int) -> IssuedKey:
    """Give a key a new secret, and the key with it: it is shown this once.

    Raises NotFound for a key that is not there or that the issuer may not see; NotAllowed
    where the key has rights that the issuer could not give; Conflict for a key that has
    ended, and while the overlap of a rotation before lasts, unless none is asked for now;
    BadRequest for an overlap of more than seven days or an end that is over.
    """
    with store.together():
        record = _rotatable(store, wanted, issuer, now_us)
        secret = keys.random_secret()
        return _rotated(store, vault, record, wanted, secret, issuer, now_us)


def rotate_once(
    store: Store, vault: Vault, wanted: Rotation, issuer: Issuer, once: str, now_us: int
) -> IssuedOnce:
    """Rotate a key, or give the secret that the same request has made before.

    The new secret is derived from the request's idempotency key and from the secret that it
    replaces, so an old one never comes back. Raises as ``rotate``; BadRequest for an
    idempotency key that is none; Conflict when it was used otherwise, or longer ago than a day.
    """
    if not _ONCE.fullmatch(once):
        raise BadRequest(
            "an Idempotency-Key is 1 to 255 visible characters", code="bad_idempotency_key"
        )
    with store.together():
        found = keys.managed_key(store, wanted.key_id, issuer)
        _require_reach(store, found.key, issuer)
        made = _chosen(vault, found.key, found.key.earlier_hmac, issuer, once)
        if found.rotated_at_us is not None and found.key.is_secret(made.secret_hmac):
            return IssuedOnce(_repeated(found, wanted, made.secret, now_us), repeated=True)
        record = _rotatable(store, wanted, issuer, now_us)
        fresh = _chosen(vault, record.key, record.key.secret_hmac, issuer, once)
        issued = _rotated(store, vault, record, wanted, fresh.secret, issuer, now_us)
        return IssuedOnce(issued, repeated=False)


def _rotatable(store: Store, wanted: Rotation, issuer: Issuer, now_us: int) -> KeyRecord:
    """Give the key that is to be rotated. Raises as ``rotate``."""
    record = keys.managed_key(store, wanted.key_id, issuer)
    _require_reach(store, record.key, issuer)
    if not 0 <= wanted.overlap_us <= OVERLAP_MAX_US:
        raise BadRequest(
            "the secret before may stay good for at most 7 days", code="overlap_too_long"
        )
    ends_us = wanted.expires_at_us or record.key.expires_at_us
    if wanted.expires_at_us is not None and wanted.expires_at_us <= now_us:
        raise BadRequest("the key would have expired already")
    if issuer.expires_at_us is not None and (ends_us is None or ends_us > issuer.expires_at_us):
        raise NotAllowed("the key may not outlive its issuer's own", code="rights_exceeded")
    state = key_state(record, now_us)
    if state in {"revoked", "off"} or (ends_us is not None and ends_us <= now_us):
        raise Conflict(
            f"key {record.key.key_id} is {state}: a key that has ended is not rotated; "
            + ("give it a new end, or issue" if state == "expired" else "issue")
            + " another one",
            code="key_ended",
        )
    if wanted.overlap_us and now_us < record.key.earlier_until_us:
        raise Conflict(
            f"key {record.key.key_id} was rotated a while ago, and two secrets of it work until "
            f"{second_text(record.key.earlier_until_us)}; without an overlap both end now",
            code="rotation_under_way",
        )
    return record


def _require_reach(store: Store, key: VirtualKey, issuer: Issuer) -> None:
    """Refuse to hand out a key that the issuer could not have issued, with all its rights."""
    own = bool(issuer.user_id) and key.user_id == issuer.user_id
    if issuer.role is not Role.ADMIN and (key.kind is KeyKind.ADMIN or not own):
        user = store.user(key.user_id) if key.user_id else None
        keys.require_may_issue(issuer, key.kind, user, key.team)
    networks = () if key.networks is None else key.networks.texts
    if (
        not globs.within(key.models, issuer.models)
        or not globs.within(key.providers, issuer.providers)
        or not networks_within(networks, issuer.networks)
    ):
        raise NotAllowed("the key reaches further than you do", code="rights_exceeded")


def _rotated(
    store: Store,
    vault: Vault,
    record: KeyRecord,
    wanted: Rotation,
    secret: str,
    issuer: Issuer,
    now_us: int,
) -> IssuedKey:
    key = record.key
    store.rotate_key(
        NewSecret(
            key.key_id,
            vault.key_hmac(secret.encode()),
            keys.PEPPER_VERSION,
            now_us + wanted.overlap_us,
            wanted.expires_at_us or key.expires_at_us,
            issuer.name,
        ),
        now_us,
    )
    again = store.key(key.key_id)
    if again is None:
        raise NotFound(f"there is no key with id {key.key_id!r}", code="key_not_found")
    return IssuedKey(key_tokens.build(key.kind, key.key_id, secret), again)


def _repeated(record: KeyRecord, wanted: Rotation, secret: str, now_us: int) -> IssuedKey:
    key, rotated_at_us = record.key, record.rotated_at_us or 0
    same_end = wanted.expires_at_us in {None, key.expires_at_us}
    if key.earlier_until_us - rotated_at_us != wanted.overlap_us or not same_end:
        raise Conflict(
            "this Idempotency-Key was used for another request", code="idempotency_key_reused"
        )
    if now_us - rotated_at_us >= REPEATABLE_US:
        raise Conflict(
            "this Idempotency-Key was used more than a day ago", code="idempotency_key_reused"
        )
    return IssuedKey(key_tokens.build(key.kind, key.key_id, secret), record)


def _chosen(
    vault: Vault, key: VirtualKey, replaced_hmac: bytes, issuer: Issuer, once: str
) -> _Chosen:
    message = json.dumps([issuer.name, once, key.key_id]).encode() + b"\0" + replaced_hmac
    secret = secret_from(vault.mac(message, purpose=_PURPOSE))
    return _Chosen(secret, vault.key_hmac(secret.encode()))
