"""Remembers the prefixes of prompts, as providers do that bill what they need not read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.sandbox.asked import Caching, Mark, Size, size_of

PREFIXES_MAX: Final = 50_000
_FINGERPRINT_BYTES: Final = 16


class CacheUse(NamedTuple):
    """Tokens of one prompt that came from the cache, and that were written to it."""

    read: int = 0
    written: int = 0
    written_1h: int = 0


class PromptCache:
    """The prefixes that were seen; the oldest go first when there are too many."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}

    def use(self, caching: Caching) -> CacheUse:
        """Look a prompt up, and remember it."""
        marks = caching.marks
        known = [mark.tokens for mark in marks if mark.fingerprint in self._seen]
        read = max(known, default=0)
        if read < caching.min_tokens:
            read = 0
        read -= read % caching.step_tokens
        written = written_1h = 0
        reached = read
        for mark in marks:
            if caching.bills_writes and mark.tokens > reached:
                if mark.an_hour:
                    written_1h += mark.tokens - reached
                else:
                    written += mark.tokens - reached
                reached = mark.tokens
        for mark in marks:
            self._remember(mark)
        return CacheUse(read, written, written_1h)

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()

    def _remember(self, mark: Mark) -> None:
        self._seen.pop(mark.fingerprint, None)  # used again: it becomes the youngest
        self._seen[mark.fingerprint] = None
        if len(self._seen) > PREFIXES_MAX:
            del self._seen[next(iter(self._seen))]


def prefixes(start: str, blocks: Iterable[Any]) -> Iterator[Mark]:
    """Give the prefix that ends with each block of a prompt.

    ``start`` is what a prefix is only valid for: the model, and whose cache it is.
    """
    running = blake2b(start.encode("utf-8", "replace"), digest_size=_FINGERPRINT_BYTES)
    size = Size()
    for block in blocks:
        running.update(msgspec.json.encode(block))
        size = size.plus(size_of(block))
        yield Mark(running.copy().digest(), sum(size.weight))
