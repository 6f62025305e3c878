"""The price book as running processes need it: it follows what was fetched and configured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tollkeeper.config import DEFAULT_FILE, Configuration
from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.ports import DataFolder
from tollkeeper.providers.price_data import fetched_mark, newest_price_book
from tollkeeper.runtime import FileMark, file_mark
from tollkeeper.services.price_terms import Terms
from tollkeeper.telemetry import logger


def newest_book(data: DataFolder) -> PriceBook:
    """Give the newest book; the log says so where a fetched one cannot be used."""
    newest = newest_price_book(data)
    if newest.fault:
        logger.error("the price book of this release is used", extra={"reason": newest.fault})
    return newest.book


def followed_files(configuration: Configuration, data: DataFolder) -> list[Path]:
    """Give the files on whose change prices are read again, those included that may come."""
    return [configuration.file or Path(DEFAULT_FILE), fetched_mark(data)]


class FollowedPrices:
    """Holds what decides prices by the configuration as it is now. ``read`` makes it anew.

    ``rules`` gives what else it is made of: the price rules of the store.
    """

    def __init__(
        self,
        read: Callable[[], Terms],
        watched: Sequence[Path],
        rules: Callable[[], object],
    ) -> None:
        self.terms = read()
        self._read = read
        self._watched = watched
        self._rules = rules
        self._seen = self._marks()

    @property
    def book(self) -> PriceBook:
        """Give the price book."""
        return self.terms.book

    def follow(self) -> None:
        """Read everything again if a file or a rule has changed."""
        try:
            marks = self._marks()
        except OSError:
            return  # the store cannot be read now: health says so, and the book stays
        if marks != self._seen:
            self._seen = marks
            self.read_again()

    def read_again(self) -> None:
        """Take over what the files say now; while one has a fault, nothing changes."""
        try:
            self.terms = self._read()
        except (TollkeeperError, OSError) as error:
            logger.error("configuration not taken over", extra={"reason": str(error)})

    def _marks(self) -> tuple[tuple[FileMark, ...], object]:
        return tuple(file_mark(path) for path in self._watched), self._rules()
