"""Reads and writes points in time on the command line."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Final

import typer

_SPAN = re.compile(r"([1-9][0-9]{0,5})(m|h|d|w)")
_SPAN_US: Final = {"m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6, "w": 604_800 * 10**6}


def span_us(text: str) -> int:
    """Read a length of time such as ``90d``, ``12h``, ``30m`` or ``2w``, as microseconds."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a length of time such as 90d, 12h or 30m")
    return int(match[1]) * _SPAN_US[match[2]]


def end_us(text: str, now_us: int) -> int:
    """Read an end: a length of time from now, or a date (the end of that day, UTC)."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        try:
            return now_us + span_us(text)
        except typer.BadParameter:
            raise typer.BadParameter(
                f"{text!r} is neither a length of time such as 90d nor a date such as 2027-01-31"
            ) from None
    return int(datetime.combine(day, time.max, UTC).timestamp()) * 10**6


def local(at_us: int | None, never: str = "") -> str:
    """Write a time for people: this machine's time zone, to the minute."""
    if at_us is None:
        return never
    return f"{datetime.fromtimestamp(at_us // 10**6, UTC).astimezone():%Y-%m-%d %H:%M}"
