"""Closed months: what was booked in one stays as it was told to others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

_MONTH: Final = re.compile(r"(20\d{2})-(0[1-9]|1[0-2])")
_DECEMBER: Final = 12
_US: Final = 1_000_000


class ClosedMonth(NamedTuple):
    """A month (``2026-10``) of which no entry is corrected any more.

    It lasts from ``start_us`` to before ``end_us``, as its days were counted in ``zone`` when
    it was closed. ``closed_by`` is a person's e-mail address, or who else did it.
    """

    month: str
    zone: str
    start_us: int
    end_us: int
    closed_at_us: int
    closed_by: str


class ClosedMonths(Protocol):
    """Where closed months are kept."""

    def closed_months(self) -> list[ClosedMonth]:
        """List the closed months, oldest first."""

    def close_month(self, closed: ClosedMonth) -> None:
        """Close a month. Raises ValueError when it is closed already."""

    def reopen_month(self, month: str) -> None:
        """Open a month again. Raises LookupError when it is not closed."""


def month_bounds_us(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """Give the first moment of a month and the first after it. Raises ValueError."""
    match = _MONTH.fullmatch(month)
    if match is None:
        raise ValueError(f"{month!r} is no month: write 2026-10")
    year, number = int(match[1]), int(match[2])
    following = (year + 1, 1) if number == _DECEMBER else (year, number + 1)
    start, end = (datetime(*first, 1, tzinfo=zone) for first in ((year, number), following))
    return round(start.timestamp()) * _US, round(end.timestamp()) * _US


def month_named(at_us: int, zone: ZoneInfo) -> str:
    """Name the month of a moment."""
    return f"{datetime.fromtimestamp(at_us // _US, zone):%Y-%m}"


def month_of(closed: Iterable[ClosedMonth], at_us: int) -> ClosedMonth | None:
    """Give the closed month that a moment lies in, or None if it lies in an open one."""
    for month in closed:
        if month.start_us <= at_us < month.end_us:
            return month
    return None
