"""The last publication, kept: it is of weeks that are over, and counting it reads all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Final, NamedTuple

from tollkeeper.domain.adoption import Publication
from tollkeeper.ports import Ledger, Membership
from tollkeeper.reports.adoption import publication, week_at

FRESH_US: Final = 1_200_000_000
"""How long a publication is shown: calls and people of the past may come in late."""


class _Kept(NamedTuple):
    week: int
    counted_at_us: int
    publication: Publication


class PublicationMemory:
    """Counts when it must, one at a time; whoever comes meanwhile waits for the same answer.

    ``memberships`` says who was in which team when.
    """

    def __init__(
        self,
        ledger: Ledger,
        org: str,
        memberships: Callable[[], Iterable[Membership]],
        zone: str,
        group_min: int,
    ) -> None:
        self._ledger, self._org, self._memberships = ledger, org, memberships
        self.zone, self.group_min = zone, group_min
        self._kept: _Kept | None = None
        self._lock = Lock()

    def publication(self, now_us: int, fresh_us: int = FRESH_US) -> Publication:
        """Give the publication of the last complete weeks, not older than ``fresh_us``."""
        week = week_at(now_us, self.zone)
        with self._lock:
            kept = self._kept
            if kept is None or kept.week != week or now_us - kept.counted_at_us >= fresh_us:
                found = publication(
                    *(self._ledger, self._org, self._memberships()),
                    *(self.zone, self.group_min, now_us),
                )
                self._kept = kept = _Kept(week, now_us, found)
            return kept.publication
