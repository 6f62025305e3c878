"""Remembers which tokens were verified, so that a busy key is hashed once, not on every call."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.access import KeyKind, VirtualKey
from tollkeeper.ports import KeyDirectory, Vault
from tollkeeper.services import keys

TOKENS_MAX: Final = 20_000


class VerifiedKeys:
    """Verifies tokens for one gateway.

    A token counts as verified only while the directory still holds the very key that it was
    checked against: what the directory forgets, because it changed, is checked again.
    Whole tokens are compared, never parts of them. A token with the secret before the last
    rotation is not remembered: it is good for a while only.
    """

    def __init__(self, directory: KeyDirectory, vault: Vault, tokens_max: int = TOKENS_MAX) -> None:
        self._directory = directory
        self._vault = vault
        self._tokens_max = tokens_max
        self._verified: dict[str, VirtualKey] = {}

    def known(self, token: str, now_us: int, kind: KeyKind = KeyKind.VIRTUAL) -> VirtualKey | None:
        """Verify from memory; None when the store must be asked. Raises as ``keys.verify``."""
        key = self._verified.get(token)
        if key is not None and self._directory.known(key.key_id) is key and key.kind is kind:
            key.require_usable(now_us)
            return key
        found = keys.verify_known(token, self._directory, self._vault, now_us, kind)
        return None if found is None else self._remember(token, found)

    async def verify(self, token: str, now_us: int, kind: KeyKind = KeyKind.VIRTUAL) -> VirtualKey:
        """Verify, asking the store where memory cannot tell. Raises as ``keys.verify``."""
        found = await keys.verify(token, self._directory, self._vault, now_us, kind)
        return self._remember(token, found)

    def _remember(self, token: str, key: VirtualKey) -> VirtualKey:
        if key.earlier_hmac and not keys.is_latest_secret(token, key, self._vault):
            return key
        if len(self._verified) >= self._tokens_max:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = key
        return key
