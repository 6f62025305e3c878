"""Chance for a made-up company: seeded, and quick enough for millions of calls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import exp, log
from random import Random
from typing import Final, Generic, TypeVar

_DRAWN: Final = 12  # 2^12 draws of a normal distribution are kept, and drawn from
_CHOICE = TypeVar("_CHOICE")


class Dice:
    """Draws numbers. The same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.chance = self._random.random
        self.bits = self._random.getrandbits
        self.between = self._random.uniform
        self._normal = [self._random.gauss(0, 1) for _ in range(1 << _DRAWN)]

    def size(self, median: float, spread: float) -> int:
        """Draw a size around a median, at least 1; ``spread`` is the sigma of its logarithm."""
        return max(1, int(median * exp(spread * self._normal[self.bits(_DRAWN)])))

    def below(self, end: int) -> int:
        """Draw a whole number from 0 to before ``end``."""
        return int(self.chance() * end)

    def turns(self, mean: float) -> int:
        """Draw how often something goes on, at least once."""
        if mean <= 1:
            return 1
        return 1 + int(log(1 - self.chance()) / log(1 - 1 / mean))


class Choices(Generic[_CHOICE]):
    """Things to choose from by weight."""

    def __init__(self, things: Sequence[_CHOICE], weights: Sequence[float]) -> None:
        self._things = things
        self._sums = list(accumulate(weights))
        self.total = self._sums[-1] if self._sums else 0.0

    def one(self, dice: Dice) -> _CHOICE:
        """Choose one. There must be some."""
        return self._things[_place(self._sums, dice.chance() * self.total)]


def _place(sums: Sequence[float], point: float) -> int:
    low, high = 0, len(sums) - 1
    while low < high:
        middle = (low + high) // 2
        if point < sums[middle]:
            high = middle
        else:
            low = middle + 1
    return low
