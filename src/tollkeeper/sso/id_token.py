"""Checks an ID token: its signature, and everything that binds it to this sign-in here."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from authlib.oidc.core import CodeIDToken
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel

from tollkeeper.domain.oidc import SUBJECT_CHARS_MAX, OidcProvider
from tollkeeper.sso.signing_keys import ALGORITHMS, SigningKeys

SKEW_S: Final = 60
"""How far the provider's clock and ours may be apart."""

AGE_MAX_S: Final = 600
"""How long before now a token may have been made: it is fetched as soon as it is."""

TOKEN_CHARS_MAX: Final = 64 << 10
_KEYS_TRIED_MAX: Final = 8
_TYPES: Final = frozenset({"", "jwt", "application/jwt"})


class TokenRejected(Exception):
    """A token does not stand its checks. The text says which one, for the log."""


class _Registry(jws.JWSRegistry):
    """The algorithms that are allowed here. The library warns of the name EdDSA (RFC 9864), by
    which providers go on calling what they sign with."""

    max_header_length = 8 << 10

    def get_alg(self, name: str) -> JWSAlgModel:
        """Give one algorithm."""
        if name not in ALGORITHMS or name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"{name} is not allowed")
        return self.algorithms[name]


class Expected(NamedTuple):
    """What a token has to fit. ``keys_url`` is where the provider's keys are."""

    provider: OidcProvider
    nonce: str
    access_token: str
    keys_url: str
    now_us: int


def claims_of(token: str, expected: Expected, keys: SigningKeys) -> dict[str, Any]:
    """Give the claims of a good token. Raises TokenRejected, or ProviderFailed for the keys."""
    header = _header(token)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise TokenRejected(f"algorithm {str(algorithm)[:20]!r} is not allowed")
    if str(header.get("typ", "")).lower() not in _TYPES or "crit" in header:
        raise TokenRejected("this kind of token is not an ID token")
    key_id = header.get("kid", "")
    if not isinstance(key_id, str):
        raise TokenRejected("the key's id is no text")
    claims = _signed(token, algorithm, keys.fitting(expected.keys_url, key_id, algorithm))
    _require_ours(claims, header, expected)
    return claims


def _header(token: str) -> dict[str, Any]:
    if len(token) > TOKEN_CHARS_MAX or token.count(".") != 2 or not token.isascii():
        raise TokenRejected("is no signed token")
    head = token.partition(".")[0]
    try:
        found = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise TokenRejected("is no signed token")
    return found


def _signed(token: str, algorithm: str, keys: list[Any]) -> dict[str, Any]:
    if not keys:
        raise TokenRejected("no key of the provider's has this id and is for this algorithm")
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    for key in keys[:_KEYS_TRIED_MAX]:
        try:
            found = json.loads(jws.deserialize_compact(token, key, registry=registry).payload)
        except (JoseError, ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    raise TokenRejected("the signature is not good")


def _require_ours(claims: dict[str, Any], header: Mapping[str, Any], expected: Expected) -> None:
    """Raise TokenRejected unless a signed token was made now, by this provider, for us."""
    provider, now_s = expected.provider, expected.now_us // 1_000_000
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        if value is None and name == "nbf":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TokenRejected(f"{name} is no time")
    issued_s = claims["iat"]
    if not now_s - AGE_MAX_S - SKEW_S <= issued_s <= now_s + SKEW_S:
        raise TokenRejected("it was not issued just now")
    audiences = claims.get("aud")
    several = audiences if isinstance(audiences, list) else [audiences]
    if provider.client_id not in several or not all(isinstance(it, str) for it in several):
        raise TokenRejected("it is for somebody else (aud)")
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise TokenRejected("somebody else asked for it (azp)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        raise TokenRejected("it names no subject")
    if claims.get("iss") != provider.issuer:
        raise TokenRejected("it is of another issuer (iss)")
    if not isinstance(claims.get("nonce"), str) or not expected.nonce:
        raise TokenRejected("it has no nonce")
    half_hash = claims.get("at_hash")
    if "at_hash" in claims and not (isinstance(half_hash, str) and half_hash):
        raise TokenRejected("at_hash is no text")
    params = {
        "client_id": provider.client_id,
        "nonce": expected.nonce,
        "access_token": expected.access_token,
    }
    try:
        CodeIDToken(claims, dict(header), {}, params).validate(now_s, SKEW_S)
    except (JoseError, ValueError, TypeError) as error:
        told = getattr(error, "claim", "") or type(error).__name__
        raise TokenRejected(f"a claim is not good: {told}") from None
