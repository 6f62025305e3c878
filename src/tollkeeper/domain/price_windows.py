"""When a row of prices holds: from an instant on, in hours of the day, on days of the week.

All clocks are UTC. A window that names weekdays or a calendar of holidays goes by the UTC
date of the call; a holiday is a day on which the window is closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, time, timedelta
from typing import Final

from tollkeeper.domain.price_data import PriceRow, VariantRow

Calendars = Mapping[str, AbstractSet[str]]
"""Holidays by calendar: its name → ISO dates."""

DAY_US: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0
_HOUR_24: Final = "24:00"


def instant_us(text: str) -> int:
    """Read an ISO date or timestamp as epoch microseconds; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def clock_us(text: str) -> int:
    """Read a time of day ("06:30", "24:00" for its end) as microseconds since midnight."""
    if text == _HOUR_24:
        return DAY_US
    clock = time.fromisoformat(text)
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * 1_000_000


def has_begun(row: PriceRow | VariantRow, at_us: int) -> bool:
    """Tell whether a row holds already."""
    return "since" not in row or instant_us(row["since"]) <= at_us


def active_row(rows: Sequence[PriceRow], at_us: int, calendars: Calendars) -> PriceRow:
    """Give the last row that is active; where none is, the first one."""
    for row in reversed(rows):
        if has_begun(row, at_us) and is_open(row, at_us, calendars):
            return row
    return rows[0]


def is_open(row: PriceRow, at_us: int, calendars: Calendars) -> bool:
    """Tell whether a row's window is open; a row without a window always is."""
    if "weekdays" in row and _weekday(at_us) not in row["weekdays"]:
        return False
    if "holidays" in row and _date(at_us) in calendars.get(row["holidays"], ()):
        return False
    if "daily" not in row:
        return True
    start_us, end_us = (clock_us(edge) for edge in row["daily"])
    now_us = at_us % DAY_US
    if end_us < start_us:
        return now_us >= start_us or now_us < end_us
    return start_us <= now_us < end_us


def edges(rows: Sequence[PriceRow], variants: Sequence[VariantRow], at_us: int) -> Iterator[int]:
    """Give the instants around a time at which another row may become the active one."""
    for row in (*rows, *variants):
        if "since" in row:
            yield instant_us(row["since"])
    midnight_us = at_us - at_us % DAY_US
    for price_row in rows:
        if price_row.keys() & {"daily", "weekdays", "holidays"}:
            yield from (midnight_us, midnight_us + DAY_US)
        yield from (midnight_us + clock_us(edge) for edge in price_row.get("daily", ()))


def _weekday(at_us: int) -> int:
    """Give the day of the week as ISO counts it: 1 is Monday, 7 Sunday."""
    return (at_us // DAY_US + _EPOCH_WEEKDAY) % 7 + 1


def _date(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).date().isoformat()
