"""Hashes of passwords: argon2id, as strong as OWASP asks and as light as that allows."""

from __future__ import annotations

from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
_HASH_BYTES: Final = 32
_SALT_BYTES: Final = 16


class Argon2Hasher:
    """Hashes with argon2id. Each call takes 19 MiB and some hundredths of a second of one core."""

    def __init__(
        self, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=passes,
            memory_cost=memory_kib,
            parallelism=lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=argon2.Type.ID,
        )
        # The last part is no hash of anything that is known, and checking against it takes as
        # long as checking against any other.
        salt, nothing = "A" * (_SALT_BYTES * 4 // 3 + 1), "A" * (_HASH_BYTES * 4 // 3 + 1)
        self.nobody = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${nothing}"

    def hashed(self, secret: bytes) -> str:
        """Give the hash under a new salt, with its parameters, as ``$argon2id$v=19$…``."""
        return self._argon2.hash(secret)

    def matches(self, encoded: str, secret: bytes) -> bool:
        """Tell whether this was hashed; False also for what is no hash at all."""
        try:
            return self._argon2.verify(encoded, secret)
        except (VerificationError, InvalidHashError):
            return False

    def is_current(self, encoded: str) -> bool:
        """Tell whether a hash has the parameters of today."""
        return not self._argon2.check_needs_rehash(encoded)
