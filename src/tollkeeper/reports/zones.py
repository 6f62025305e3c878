"""Time zones in queries: computed here and never by an engine.

Engines disagree on time zones and some are silently wrong, so the changes of a zone's
offset within a period are looked up in the IANA data and become a CASE over epoch seconds.
"""

from __future__ import annotations

import re
from datetime import date, timedelta, timezone
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import ibis

from tollkeeper.domain.zones import DAY_S as DAY_S
from tollkeeper.domain.zones import OffsetChange as OffsetChange
from tollkeeper.domain.zones import Offsets as Offsets
from tollkeeper.domain.zones import day_around as day_around
from tollkeeper.domain.zones import day_start as day_start
from tollkeeper.domain.zones import epoch_us_of as epoch_us_of
from tollkeeper.domain.zones import instant_of as instant_of
from tollkeeper.domain.zones import local_time as local_time
from tollkeeper.domain.zones import moment_of as moment_of
from tollkeeper.domain.zones import offsets as offsets
from tollkeeper.reports import bindings
from tollkeeper.reports.questions import BadQuestion

if TYPE_CHECKING:
    import ibis.expr.types as ir

HOUR_S: Final = 3_600
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_EPOCH_DAY: Final = date(1970, 1, 1)


def zone_info(name: str) -> ZoneInfo:
    """Give an IANA zone. Raises BadQuestion for a name that is none."""
    if len(name) <= 64 and _NAME.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            pass
    raise BadQuestion("tz", "not an IANA time zone; examples: UTC, Europe/Berlin, Asia/Kolkata")


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
