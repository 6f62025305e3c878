"""Tokens for SCIM: made, listed, revoked, verified.

A token manages people and groups over SCIM and opens nothing else. The store keeps a keyed hash
of its secret, so that a copy of the store lets nobody in. Without a token SCIM is closed.
"""

from __future__ import annotations

import hmac
import secrets
import string
from typing import Final, NamedTuple

from tollkeeper.domain import scim_tokens
from tollkeeper.domain.errors import Conflict, KeyRejected, NotFound
from tollkeeper.domain.scim import ScimToken
from tollkeeper.ports import Store, Vault
from tollkeeper.services import keys, names

GOOD_MAX: Final = 20
_PURPOSE: Final = "scim token"
_ID_CHARS: Final = 8
_ALPHABET: Final = string.digits + string.ascii_letters


class Made(NamedTuple):
    """A new token. Its text is shown once; only its keyed hash is kept."""

    text: str
    token: ScimToken

    def __repr__(self) -> str:
        return f"Made({self.token.token_id}, …)"


def make(store: Store, vault: Vault, name: str, by: str, now_us: int) -> Made:
    """Make a token. ``by`` is kept with it. Raises BadRequest, or Conflict where there are many."""
    called = names.clean_name(name, "the token's name")
    secret = keys.random_secret()
    with store.together():
        before = store.scim_tokens()
        if sum(each.revoked_at_us is None for each in before) >= GOOD_MAX:
            raise Conflict("there are too many SCIM tokens; revoke some", code="scim_tokens_full")
        token = ScimToken(_free_id(store), called, now_us, by)
        store.add_scim_token(token, _hashed(vault, secret))
    return Made(scim_tokens.build(token.token_id, secret), token)


def revoke(store: Store, token_id: str, now_us: int) -> ScimToken:
    """Revoke a token for good, and give it as it is now. Twice changes nothing.

    The whole text of a token is understood too. Raises NotFound.
    """
    parts = scim_tokens.parse(token_id)
    wanted = token_id if parts is None else parts.token_id
    with store.together():
        kept = store.scim_token(wanted) if wanted.isalnum() and wanted.isascii() else None
        if kept is None:
            raise NotFound("there is no such SCIM token", code="scim_token_not_found")
        store.revoke_scim_token(wanted, now_us)
    return kept.token._replace(revoked_at_us=kept.token.revoked_at_us or now_us)


def verify(store: Store, vault: Vault, text: str) -> ScimToken:
    """Give the token of this text. Raises KeyRejected for all that is none, or no good."""
    parts = scim_tokens.parse(text)
    if parts is None:
        raise KeyRejected(
            "this is no SCIM token; make one with: tollkeeper users scim-token NAME",
            code="scim_token_malformed",
        )
    kept = store.scim_token(parts.token_id)
    given = _hashed(vault, parts.secret)
    if kept is None or not hmac.compare_digest(kept.secret_hash, given):
        raise KeyRejected("no such SCIM token", code="scim_token_unknown")
    if kept.token.revoked_at_us is not None:
        raise KeyRejected("this SCIM token is revoked", code="scim_token_revoked")
    return kept.token


def _hashed(vault: Vault, secret: str) -> bytes:
    return vault.mac(secret.encode(), purpose=_PURPOSE)


def _free_id(store: Store) -> str:
    while True:
        token_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
        if store.scim_token(token_id) is None:
            return token_id
