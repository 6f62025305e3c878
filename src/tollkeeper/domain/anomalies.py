"""Rules that compare with what is usual: how each decides, and when it cannot tell.

"Not enough history" is an answer: a rule that has none says so instead of staying silent.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.money import NANOS_PER_USD

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
HISTORY_DAYS: Final = 28

LIKE_HOURS_MIN: Final = 6
DAYS_MIN: Final = 7
DAY_TIMES: Final = 2
ERROR_PERCENT: Final = 20
ERROR_TIMES: Final = 3
ERROR_REQUESTS_MIN: Final = 20
ERROR_HISTORY_MIN: Final = 200
LATENCY_TIMES: Final = 2
LATENCY_MORE_MS: Final = 1_000
LATENCY_REQUESTS_MIN: Final = 30
LATENCY_HISTORY_MIN: Final = 300
TOOL_CALLS_MIN: Final = 20
TOOL_KNOWN_US: Final = 3 * DAY_US

_PERCENT: Final = 100
_SPREAD_PART: Final = 10  # hours that are all alike differ by a tenth all the same
_WEEKEND: Final = 5


class AnomalyRule(enum.StrEnum):
    """The rules, by the words that the configuration has for them."""

    SPEND_HOUR = "spend_hour"
    SPEND_DAY = "spend_day"
    PROJECTED = "projected"
    ERROR_RATE = "error_rate"
    LATENCY = "latency_p95"
    NEW_TOOL = "new_tool"

    __hash__ = str.__hash__


RULES: Final = tuple(map(str, AnomalyRule))


class Verdict(NamedTuple):
    """What a rule finds. ``value`` is held against ``limit``, both in the rule's own unit.

    ``missing`` says what a rule that cannot tell would need, "" where it can.
    """

    is_hit: bool
    value: int = 0
    limit: int = 0
    missing: str = ""


class HourSums(NamedTuple):
    """One hour of calls. ``cost_nanos`` leaves out what has no price."""

    cost_nanos: int = 0
    requests: int = 0
    errors: int = 0


class Latency(NamedTuple):
    """The 95th percentile of some requests, None without any, and how many there were."""

    p95_ms: int | None
    requests: int


class ToolUse(NamedTuple):
    """A tool that a key is used with, since ``since_us``. ``calls_before`` counts the key's calls
    with other tools; ``key_since_us`` is its first call of all."""

    key_id: str
    key_name: str
    tool: str
    since_us: int
    key_since_us: int
    calls_before: int


class Usual(NamedTuple):
    """What the ledger says of the last weeks.

    ``hours`` has the sums of hours by their beginning, of each team and, under "", of all.
    ``since_us`` says when each of them was first used.
    """

    hours: Mapping[str, Mapping[int, HourSums]]
    since_us: Mapping[str, int]
    latency_now: Latency
    latency_usual: Latency
    tools: Sequence[ToolUse]


class UsualFigures(Protocol):
    """Where these figures come from."""

    def usual(self, now_us: int) -> Usual:
        """Sum up the last weeks. Raises LedgerUnavailable."""


def spend_hour(cost: int, like_hours: Sequence[int], deviations: int, min_usd: int) -> Verdict:
    """Compare an hour's spend with like hours: median plus so many deviations from it.

    The deviation is the median of the absolute ones, at least a tenth of the median.
    """
    if len(like_hours) < LIKE_HOURS_MIN:
        return _unknown(len(like_hours), LIKE_HOURS_MIN, "like hours")
    middle = median(like_hours)
    spread = median([abs(each - middle) for each in like_hours])
    limit = middle + deviations * max(spread, middle // _SPREAD_PART)
    limit = max(limit, min_usd * NANOS_PER_USD)
    return Verdict(cost > limit, cost, limit)


def spend_day(cost: int, days: Sequence[int], min_usd: int) -> Verdict:
    """Compare a day's spend with twice the average of full days."""
    if len(days) < DAYS_MIN:
        return _unknown(len(days), DAYS_MIN, "full days")
    limit = max(DAY_TIMES * sum(days) // len(days), min_usd * NANOS_PER_USD)
    return Verdict(cost > limit, cost, limit)


def error_rate(now: HourSums, usual: HourSums) -> Verdict:
    """Compare the share of failed requests with what is usual, in hundredths of a per cent."""
    if usual.requests < ERROR_HISTORY_MIN:
        return _unknown(usual.requests, ERROR_HISTORY_MIN, "requests before")
    if now.requests < ERROR_REQUESTS_MIN:
        return _unknown(now.requests, ERROR_REQUESTS_MIN, "requests in the last hour")
    scale = _PERCENT * _PERCENT
    rate = now.errors * scale // now.requests
    limit = max(ERROR_TIMES * usual.errors * scale // usual.requests, ERROR_PERCENT * _PERCENT)
    return Verdict(rate > limit, rate, limit)


def latency(now: Latency, usual: Latency) -> Verdict:
    """Compare the 95th percentile of the last hour with the usual one, in milliseconds."""
    if usual.p95_ms is None or usual.requests < LATENCY_HISTORY_MIN:
        return _unknown(usual.requests, LATENCY_HISTORY_MIN, "requests before")
    if now.p95_ms is None or now.requests < LATENCY_REQUESTS_MIN:
        return _unknown(now.requests, LATENCY_REQUESTS_MIN, "requests in the last hour")
    limit = max(LATENCY_TIMES * usual.p95_ms, usual.p95_ms + LATENCY_MORE_MS)
    return Verdict(now.p95_ms > limit, now.p95_ms, limit)


def new_tool(use: ToolUse, now_us: int) -> Verdict:
    """Tell whether a key that has long been in use is suddenly used with another tool."""
    if use.since_us <= now_us - HOUR_US:
        return Verdict(False)
    known_us = use.since_us - use.key_since_us
    if use.calls_before < TOOL_CALLS_MIN or known_us < TOOL_KNOWN_US:
        return _unknown(use.calls_before, TOOL_CALLS_MIN, "calls of the key over three days")
    return Verdict(True, 1, 0)


def is_like(weekday: int, hour: int, other_weekday: int, other_hour: int) -> bool:
    """Tell whether two hours are alike: the same hour, both on a working day or both not."""
    return hour == other_hour and (weekday >= _WEEKEND) == (other_weekday >= _WEEKEND)


def median(values: Sequence[int]) -> int:
    """Give the middle value, the mean of the two middle ones of an even number. 0 of none."""
    if not values:
        return 0
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) // 2


def _unknown(found: int, needed: int, of_what: str) -> Verdict:
    return Verdict(False, missing=f"not enough history: {found} of {needed} {of_what}")
