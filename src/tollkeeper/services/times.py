"""Moments as messages write them: for people in a budget's own zone, for programs in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from tollkeeper.domain.budget_windows import zone_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def moment_words(at_us: int, zone: str) -> str:
    """Write a moment for people: ``1 Dec 2026 00:00 (Europe/Berlin)``."""
    local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone_of(zone))
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year} {local:%H:%M} ({zone})"


def utc_text(at_us: int) -> str:
    """Write a moment for programs: ``2026-12-01T00:00:00Z``."""
    return f"{_EPOCH + timedelta(microseconds=at_us):%Y-%m-%dT%H:%M:%SZ}"
