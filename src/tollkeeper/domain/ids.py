"""Ids that we mint: UUID version 7, so that they sort by time.

They name calls and ledger entries. They are not secrets, and are never taken from a
client's header. Layout: RFC 9562 section 5.7; within one millisecond the 12 bits after the
version count up, and the last 62 bits are drawn once for each mint.
"""

from __future__ import annotations

import random

_source = random.SystemRandom()


class IdMint:
    """Mints UUIDv7 texts that never repeat and never run backwards within one mint."""

    def __init__(self, mark: int | None = None) -> None:
        bits = _source.getrandbits(62) if mark is None else mark
        text = f"{1 << 63 | bits:016x}"
        self._tail = f"-{text[:4]}-{text[4:]}"
        self._ms = -1
        self._count = 0
        self._head = ""

    def next(self, now_ms: int) -> str:
        """Mint one id for a moment in milliseconds since the epoch."""
        self._count += 1
        if now_ms > self._ms or self._count > 0xFFF:
            self._ms = max(now_ms, self._ms + 1)
            self._count = 0
            text = f"{self._ms:012x}"
            self._head = f"{text[:8]}-{text[8:]}-7"
        return f"{self._head}{self._count:03x}{self._tail}"
