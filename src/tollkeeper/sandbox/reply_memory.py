"""Remembers replies, so that in benchmarks the sandbox costs little beside what it is asked."""

from __future__ import annotations

from typing import Final

from tollkeeper.sandbox.script import Script

BYTES_MAX: Final = 32 << 20
ONE_BYTES_MAX: Final = 4 << 20
KEYS_MAX: Final = 10_000


class ReplyMemory:
    """Replies to requests that were made before. It is emptied when it has grown too large."""

    def __init__(self) -> None:
        self._scripts: dict[tuple[int, bytes], Script] = {}
        self._size_bytes = 0
        self._keys: dict[object, int] = {}
        self._last_key = 0

    def key_of(self, deciding: object) -> int:
        """Give a small number for everything beside the body that decides a reply."""
        key = self._keys.get(deciding)
        if key is None:
            if len(self._keys) >= KEYS_MAX:
                self._keys.clear()
            key = self._last_key = self._last_key + 1
            self._keys[deciding] = key
        return key

    def find(self, key: int, body: bytes) -> Script | None:
        """Look a request up."""
        return self._scripts.get((key, body))

    def learn(self, key: int, body: bytes, script: Script) -> None:
        """Remember what a request was answered."""
        # A script holds the bytes of its reply twice: as they were made, and as they are sent.
        size_bytes = len(body) + 2 * sum(len(data) for data in script.writes)
        if size_bytes > ONE_BYTES_MAX:
            return
        if self._size_bytes + size_bytes > BYTES_MAX:
            self.forget()
        self._size_bytes += size_bytes
        self._scripts[key, body] = script

    def forget(self) -> None:
        """Forget all replies. The keys stay: they are never given out twice."""
        self._scripts.clear()
        self._size_bytes = 0
