"""Ids that we mint: UUID version 7, so that they sort by time.

They name calls and ledger entries; they are not secrets, so the random part may come
from a seeded generator. Nothing here is ever taken from a client's header.
Layout: RFC 9562 section 5.7.
"""

from __future__ import annotations

import random

_source = random.SystemRandom()


class IdMint:
    """Mints UUIDv7 texts that never repeat and never run backwards within one mint."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(_source.getrandbits(128) if seed is None else seed)  # noqa: S311 - not a secret
        self._last_ms = -1
        self._sequence = 0

    def next(self, now_ms: int) -> str:
        """Mint one id for a moment in milliseconds since the epoch."""
        if now_ms > self._last_ms:
            self._last_ms = now_ms
            self._sequence = self._random.getrandbits(10)
        else:
            self._sequence += 1
            if self._sequence > 0xFFF:
                self._last_ms += 1
                self._sequence = 0
        text = (
            f"{self._last_ms:012x}7{self._sequence:03x}"
            f"{0x8000000000000000 | self._random.getrandbits(62):016x}"
        )
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
