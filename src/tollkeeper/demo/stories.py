"""What happens to the made-up company: each of these can be found by asking the ledger.

All days count since 1970, all times are epoch microseconds, UTC.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0
_TUESDAY: Final = 1

HOLIDAYS: Final = frozenset(
    {(1, 1), (5, 1), (7, 4), (10, 3), (11, 1), (12, 24), (12, 25), (12, 26), (12, 31)}
)
"""Month and day of the days on which nobody works."""


class Span(NamedTuple):
    """From ``from_us`` to before ``until_us``."""

    from_us: int
    until_us: int


class Stories(NamedTuple):
    """What was planted, and when.

    ``runaway`` is the last Tuesday's afternoon, on which one key repeats the same call.
    ``leak`` is a night in which one person's key is used from elsewhere, until it is revoked
    at its end. Support uses no Claude Code from ``support_stops_day`` on; Data science goes
    over to Kimi, a few each week, from ``kimi_day`` on. ``discount_us`` is when a contract
    with Anthropic begins to count, ``offer_ends_us`` when Moonshot's introductory price ends.
    In ``outage`` most calls to OpenAI fail. A new campaign begins on ``campaign_day``, two
    people leave on ``leaver_day``. ``refused`` is an evening on which a budget is used up.
    """

    runaway: Span
    leak: Span
    support_stops_day: int
    kimi_day: int
    discount_us: int
    offer_ends_us: int
    outage: Span
    campaign_day: int
    leaver_day: int
    refused: Span


def weekday(day: int) -> int:
    """Give the weekday of a day since 1970: 0 is Monday."""
    return (day + _EPOCH_WEEKDAY) % 7


def stories(today: int) -> Stories:
    """Say when everything happens, seen from the last day of the history."""
    tuesday = today - 1 - (weekday(today - 1) - _TUESDAY) % 7
    leak_day = _workday_before(today - 9)
    outage_day = _workday_before(today - 17)
    refused_day = _workday_before(today - 3)
    return Stories(
        runaway=Span(tuesday * DAY_US + 13 * HOUR_US, tuesday * DAY_US + 18 * HOUR_US),
        leak=Span(leak_day * DAY_US + 22 * HOUR_US, (leak_day + 1) * DAY_US + 6 * HOUR_US),
        support_stops_day=today - 33,
        kimi_day=today - 52,
        discount_us=(today - 24) * DAY_US,
        offer_ends_us=(today - 38) * DAY_US,
        outage=Span(outage_day * DAY_US + 10 * HOUR_US, outage_day * DAY_US + 12 * HOUR_US),
        campaign_day=today - 19,
        leaver_day=today - 30,
        refused=Span(refused_day * DAY_US + 15 * HOUR_US, (refused_day + 1) * DAY_US),
    )


def _workday_before(day: int) -> int:
    """Give a Monday to Thursday at or before a day."""
    while weekday(day) > 3:
        day -= 1
    return day
