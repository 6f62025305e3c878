"""Weekly digests: which week is due when, and what the configuration says of them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from tollkeeper.domain.budget_windows import zone_of
from tollkeeper.domain.channels import Channel

EVENT: Final = "digest.weekly"
"""The event of a digest's message; no pattern of a channel asks for it."""

LATE_US: Final = 3 * 86_400_000_000
"""A digest that nobody could send when it was due is sent up to so much later."""

WEEKDAYS: Final = (*("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),)
_NAME: Final = re.compile(r"([0-9]{4})-W([0-9]{2})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_WEEK: Final = timedelta(days=7)


class Week(NamedTuple):
    """A week from Monday to Sunday, by the year and number of ISO 8601."""

    year: int
    number: int

    @property
    def first_day(self) -> date:
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def last_day(self) -> date:
        return date.fromisocalendar(self.year, self.number, 7)

    @property
    def name(self) -> str:
        """Write it as ISO 8601 does: ``2026-W47``."""
        return f"{self.year}-W{self.number:02d}"


class DigestChat(NamedTuple):
    """A chat that gets digests: of one team, or of the company with ""."""

    channel: Channel
    team: str = ""


class DigestSettings(NamedTuple):
    """What the configuration says. Digests go out at ``minute`` of the ``weekday`` in ``zone``.

    ``weekday`` is 0 for Monday. ``company`` are addresses that get the company's digest; with
    none the admins and finance people do. ``leads`` tells whether leads get their teams'.
    """

    enabled: bool = False
    weekday: int = 0
    minute: int = 480
    zone: str = "UTC"
    company: tuple[str, ...] = ()
    leads: bool = True
    chats: tuple[DigestChat, ...] = ()


class Due(NamedTuple):
    """A week, and the moment from which its digests are sent, epoch microseconds."""

    week: Week
    at_us: int

    def is_open(self, now_us: int) -> bool:
        """Tell whether its digests are sent now, if they were not yet."""
        return self.at_us <= now_us < self.at_us + LATE_US


def week_of(day: date) -> Week:
    """Give the week of a day."""
    return Week(*day.isocalendar()[:2])


def week_named(text: str) -> Week:
    """Read ``2026-W47``. Raises ValueError for what is no week."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise ValueError("a week is written 2026-W47")
    week = Week(int(found[1]), int(found[2]))
    _ = week.first_day  # raises for a week that the year does not have
    return week


def last_week(zone: str, now_us: int) -> Week:
    """Give the last week that is over in a zone."""
    return week_of(_local(now_us, zone).date() - _WEEK)


def latest_due(settings: DigestSettings, now_us: int) -> Due:
    """Give the week that was due last: always one that is over by then.

    A time that a change of clocks skips is the same time by the clock before.
    """
    today = _local(now_us, settings.zone).date()
    monday = today - timedelta(days=today.weekday())
    due = _due(settings, monday)
    return due if due.at_us <= now_us else _due(settings, monday - _WEEK)


def _due(settings: DigestSettings, monday: date) -> Due:
    """Give what is due in the week of a Monday."""
    at = time(settings.minute // 60, settings.minute % 60)
    day = monday + timedelta(days=settings.weekday)
    moment = datetime.combine(day, at, zone_of(settings.zone))
    return Due(week_of(monday - _WEEK), (moment - _EPOCH) // _MICROSECOND)


def _local(at_us: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone_of(zone))
