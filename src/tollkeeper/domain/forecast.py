"""Where a month will end: what was spent, and what its other days will usually come to.

Each day that is left is taken to cost what its day of the week lately did, scaled to the level of
the last weeks, with the trend between them continued, damped. A day far above its like counts
as the most that is usual: what ran wild once is not expected again.

How far this may be off is what the same method has missed by before: it is asked for every
recent day as if that were today, with as many days to go, and compared with what came. The band
holds ``COVERED`` of these tries, so it is as wide as the method missed.

Money is whole nano-dollars. Levels and ratios are floats inside, and are rounded once, when they
become money again.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from statistics import median
from typing import Final, NamedTuple

WEEK: Final = 7
DAYS_MIN: Final = 14
"""So many full days have to be known before anything is said."""

PROFILE_DAYS: Final = 56
LEVEL_DAYS: Final = 28
TREND_DAYS: Final = 56
DAMPING: Final = 0.5
GROWTH_MAX: Final = 1.25  # of the level from one week to the next, either way
WILD_TIMES: Final = 3
ORIGINS_MIN: Final = 14
"""A band needs so many days on which the method could have been asked before."""

COVERED: Final = 0.88
"""So large a part of the tries lies within the band. Tries on neighbouring days have most of their
days in common and count for less than their number, so what comes lies in it about four times
of five (measured: docs/forecast.md)."""

HISTORY_DAYS: Final = 119
"""So many days back are looked at: enough to try the method on them with a month to go."""

_WEEKEND: Final = 5
_SHARE: Final = Decimal("0.000001")


class Day(NamedTuple):
    """One local day. ``early_nanos`` is what of it was spent by the time of day that it is now, by
    the quarter-hour: of the one that the clock is in, the part that has passed."""

    weekday: int  # Monday is 0
    cost_nanos: int
    early_nanos: int


class Expected(NamedTuple):
    """What is expected of one day: of today what is left of it, of a later day all of it.

    ``low_nanos`` and ``high_nanos`` are its part of the month's band, None where there is none. All
    days together come to the band; one day alone varies by more.
    """

    nanos: int
    low_nanos: int | None = None
    high_nanos: int | None = None


class State(enum.StrEnum):
    """Whether there is a forecast."""

    KNOWN = "known"
    NO_BAND = "no_band"  # a number, but too little history to say how far it may be off
    NOT_ENOUGH_HISTORY = "not_enough_history"
    NOTHING_SPENT = "nothing_spent"


class Forecast(NamedTuple):
    """What a month will come to.

    ``end_nanos`` and the band are None where ``state`` says why. ``history_days`` are the full
    days that were known, of ``needed_days``; ``origins`` is how often the method was tried on
    the past for the band, and ``missed_share`` by how much it usually missed what was left.
    ``days`` are today and the days that are left; with what was spent they come to the end.
    """

    state: State
    so_far_nanos: int
    end_nanos: int | None = None
    low_nanos: int | None = None
    high_nanos: int | None = None
    history_days: int = 0
    needed_days: int = DAYS_MIN
    origins: int = 0
    missed_share: Decimal | None = None
    days: tuple[Expected, ...] = ()


def forecast_of(past: Sequence[Day], today: Day, so_far_nanos: int, days_left: int) -> Forecast:
    """Say where a month will end.

    ``past`` are the full days known, without gaps, the oldest first and yesterday last; of
    ``today`` only its day of the week matters. ``so_far_nanos`` is all of the month until now,
    and ``days_left`` how many days follow today.
    """
    known = len(past)
    if known < DAYS_MIN:
        return Forecast(State.NOT_ENOUGH_HISTORY, so_far_nanos, history_days=known)
    if not any(day.cost_nanos > 0 for day in past[-PROFILE_DAYS:]):
        return Forecast(State.NOTHING_SPENT, so_far_nanos, so_far_nanos, history_days=known)
    parts = _expected(past, today.weekday, days_left)
    rest = _sum(parts)
    end_nanos = so_far_nanos + round(rest)
    tries = _tries(past, days_left)
    if len(tries) < ORIGINS_MIN:
        return Forecast(
            *(State.NO_BAND, so_far_nanos, end_nanos),
            history_days=known,
            origins=len(tries),
            days=tuple(map(Expected, _shared(parts, round(rest)))),
        )
    low, high = band_of(rest, tries)
    bounds = [_shared(parts, round(total)) for total in (rest, low, high)]
    misses = [abs(came / expected - 1) for expected, came in tries if expected >= 1]
    return Forecast(
        State.KNOWN,
        so_far_nanos,
        end_nanos,
        so_far_nanos + round(low),
        so_far_nanos + round(high),
        history_days=known,
        origins=len(tries),
        missed_share=Decimal(median(misses)).quantize(_SHARE) if rest >= 1 and misses else None,
        days=tuple(map(Expected, *bounds)),
    )


def rest_of(past: Sequence[Day], weekday: int, days_left: int) -> float:
    """Expect what the rest of a day and the days after it will cost, in nano-dollars.

    ``past`` are the full days before that day, at least ``DAYS_MIN``.
    """
    return _sum(_expected(past, weekday, days_left))


def _expected(past: Sequence[Day], weekday: int, days_left: int) -> list[float]:
    """Expect what the rest of a day will cost, and each of the days after it."""
    lately = list(past[-PROFILE_DAYS:])
    costs = _tamed(lately)
    level, growth = _level(costs), _growth(costs)
    if level <= 0:
        return [0.0] * (days_left + 1)
    profile = _profile(lately, costs)
    middle = (_whole_weeks(costs, LEVEL_DAYS) + 1) / 2  # the level is that of so many days ago
    expected: list[float] = [
        level * profile[(weekday + ahead) % WEEK] * growth ** ((middle + ahead / 2) / WEEK)
        for ahead in range(days_left + 1)
    ]
    return [expected[0] * _share_to_come(lately, weekday), *expected[1:]]


def _sum(parts: Sequence[float]) -> float:
    return parts[0] + sum(parts[1:])


def _shared(parts: Sequence[float], total: int) -> list[int]:
    """Share an amount over days like what is expected of them, evenly where nothing is."""
    whole = sum(parts)
    weights = parts if whole > 0 else [1.0] * len(parts)
    scale = total / sum(weights)
    edges = [min(round(edge * scale), total) for edge in accumulate(weights)]
    return [after - before for before, after in pairwise([0, *edges[:-1], total])]


def band_of(rest: float, tries: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Give the range around what is expected, by what past tries ``(expected, came)`` missed.

    Misses are parts of what was expected; where nothing is, what came all the same counts.
    """
    cut = (1 - COVERED) / 2
    if rest <= 0:
        return 0.0, _quantile(sorted(came for _, came in tries), 1 - cut)
    ratios = sorted(came / expected for expected, came in tries if expected > 0) or [1.0]
    return rest * min(_quantile(ratios, cut), 1.0), rest * max(_quantile(ratios, 1 - cut), 1.0)


