"""A provider's signing keys, remembered by their ids, and asked for again seldom.

Whoever sends tokens with made-up key ids must not make us ask the provider each time.
"""

from __future__ import annotations

import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from tollkeeper.domain.oidc import ProviderFailed
from tollkeeper.sso.asking import Asker

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures with a key pair. Never ``none``, and never a secret that both sides know: a public
key could be taken for one."""

FRESH_S: Final = 3_600.0
REFRESH_S: Final = 30.0
"""How often keys are asked for at most because one is not known."""

RETRY_S: Final = 5.0
KEYS_MAX: Final = 50
RSA_BITS_MIN: Final = 2_048
WHAT: Final = "signing keys"
_CURVES: Final[Mapping[str, str]] = {"ES256": "P-256", "EdDSA": "Ed25519"}


class SigningKey(NamedTuple):
    """One key. ``algorithm`` is "" where the provider does not say which one it is for."""

    key_id: str
    algorithm: str
    key: Key


class SigningKeys:
    """The keys of one provider. Safe to use from several threads."""

    def __init__(self, asker: Asker, monotonic_s: Callable[[], float]) -> None:
        self._asker = asker
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        self._known: list[SigningKey] | None = None
        self._failed: ProviderFailed | None = None
        self._at_s = 0.0

    def fitting(self, url: str, key_id: str, algorithm: str) -> list[Key]:
        """Give the keys that may have signed; without an id all that fit the algorithm.

        Raises ProviderFailed when there are none at hand and the provider gives none.
        """
        with self._lock:
            age_s = self._now_s() - self._at_s
            if self._known is None or age_s >= FRESH_S:
                self._refresh(url, age_s)
                age_s = 0.0
            found = self._found(key_id, algorithm)
            if not found and age_s >= REFRESH_S:
                self._refresh(url, age_s)
                found = self._found(key_id, algorithm)
            return found

    def _found(self, key_id: str, algorithm: str) -> list[Key]:
        return [
            each.key
            for each in self._known or ()
            if (not key_id or each.key_id == key_id)
            and each.algorithm in {"", algorithm}
            and _fits(each.key, algorithm)
        ]

    def _refresh(self, url: str, age_s: float) -> None:
        if self._failed is not None and age_s < RETRY_S:
            raise self._failed.with_traceback(None)
        try:
            self._known, self._failed = self._read(url), None
        except ProviderFailed as error:
            self._known, self._failed = None, error
            raise
        finally:
            self._at_s = self._now_s()

    def _read(self, url: str) -> list[SigningKey]:
        listed = self._asker.get(WHAT, url).get("keys")
        if not isinstance(listed, list):
            raise self._asker.failed(WHAT, "are no list")
        found = list(_usable(listed[:KEYS_MAX]))
        if not found:
            raise self._asker.failed(WHAT, f"none is for {', '.join(ALGORITHMS)}")
        return found


def _usable(listed: Iterable[object]) -> Iterable[SigningKey]:
    """Give the keys that are for signatures; others of a set are none of our business."""
    for each in listed:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        algorithm = each.get("alg", "")
        if algorithm and algorithm not in ALGORITHMS:
            continue
        if each.get("kty") == "RSA" and not _is_long_enough(each.get("n")):
            continue
        try:
            key = import_key(_public(each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if any(_fits(key, name) for name in ALGORITHMS):
            yield SigningKey(str(each.get("kid", "")), algorithm, key)


def _is_long_enough(modulus: object) -> bool:
    if not isinstance(modulus, str):
        return False
    try:
        number = int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4)))
    except ValueError:
        return False
    return number.bit_length() >= RSA_BITS_MIN


def _public(said: Mapping[str, Any]) -> dict[str, Any]:
    """Give the public numbers alone: what else a key says of itself was looked at."""
    return {name: said[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in said}


def _fits(key: Key, algorithm: str) -> bool:
    match key:
        case RSAKey():
            return algorithm in {"RS256", "PS256"}
        case ECKey() | OKPKey():
            return _CURVES.get(algorithm) == key.curve_name
    return False
