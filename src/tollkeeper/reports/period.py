"""Periods: a stretch of calendar in a time zone, the one before it, and its days."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from tollkeeper.reports import zones
from tollkeeper.reports.questions import BadQuestion, quoted

NAMES: Final = ("today", "yesterday", "week", "month", "last_month", "year")
DAYS_MAX: Final = 3_660
_COUNTED: Final = re.compile(r"([1-9][0-9]{0,3})([hd])")


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open: ``start_us`` belongs to it, ``end_us`` does not (epoch microseconds).

    ``until_us`` is the point up to which it has elapsed, at most ``end_us``. ``step`` is
    what it is moved by to reach the period before: whole months, whole days, or its exact
    length when it does not start and end at midnight.
    """

    name: str
    zone: str
    start_us: int
    end_us: int
    until_us: int
    step: str = "days"

    @property
    def complete(self) -> bool:
        """Tell whether all of it lies in the past."""
        return self.until_us >= self.end_us

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @property
    def first_day(self) -> date:
        return zones.local_time(self.start_us, self.zone_info).date()

    @property
    def last_day(self) -> date:
        """Give the last day of which a part belongs to the period."""
        return zones.local_time(max(self.start_us, self.end_us - 1), self.zone_info).date()

    def days(self) -> tuple[date, ...]:
        """List its calendar days, the partly covered ones included."""
        first, count = self.first_day, (self.last_day - self.first_day).days + 1
        return tuple(first + timedelta(days=number) for number in range(count))

    def month_starts(self) -> tuple[tuple[str, int], ...]:
        """List its months as (``2026-11``, first moment)."""
        return _month_starts(self.first_day, self.last_day, self.zone)

    def offsets(self) -> zones.Offsets:
        """Give the zone's offsets within the period."""
        return zones.offsets(self.zone, self.start_us // 1_000_000, -(-self.end_us // 1_000_000))

    def previous(self) -> Period:
        """Give the period of equal length before, elapsed to the same point.

        On the 20th at 15:00 the previous month has elapsed to its own 20th at 15:00; a
        month that is too short has elapsed completely.
        """
        start_us = self._start_before()
        before = replace(
            self, start_us=start_us, end_us=self.start_us, until_us=self.start_us, name="previous"
        )
        if self.complete:
            return before
        zone = self.zone_info
        if self.step == "exact":
            until_us = start_us + self.until_us - self.start_us
        else:
            elapsed = _wall(self.until_us, zone) - _wall(self.start_us, zone)
            until_us = zones.instant_of(_wall(start_us, zone) + elapsed, zone)
        return replace(before, until_us=max(start_us, min(until_us, before.end_us)))

    def _start_before(self) -> int:
        if self.step == "exact":
            return 2 * self.start_us - self.end_us
        after = zones.local_time(self.end_us, self.zone_info).date()
        first = self.first_day
        if self.step == "months":
            months = (after.year - first.year) * 12 + after.month - first.month
            return zones.day_start(_months_later(first, -months), self.zone_info)
        return zones.day_start(first - (after - first), self.zone_info)


def period_named(name: str, zone_name: str, now_us: int) -> Period:
    """Read a period's name: one of ``NAMES``, or ``30d``, ``24h``.

    ``30d`` is today and the 29 days before it; ``week`` starts on Monday. Periods that run
    end with the calendar (tonight, the end of the month), so nothing is left out of them.
    Raises BadQuestion for anything else.
    """
    zone = zones.zone_info(zone_name)
    today = zones.local_time(now_us, zone).date()
    counted = _COUNTED.fullmatch(name)
    if counted and counted[2] == "h":
        start_us = now_us - int(counted[1]) * 3_600_000_000
        return Period(name, zone_name, start_us, now_us, now_us, step="exact")
    step = "days"
    first, after = today, today + timedelta(days=1)
    if counted and int(counted[1]) <= DAYS_MAX:
        first = today - timedelta(days=int(counted[1]) - 1)
    elif name == "yesterday":
        first, after = today - timedelta(days=1), today
    elif name == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    elif name in {"month", "last_month"}:
        first = _months_later(today.replace(day=1), -1 if name == "last_month" else 0)
        after, step = _months_later(first, 1), "months"
    elif name == "year":
        first = today.replace(month=1, day=1)
        after, step = first.replace(year=first.year + 1), "months"
    elif name != "today":
        raise BadQuestion(
            "period",
            f"{quoted(name)} is none; examples: 30d, 24h, {', '.join(NAMES)}; for dates give from "
            "and to instead",
        )
    return _of_days(name, zone, first, after, now_us, step)


def period_between(start: str, end: str | None, zone_name: str, now_us: int) -> Period:
    """Read a period from its bounds, dates or times in ISO 8601; no end means until now.

    A date as the end is the last day that belongs to the period. A time without an offset
    is in the zone; a time as the end does not belong to the period any more.
    Raises BadQuestion for bounds that cannot be read, are reversed or too far apart.
    """
    zone = zones.zone_info(zone_name)
    first = _bound("from", start, zone)
    last = _bound("to", end, zone) if end else zones.local_time(now_us, zone).date()
    if type(first) is date and type(last) is date:
        after = last + timedelta(days=1)
        if first < after and (after - first).days <= DAYS_MAX:
            months = first.day == 1 and after.day == 1
            return _of_days("custom", zone, first, after, now_us, "months" if months else "days")
    start_us = _first_moment(first, zone)
    end_us = _first_moment(last if isinstance(last, datetime) else last + timedelta(days=1), zone)
    if not 0 < end_us - start_us <= DAYS_MAX * 86_400_000_000:
        raise BadQuestion("from", f"a period ends after it starts, and has at most {DAYS_MAX} days")
    until_us = max(start_us, min(now_us, end_us))
    return Period("custom", zone_name, start_us, end_us, until_us, step="exact")


def _of_days(name: str, zone: ZoneInfo, first: date, after: date, now_us: int, step: str) -> Period:
    start_us, end_us = zones.day_start(first, zone), zones.day_start(after, zone)
    until_us = max(start_us, min(now_us, end_us))
    return Period(name, str(zone), start_us, end_us, until_us, step)


def _bound(parameter: str, text: str, zone: ZoneInfo) -> date | datetime:
    """Read a date, or a time (aware)."""
    found: date | datetime
    try:
        if len(text) <= 10:
            found = date.fromisoformat(text)
        else:
            found = datetime.fromisoformat(text)
            if found.tzinfo is None:
                found = zones.moment_of(zones.instant_of(found, zone))
    except (ValueError, OverflowError):
        found = date.min
    if not 1980 <= found.year <= 2200:
        raise BadQuestion(
            parameter, "a date or a time in ISO 8601: 2026-11-01 or 2026-11-01T09:00:00+01:00"
        )
    return found


def _first_moment(bound: date | datetime, zone: ZoneInfo) -> int:
    if isinstance(bound, datetime):
        return zones.epoch_us_of(bound)
    return zones.day_start(bound, zone)


def _wall(epoch_us: int, zone: ZoneInfo) -> datetime:
    return zones.local_time(epoch_us, zone).replace(tzinfo=None)


def _months_later(first_of_month: date, months: int) -> date:
    index = first_of_month.year * 12 + first_of_month.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


@lru_cache(maxsize=256)
def _month_starts(first: date, last: date, zone_name: str) -> tuple[tuple[str, int], ...]:
    zone = ZoneInfo(zone_name)
    month = first.replace(day=1)
    found = []
    while month <= last:
        found.append((f"{month:%Y-%m}", zones.day_start(month, zone)))
        month = _months_later(month, 1)
    return tuple(found)
