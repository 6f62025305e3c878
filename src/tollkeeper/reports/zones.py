"""Time zones, computed here and never by an engine: offsets, days, and their expressions.

Engines disagree on time zones and some are silently wrong, so the changes of a zone's
offset within a period are looked up in the IANA data and become a CASE over epoch seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import ibis

from tollkeeper.reports import bindings
from tollkeeper.reports.questions import BadQuestion

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAY_S: Final = 86_400
HOUR_S: Final = 3_600
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


def zone_info(name: str) -> ZoneInfo:
    """Give an IANA zone. Raises BadQuestion for a name that is none."""
    if len(name) <= 64 and _NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            pass
    raise BadQuestion("tz", "not an IANA time zone; examples: UTC, Europe/Berlin, Asia/Kolkata")


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


# ------------------------------------------------------------------------- expressions


def offset_values(found: Offsets, slot: str = "") -> dict[str, object]:
    """Give the values for the slots of local times; ``slot`` begins the names of others."""
    values: dict[str, object] = {f"{slot}offset_0": found.first_s}
    for index, change in enumerate(found.changes, start=1):
        values[f"{slot}change_{index}"] = change.at_s
        values[f"{slot}offset_{index}"] = change.offset_s
    return values


def _offset(seconds: ir.NumericValue, changes: int, slot: str = "") -> ir.NumericValue:
    offsets_s = [bindings.integer(f"{slot}offset_{index}") for index in range(changes + 1)]
    if not changes:
        return offsets_s[0]
    branches = (
        (seconds < bindings.integer(f"{slot}change_{index}"), offsets_s[index - 1])
        for index in range(1, changes + 1)
    )
    return ibis.cases(*branches, else_=offsets_s[changes])


def local_day(started_at: ir.TimestampValue, changes: int, slot: str = "") -> ir.IntegerValue:
    """Number the local calendar days (0 is 1970-01-01). ``changes`` is how many slots to use."""
    seconds = started_at.epoch_seconds()
    return ((seconds + _offset(seconds, changes, slot)) // DAY_S).cast("int64")


def local_week(started_at: ir.TimestampValue, changes: int, slot: str = "") -> ir.IntegerValue:
    """Give the day number of the Monday that starts the local week."""
    return ((local_day(started_at, changes, slot) + 3) // 7).cast("int64") * 7 - 3


def local_hour(started_at: ir.TimestampValue, changes: int) -> ir.IntegerValue:
    """Give the epoch second at which the local hour started.

    Not the hour on the clock: when clocks go back, one hour comes twice and stays two.
    """
    seconds = started_at.epoch_seconds()
    offset = _offset(seconds, changes)
    return (((seconds + offset) // HOUR_S) * HOUR_S - offset).cast("int64")


def local_weekday(started_at: ir.TimestampValue, changes: int, slot: str = "") -> ir.IntegerValue:
    """Number the local days of the week: 1 is Monday, 7 is Sunday."""
    return local_day(started_at, changes, slot) - local_week(started_at, changes, slot) + 1


def local_hour_of_day(
    started_at: ir.TimestampValue, changes: int, slot: str = ""
) -> ir.IntegerValue:
    """Give the hour on the clock, 0 to 23. An hour that comes twice has one number."""
    seconds = started_at.epoch_seconds()
    hours = ((seconds + _offset(seconds, changes, slot)) // HOUR_S).cast("int64")
    return hours - local_day(started_at, changes, slot) * 24


def local_second(started_at: ir.TimestampValue, changes: int) -> ir.IntegerValue:
    """Give the second of the day that a clock on the wall shows, 0 to 86,399."""
    seconds = started_at.epoch_seconds()
    shifted = (seconds + _offset(seconds, changes)).cast("int64")
    return shifted - local_day(started_at, changes) * DAY_S


def interval(started_at: ir.TimestampValue, boundaries: int, slot: str) -> ir.IntegerValue:
    """Number the stretches between boundaries: 0 before the first, then 1, and so on."""
    if not boundaries:
        return ibis.literal(0, "int64")
    branches = (
        (started_at < bindings.moment(f"{slot}_{index}"), ibis.literal(index, "int64"))
        for index in range(boundaries)
    )
    return ibis.cases(*branches, else_=ibis.literal(boundaries, "int64"))


def interval_values(boundaries_us: tuple[int, ...], slot: str) -> dict[str, object]:
    """Give the values for the slots of ``interval``."""
    return {f"{slot}_{index}": moment_of(at) for index, at in enumerate(boundaries_us)}


def day_of(number: int) -> date:
    """Turn a day number into a date."""
    return _EPOCH_DAY + timedelta(days=number)


def number_of(day: date) -> int:
    """Turn a date into its day number."""
    return (day - _EPOCH_DAY).days


def hour_text(start_s: int, zone: ZoneInfo) -> str:
    """Write the start of an hour with its offset: ``2026-11-01T01:00:00-04:00``.

    Where clocks are changed by half an hour (on Lord Howe), the hour that the change cuts begins
    on a clock that did not show it yet: the offset is the one that its end has.
    """
    start = local_time(start_s * 1_000_000, zone)
    if start.minute:
        last = local_time((start_s + HOUR_S - 1) * 1_000_000, zone)
        start = start.astimezone(timezone(last.utcoffset() or timedelta()))
    return start.isoformat()
