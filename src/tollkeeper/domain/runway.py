"""Runway: when something that is being spent will be spent, or why nobody can say."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from tollkeeper.domain.budget_windows import LATEST_US

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
HISTORY_PARTS: Final = 20
"""A pace is known after one of so many parts of the window: 5 %."""
HISTORY_US_MIN: Final = 5 * MINUTE_US
HISTORY_US_MAX: Final = DAY_US


class RunwayReason(enum.StrEnum):
    """Why there is no date, "" where there is one."""

    KNOWN = ""
    SPENT = "spent already"
    NOTHING_SPENT = "nothing is being spent"
    NOT_ENOUGH_HISTORY = "not enough history"
    BEYOND = "lasts longer than can be told"


class Runway(NamedTuple):
    """When it is spent at this pace.

    ``spent_at_us`` is None where ``reason`` says why. ``per_day`` is the pace in the balance's
    own unit, None where it is not known. ``is_breach`` tells that it is spent before the
    window ends; ``at_end`` is what will be spent by then, None where that is not known.
    """

    spent_at_us: int | None
    reason: RunwayReason
    per_day: int | None = None
    is_breach: bool = False
    at_end: int | None = None


def runway(
    *, spent: int, left: int, burnt: int, during_us: int, now_us: int, window_end_us: int
) -> Runway:
    """Say when ``left`` is spent, given that ``burnt`` was spent during the last ``during_us``.

    ``spent`` is what the window has spent so far.
    """
    window_ends = window_end_us < LATEST_US
    if during_us < HISTORY_US_MIN:
        reason = RunwayReason.SPENT if left <= 0 < spent else RunwayReason.NOT_ENOUGH_HISTORY
        return Runway(None, reason)
    per_day = burnt * DAY_US // during_us
    at_end = None
    if window_ends:
        at_end = spent + burnt * max(window_end_us - now_us, 0) // during_us
    if left <= 0:
        return Runway(None, RunwayReason.SPENT, per_day, window_ends, at_end)
    if burnt <= 0:
        return Runway(None, RunwayReason.NOTHING_SPENT, 0, False, at_end)
    spent_at_us = now_us + left * during_us // burnt
    if spent_at_us >= LATEST_US:
        return Runway(None, RunwayReason.BEYOND, per_day, False, at_end)
    breach = window_ends and spent_at_us < window_end_us
    return Runway(spent_at_us, RunwayReason.KNOWN, per_day, breach, at_end)


def history_needed_us(window_us: int) -> int:
    """Say how long a window must have run before its own pace says anything."""
    return min(max(window_us // HISTORY_PARTS, HISTORY_US_MIN), HISTORY_US_MAX)