def _tries(past: Sequence[Day], days_left: int) -> list[tuple[float, float]]:
    """Ask on each past day: what would have been expected of the days to go, and what came."""
    found = []
    for origin in range(DAYS_MIN, len(past) - days_left):
        day = past[origin]
        after = past[origin + 1 : origin + 1 + days_left]
        came = day.cost_nanos - day.early_nanos + sum(each.cost_nanos for each in after)
        found.append((rest_of(past[:origin], day.weekday, days_left), float(max(came, 0))))
    return found


def _quantile(ordered: Sequence[float], part: float) -> float:
    """Give the value that so large a part of some values lies below, between two neighbours."""
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _tamed(days: Sequence[Day]) -> list[float]:
    """Give the costs, where one far above its like counts as the most that is usual."""
    costs: dict[int, list[int]] = {}
    for day in days:
        costs.setdefault(day.weekday, []).append(max(day.cost_nanos, 0))
    caps = {weekday: WILD_TIMES * median(some) for weekday, some in costs.items()}
    return [
        float(min(cost, cap)) if (cap := caps[day.weekday]) > 0 else float(cost)
        for day in days
        for cost in (max(day.cost_nanos, 0),)
    ]


def _whole_weeks(costs: Sequence[float], most: int) -> int:
    return min(most, len(costs)) // WEEK * WEEK


def _level(costs: Sequence[float]) -> float:
    """Give the mean of a day over the last whole weeks."""
    count = _whole_weeks(costs, LEVEL_DAYS)
    return sum(costs[-count:]) / count


def _growth(costs: Sequence[float]) -> float:
    """Give by what the level grows in a week, damped and within bounds; 1 where it is not known."""
    count = min(TREND_DAYS, len(costs)) // (2 * WEEK) * WEEK
    before, after = sum(costs[-2 * count : -count]), sum(costs[-count:])
    if before <= 0 or after <= 0:
        return 1.0
    weekly: float = (after / before) ** (WEEK / count)
    damped: float = min(max(weekly, 1 / GROWTH_MAX), GROWTH_MAX) ** DAMPING
    return damped


def _profile(days: Sequence[Day], costs: Sequence[float]) -> list[float]:
    """Give what each day of the week costs, as a part of the mean day."""
    count = _whole_weeks(costs, PROFILE_DAYS)
    sums = [0.0] * WEEK
    for day, cost in zip(days[-count:], costs[-count:], strict=True):
        sums[day.weekday] += cost
    mean = sum(sums) / WEEK
    return [each / mean for each in sums] if mean > 0 else [1.0] * WEEK


def _share_to_come(days: Sequence[Day], weekday: int) -> float:
    """Give which part of a day like this usually comes after the time of day that it is now."""
    alike = [day for day in days if (day.weekday >= _WEEKEND) == (weekday >= _WEEKEND)]
    whole = sum(day.cost_nanos for day in alike)
    early = sum(day.early_nanos for day in alike)
    return min(max(1 - early / whole, 0.0), 1.0) if whole > 0 else 0.0
