"""What people may issue by the configuration file, for processes that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from tollkeeper.config import Configuration
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.self_service import SelfService


class FollowedSelfService:
    """Gives the file's bounds as they are now; while it has a fault, those before it.

    It begins with those of the start, so that a fault never means that there are none.
    """

    def __init__(self, first: Sequence[SelfService], read: Callable[[], Configuration]) -> None:
        self._read = read
        self._rules = first

    def __call__(self) -> Sequence[SelfService]:
        """Read the file."""
        with suppress(ConfigError):  # the log says so
            self._rules = self._read().self_service
        return self._rules
