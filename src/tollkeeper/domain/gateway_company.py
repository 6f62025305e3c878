"""Which gateways share a store at the moment, and what part of a limit each of them has.

Every gateway says again and again that it is there. Whether another one still is, each judges by
its own clock: by whether what that one said has changed lately, never by what time it said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

BEAT_S: Final = 2.0
"""So often a gateway says that it is there."""
GONE_S: Final = 10.0
"""One that has said nothing new for so long is taken for gone."""
COUNTS_S: Final = 60.0
"""So long a gateway that is gone keeps its part: what it let through still counts."""

_US_PER_S: Final = 1_000_000


class Beat(NamedTuple):
    """What a gateway said last: a time of its own clock."""

    gateway: str
    seen_at_us: int


class Share(NamedTuple):
    """Which of so many ``gateways`` this is, from 0 on."""

    rank: int = 0
    gateways: int = 1

    def of(self, limit: int) -> int:
        """Give this gateway's part of a limit. All parts are the limit, unless it is smaller
        than there are gateways: each lets at least one through, or some would let none.
        """
        part, rest = divmod(limit, self.gateways)
        return max(1, part + (self.rank < rest))


WHOLE: Final = Share()


class Company:
    """The gateways of one store, as the one called ``own`` sees them. Times are monotonic."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._said: dict[str, tuple[int, float]] = {}
        self._counted: deque[tuple[float, int]] = deque()  # until when, and how many
        self._is_first = True

    def heard(self, beats: Iterable[Beat], now_us: int, now_s: float) -> Share:
        """Take in what all of them said last, and give the share from now on.

        A gateway that has come counts at once; one that is gone counts for a minute more.
        """
        said: dict[str, tuple[int, float]] = {}
        for gateway, seen_at_us in beats:
            known = self._said.get(gateway)
            if known is None and self._is_first:
                # Nobody knows whether it will say more: by this clock it said it so long ago.
                ago_s = max((now_us - seen_at_us) / _US_PER_S, 0.0)
                said[gateway] = (seen_at_us, now_s - ago_s)
            elif known is None or known[0] != seen_at_us:
                said[gateway] = (seen_at_us, now_s)
            else:
                said[gateway] = known
        self._said, self._is_first = said, False
        living = {self._own, *(it for it, (_, at_s) in said.items() if now_s - at_s < GONE_S)}
        return Share(sorted(living).index(self._own), self._most(len(living), now_s))

    def _most(self, living: int, now_s: float) -> int:
        """Give the most that there were in the last minute."""
        counted = self._counted
        if counted:
            counted[-1] = (now_s, counted[-1][1])  # so many there were until now
        while counted and now_s - counted[0][0] >= COUNTS_S:
            counted.popleft()
        while counted and counted[-1][1] <= living:
            counted.pop()
        counted.append((now_s, living))
        return counted[0][1]
