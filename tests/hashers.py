"""A real hasher of passwords with small parameters, which counts what it does."""

from __future__ import annotations

from tollkeeper.storage.password_hashes import Argon2Hasher


class CountingHasher(Argon2Hasher):
    """Argon2id in 8 KiB, so that tests are quick. ``checked`` are the hashes it was asked about."""

    def __init__(self, memory_kib: int = 8, passes: int = 1) -> None:
        super().__init__(memory_kib, passes)
        self.made: list[str] = []
        self.checked: list[str] = []

    def hashed(self, secret: bytes) -> str:
        self.made.append(super().hashed(secret))
        return self.made[-1]

    def matches(self, encoded: str, secret: bytes) -> bool:
        self.checked.append(encoded)
        return super().matches(encoded, secret)
