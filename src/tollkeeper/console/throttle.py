"""Delays that double with every failure of one name, in memory that is bounded.

A name that has failed a few times is forgotten before one that has failed often, so that
failing under ever new names makes nobody else's failures forgotten.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final, NamedTuple

NAMES_MAX: Final = 10_000
"""How many names are remembered that are not delayed yet, and again how many that are."""

_KEY_BYTES: Final = 16


class Pace(NamedTuple):
    """How somebody who fails is slowed down.

    The first ``free`` failures cost nothing. After that the delay is ``first_s`` and doubles
    with each failure, up to ``most_s``; after ``forget_s`` without a failure all is forgotten.
    """

    free: int
    first_s: float
    most_s: float
    forget_s: float


class _Failures(NamedTuple):
    times: int
    last_s: float


class Throttle:
    """Counts failures by name. Times are seconds of one clock that never steps back."""

    def __init__(self, pace: Pace, names_max: int = NAMES_MAX) -> None:
        self._pace = pace
        self._names_max = names_max
        # Each in the order of the last failure.
        self._free: OrderedDict[bytes, _Failures] = OrderedDict()
        self._delayed: OrderedDict[bytes, _Failures] = OrderedDict()

    def __len__(self) -> int:
        """Count the names that are remembered."""
        return len(self._free) + len(self._delayed)

    def wait_s(self, name: str, now_s: float) -> float:
        """Say how long a name has to wait; 0 for one that may try now."""
        failures = self._of(_key(name), now_s)
        return max(0.0, failures.last_s + self._delay_s(failures.times) - now_s)

    def failed(self, name: str, now_s: float) -> None:
        """Count a failure."""
        key = _key(name)
        count = self._of(key, now_s).times + 1
        self._forget(key)
        self._keep(key, _Failures(count, now_s))

    def take_back(self, name: str, now_s: float) -> None:
        """Count one failure less: what was counted as one was none."""
        key = _key(name)
        before = self._of(key, now_s)
        self._forget(key)
        if before.times > 1:
            self._keep(key, before._replace(times=before.times - 1))

    def forgive(self, name: str) -> None:
        """Forget a name's failures."""
        self._forget(_key(name))

    def _of(self, key: bytes, now_s: float) -> _Failures:
        found = self._delayed.get(key) or self._free.get(key)
        if found is None or now_s - found.last_s >= self._pace.forget_s:
            return _Failures(0, now_s)
        return found

    def _delay_s(self, count: int) -> float:
        beyond = count - self._pace.free
        if beyond < 0 or count == 0:
            return 0.0
        # Doubling is bounded before it is a number that no float holds.
        return min(self._pace.most_s, self._pace.first_s * 2.0 ** min(beyond, 60))

    def _keep(self, key: bytes, failures: _Failures) -> None:
        kept = self._free if failures.times < self._pace.free else self._delayed
        kept[key] = failures
        if len(kept) > self._names_max:
            kept.popitem(last=False)

    def _forget(self, key: bytes) -> None:
        self._free.pop(key, None)
        self._delayed.pop(key, None)


def _key(name: str) -> bytes:
    """Give what a name is remembered by: short, however long the name is."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()
