"""Shared cost: what is for everybody is split over teams, to the nano-dollar."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

NO_WEIGHTS: Mapping[str, int] = {}


class Split(enum.StrEnum):
    """By what shared cost is split over teams."""

    USAGE = "usage"  # by what each team's own calls cost in the month
    EVEN = "even"  # the same for each team that used anything in the month
    FIXED = "fixed"  # by weights that were agreed


class Sharing(NamedTuple):
    """What is shared, and how. Cost of no team is always shared.

    ``teams`` are names of teams whose cost is everybody's, ``tags`` pairs of a tag's key and
    value that mark such calls of any team. ``weights`` are for ``Split.FIXED``.
    """

    split: Split = Split.USAGE
    teams: frozenset[str] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()
    weights: Mapping[str, int] = NO_WEIGHTS


def placed(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Split a whole amount by weights so that the parts add up to it exactly.

    Every part is its exact share rounded towards zero; what is left over goes, one by one, to
    the parts that lost most by it, among equals by name. Names without a weight get nothing
    and are left out. Raises ValueError where no weight is above zero.
    """
    parties = {name: weight for name, weight in sorted(weights.items()) if weight > 0}
    whole = sum(parties.values())
    if not whole:
        raise ValueError("there is nobody to split it over")
    sign, size = (-1, -amount) if amount < 0 else (1, amount)
    parts = {name: divmod(size * weight, whole) for name, weight in parties.items()}
    left = size - sum(part for part, _ in parts.values())
    first = sorted(parts, key=lambda name: -parts[name][1])[:left]
    return {name: sign * (part + (name in first)) for name, (part, _) in parts.items()}
