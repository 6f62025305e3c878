"""The windows of a budget: from when to when spending is counted together.

A window is computed from calendar and time zone whenever it is asked for, and nothing is ever
"reset". Windows of one rule follow each other without a gap, so that every instant lies in
exactly one: it begins at the first instant at which the clocks of the zone show its first
midnight, or have passed it where that midnight is left out.
"""

from __future__ import annotations

import enum
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

EARLIEST_US: Final = 0
LATEST_US: Final = 253_086_768_000_000_000  # the beginning of the year 9990
HOUR_US: Final = 3_600_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_ZONE_CHARS_MAX: Final = 64
_OF_THE_MACHINE: Final = frozenset({"localtime", "posixrules", "Factory"})
_WEEK: Final = 7
_YEAR: Final = 12
_LONGEST_MONTH: Final = 31


class WindowKind(enum.StrEnum):
    """How long a window is. Lifetime and prepaid have one window, which never ends."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    LIFETIME = "lifetime"
    PREPAID = "prepaid"  # what was paid in is its limit, which grows with each payment

    __hash__ = str.__hash__


ENDLESS: Final = frozenset({WindowKind.LIFETIME, WindowKind.PREPAID})
_MONTHS: Final = {WindowKind.MONTH: 1, WindowKind.QUARTER: 3, WindowKind.YEAR: _YEAR}


class Window(NamedTuple):
    """From ``start_us`` to before ``end_us``, epoch microseconds."""

    start_us: int
    end_us: int


FOREVER: Final = Window(EARLIEST_US, LATEST_US)


class WindowRule(NamedTuple):
    """Which windows a budget has.

    ``zone`` is an IANA name; hours are those of UTC. ``first_weekday`` is the day that a week
    begins with (1 is Monday), ``first_month`` the month that a fiscal year begins with.
    Months, quarters and years begin on ``first_day`` of a month, or on its last day where it
    has no such day.
    """

    kind: WindowKind
    zone: str = "UTC"
    first_weekday: int = 1
    first_month: int = 1
    first_day: int = 1

    def problem(self) -> str:
        """Say why the rule cannot be used, "" if it can."""
        if self.kind not in _KINDS:
            return f"unknown window {self.kind!r}; known: {', '.join(WindowKind)}"
        if not 1 <= self.first_weekday <= _WEEK:
            return "the first day of a week is 1 (Monday) to 7 (Sunday)"
        if not 1 <= self.first_month <= _YEAR:
            return "the first month of a year is 1 to 12"
        if not 1 <= self.first_day <= _LONGEST_MONTH:
            return "the first day of a month is 1 to 31"
        try:
            zone_of(self.zone)
        except ValueError as error:
            return str(error)
        return ""

    def around(self, at_us: int) -> Window:
        """Give the window that an instant lies in. Raises ValueError for one of no calendar."""
        if not EARLIEST_US <= at_us < LATEST_US:
            raise ValueError(f"no moment that a budget could count: {at_us}")
        if self.kind in ENDLESS:
            return FOREVER
        if self.kind is WindowKind.HOUR:
            start_us = at_us - at_us % HOUR_US
            return Window(start_us, start_us + HOUR_US)
        zone = zone_of(self.zone)
        local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone).date()
        number, first_day_of = self._numbered(local)
        # A clock that was put back over midnight shows a day again whose end has begun.
        while at_us >= (end_us := _beginning(first_day_of(number + 1), zone)):
            number += 1
        while at_us < (start_us := _beginning(first_day_of(number), zone)):
            number, end_us = number - 1, start_us
        return Window(start_us, end_us)

    def before(self, window: Window) -> Window | None:
        """Give the window that ended where one begins, None where there is none."""
        return self.around(window.start_us - 1) if window.start_us > EARLIEST_US else None

    def _numbered(self, local: date) -> tuple[int, Callable[[int], date]]:
        """Number the window around a day, and say how to get the first day of any number."""
        if self.kind is WindowKind.DAY:
            return local.toordinal(), date.fromordinal
        if self.kind is WindowKind.WEEK:
            shift = self.first_weekday - 1  # ordinal 1 was a Monday
            return (local.toordinal() - 1 - shift) // _WEEK, lambda number: date.fromordinal(
                number * _WEEK + 1 + shift
            )
        months = _MONTHS[self.kind]
        begun = local.year * _YEAR + local.month - 1
        if local.day < _clamped(begun, self.first_day):
            begun -= 1
        shift = (self.first_month - 1) % months
        return (begun - shift) // months, lambda number: _month_day(
            number * months + shift, self.first_day
        )


_KINDS: Final = frozenset(WindowKind)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """Give an IANA zone. Raises ValueError for a name that is none, or says what a machine says."""
    if len(name) <= _ZONE_CHARS_MAX and _ZONE.fullmatch(name) and name not in _OF_THE_MACHINE:
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            pass
    raise ValueError(
        f"{name[:_ZONE_CHARS_MAX]!r} is no IANA time zone; examples: UTC, Europe/Berlin"
    )


def _month_day(month: int, day: int) -> date:
    return date(month // _YEAR, month % _YEAR + 1, _clamped(month, day))


def _clamped(month: int, day: int) -> int:
    return min(day, monthrange(month // _YEAR, month % _YEAR + 1)[1])


@lru_cache(maxsize=4096)
def _beginning(day: date, zone: ZoneInfo) -> int:
    """Give the first instant at which the zone's clocks show a day's midnight, or are past it."""
    midnight = datetime.combine(day, time())
    first_us = _epoch_us(midnight.replace(tzinfo=zone))
    if _shown(first_us, zone) == midnight:
        return first_us  # of two, the first
    # It is left out: the clocks are put forward somewhere between these two.
    low_s = _epoch_us(midnight.replace(tzinfo=zone, fold=1)) // _SECOND_US
    high_s = -(-first_us // _SECOND_US)
    while high_s - low_s > 1:
        middle_s = (low_s + high_s) // 2
        if _shown(middle_s * _SECOND_US, zone) < midnight:
            low_s = middle_s
        else:
            high_s = middle_s
    return high_s * _SECOND_US


def _epoch_us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _shown(at_us: int, zone: ZoneInfo) -> datetime:
    shown = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)
    return shown.replace(tzinfo=None, fold=0)
