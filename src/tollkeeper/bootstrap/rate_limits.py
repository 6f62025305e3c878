"""The rate limits of the configuration file, for processes that only show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from tollkeeper.config import Configuration
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.rate_limits import RateRule


class FollowedRateLimits:
    """Gives the file's rate limits as they are now; while it has a fault, those before it."""

    def __init__(self, read: Callable[[], Configuration]) -> None:
        self._read = read
        self._rules: Sequence[RateRule] = ()

    def __call__(self) -> Sequence[RateRule]:
        """Read the file."""
        with suppress(ConfigError):  # the log says so, and the gateway keeps its rules too
            self._rules = self._read().rate_limits
        return self._rules
