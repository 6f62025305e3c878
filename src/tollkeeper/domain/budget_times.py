"""From when until when a budget counts, as people write it: days of its zone, or moments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from tollkeeper.domain.budget_windows import EARLIEST_US, LATEST_US, zone_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = (None, "")
_EXAMPLES: Final = "is a day like 2026-12-31, or a moment with its offset"


class WrongTime(ValueError):
    """Words that say no time. ``option`` is the one at fault, ``reason`` what to write."""

    def __init__(self, option: str, reason: str = _EXAMPLES) -> None:
        self.option = option
        self.reason = reason
        super().__init__(f"{option}: {self.reason}")


def times_of(words: Mapping[str, Any], zone: str) -> tuple[int, int]:
    """Read ``since`` and ``until``, the first and the last day of a zone; give epoch microseconds.

    What is not said is from ever on, and for ever. Raises WrongTime.
    """
    since, until = words.get("since"), words.get("until")
    since_us = _instant("since", since, zone, days=0) if since not in _NOTHING else EARLIEST_US
    until_us = _instant("until", until, zone, days=1) if until not in _NOTHING else LATEST_US
    if until_us <= since_us:
        raise WrongTime("until", "is after the beginning: it ends before it begins")
    return since_us, until_us


def _instant(option: str, said: object, zone: str, days: int) -> int:
    """Read a moment, or a day: its beginning is ``days`` later."""
    moment = said if isinstance(said, datetime) else None
    if moment is None:
        moment = _midnight(_day(said), zone, days) or _moment(said)
    if moment is None or moment.tzinfo is None:
        raise WrongTime(option)
    at_us = (moment - _EPOCH) // _MICROSECOND
    if not EARLIEST_US <= at_us < LATEST_US:
        raise WrongTime(option)
    return at_us


def _day(said: object) -> date | None:
    if isinstance(said, date):  # as YAML reads it where nobody puts it in quotes
        return said
    try:
        return date.fromisoformat(said.strip()) if isinstance(said, str) else None
    except ValueError:
        return None


def _moment(said: object) -> datetime | None:
    try:
        return datetime.fromisoformat(said.strip()) if isinstance(said, str) else None
    except ValueError:
        return None


def _midnight(day: date | None, zone: str, days: int) -> datetime | None:
    try:
        first = None if day is None else day + timedelta(days=days)
    except OverflowError:
        return None
    return None if first is None else datetime.combine(first, time(), zone_of(zone))
