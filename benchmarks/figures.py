"""The arithmetic of the benchmarks: medians, percentiles, targets and whether they are met."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Bound(StrEnum):
    """Which side of a target is the good one."""

    AT_LEAST = "≥"
    AT_MOST = "≤"
    BELOW = "<"


class Verdict(StrEnum):
    """What a figure says about its target."""

    MET = "met"
    MISSED = "MISSED"
    UNKNOWN = "not measured"


class Target(NamedTuple):
    """A figure, what it has to be, and what it was (None: it could not be measured)."""

    name: str
    measured: float | None
    bound: Bound
    limit: float
    unit: str = ""

    @property
    def verdict(self) -> Verdict:
        """Tell whether the target is met."""
        if self.measured is None or math.isnan(self.measured):
            return Verdict.UNKNOWN
        met = {
            Bound.AT_LEAST: self.measured >= self.limit,
            Bound.AT_MOST: self.measured <= self.limit,
            Bound.BELOW: self.measured < self.limit,
        }[self.bound]
        return Verdict.MET if met else Verdict.MISSED


def median(values: Sequence[float]) -> float | None:
    """Give the median, None of nothing."""
    return statistics.median(values) if values else None


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give the nearest-rank percentile; ``share`` is 0.99 for p99. None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, math.ceil(share * len(ordered)))
    return ordered[rank - 1]


def ratio(value: float | None, reference: float | None) -> float | None:
    """Divide, where both are known and the reference is not 0."""
    if value is None or not reference:
        return None
    return value / reference


def difference(value: float | None, reference: float | None) -> float | None:
    """Subtract, where both are known."""
    return None if value is None or reference is None else value - reference


def paired_median(
    values: Sequence[float], references: Sequence[float], *, relative: bool
) -> float | None:
    """Compare round by round, and give the median of the ratios (or differences).

    What disturbs a machine lasts longer than one round, so it mostly cancels out.
    """
    compare = ratio if relative else difference
    compared = [
        found
        for value, reference in zip(values, references, strict=False)
        if (found := compare(value, reference)) is not None
    ]
    return median(compared)


def number(value: float | None) -> str:
    """Write a number with about three digits that mean something."""
    if value is None or not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size >= 1_000:
        return f"{value:,.0f}"
    if size >= 100 or value == int(value):
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def spread(values: Sequence[float]) -> str:
    """Write the least and the greatest of some values."""
    return f"{number(min(values))} to {number(max(values))}" if values else "n/a"
