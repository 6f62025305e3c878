"""The price book as the console needs it: it follows the configuration, as the gateway's does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.telemetry import logger


class FollowedPrices:
    """Holds the book of the configuration as it is now. ``read`` makes it anew."""

    def __init__(self, read: Callable[[], PriceBook], watched: Path | None) -> None:
        self.book = read()
        self._read = read
        self._watched = watched
        self._seen = self._mark()

    def follow(self) -> None:
        """Read the configuration again if its file has changed."""
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            self.read_again()

    def read_again(self) -> None:
        """Take over what the configuration says now; while it has a fault, nothing changes."""
        try:
            self.book = self._read()
        except (TollkeeperError, OSError) as error:
            logger.error("configuration not taken over", extra={"reason": str(error)})

    def _mark(self) -> tuple[int, int, int]:
        if self._watched is None:
            return (0, 0, 0)
        try:
            state = self._watched.stat()
        except OSError:
            return (0, 0, 0)
        return (state.st_mtime_ns, state.st_size, state.st_ino)
