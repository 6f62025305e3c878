"""Time zones by the IANA data: the offsets of clocks, and when their days begin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

DAY_S: Final = 86_400
QUARTER_HOUR_US: Final = 900_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def moment_of(epoch_us: int) -> datetime:
    """Give the aware UTC time of epoch microseconds."""
    return _EPOCH + timedelta(microseconds=epoch_us)


def epoch_us_of(moment: datetime) -> int:
    """Give the epoch microseconds of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def local_time(epoch_us: int, zone: ZoneInfo) -> datetime:
    """Give the wall-clock time of a moment, aware."""
    return moment_of(epoch_us).astimezone(zone)


def instant_of(wall: datetime, zone: ZoneInfo) -> int:
    """Give the moment at which a clock in the zone first shows a naive time, or passes it.

    A time that is skipped (clocks go forward) gives the moment of the change itself, a time
    that comes twice the first of the two.
    """
    aware = wall.replace(tzinfo=zone)
    before = epoch_us_of(aware)
    if local_time(before, zone).replace(tzinfo=None) == wall:
        return before
    after = epoch_us_of(aware.replace(fold=1))  # in a gap, fold 1 is the earlier moment
    changes = offsets(str(zone), after // 1_000_000 - 1, before // 1_000_000 + 1).changes
    return changes[0].at_s * 1_000_000 if changes else before


def day_start(day: date, zone: ZoneInfo) -> int:
    """Give the first moment of a calendar day in a zone, in epoch microseconds."""
    return instant_of(datetime.combine(day, time()), zone)


class OffsetChange(NamedTuple):
    """From this second of the epoch on, local time is UTC plus the offset."""

    at_s: int
    offset_s: int


class Offsets(NamedTuple):
    """The offsets of a zone within a stretch of time."""

    first_s: int
    changes: tuple[OffsetChange, ...]


@lru_cache(maxsize=512)
def offsets(zone_name: str, start_s: int, end_s: int) -> Offsets:
    """Find a zone's offset at ``start_s`` and every change until ``end_s``."""
    zone = ZoneInfo(zone_name)

    def offset_at(second: int) -> int:
        shift = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
        return round(shift.total_seconds()) if shift else 0

    changes = []
    left, offset = start_s, offset_at(start_s)
    first = offset
    while left < end_s:
        right = min(left + DAY_S, end_s)
        if offset_at(right) != offset:
            low, high = left, right  # the offset at low is the old one, at high another
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(middle) == offset else (low, middle)
            right, offset = high, offset_at(high)
            changes.append(OffsetChange(high, offset))
        left = right
    return Offsets(first, tuple(changes))


def day_around(epoch_us: int, zone: ZoneInfo) -> tuple[int, int]:
    """Give the calendar day that a moment belongs to: when it begins, and when the next does."""
    day = local_time(epoch_us, zone).date()
    return day_start(day, zone), day_start(day + timedelta(days=1), zone)


class UnevenDays(ValueError):
    """Some day does not begin with a quarter-hour, as none did before clocks had zones."""


def even_days(moments_us: Iterable[int], zone: ZoneInfo) -> list[int]:
    """List when the calendar days begin that some moments, given in their order, belong to.

    Raises UnevenDays, also for days that no calendar has.
    """
    begins_us: list[int] = []
    ends_us = None
    for at_us in moments_us:
        if ends_us is None or at_us >= ends_us:
            try:
                begin_us, ends_us = day_around(at_us, zone)
            except (OverflowError, ValueError) as error:
                raise UnevenDays(str(error)) from error
            if begin_us % QUARTER_HOUR_US or ends_us % QUARTER_HOUR_US:
                raise UnevenDays(f"a day in {zone.key} begins within a quarter-hour")
            begins_us.append(begin_us)
    return begins_us


def are_days_of(name: str, days_us: Iterable[tuple[int, int]]) -> bool:
    """Tell whether all days begin when those of a zone do, and end before the next.

    Of each day it is given when it begins and the last moment in it. No zone has this name: no.
    """
    try:
        zone = ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    for begin_us, last_us in days_us:
        begins_us, ends_us = day_around(begin_us, zone)
        if begins_us != begin_us or last_us >= ends_us:
            return False
    return True
