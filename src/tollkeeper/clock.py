"""The one place that reads the clock, and how a time is written for programs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

monotonic_s: Final = time.monotonic
"""Seconds on a clock that never steps back, for durations and deadlines."""

monotonic_ns: Final = time.monotonic_ns
"""The same in nanoseconds, for what counts in whole numbers."""


def now_us() -> int:
    """Give microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


def second_text(at_us: int | None) -> str | None:
    """Write a time to the second, ISO 8601 in UTC; None where there is none."""
    if at_us is None:
        return None
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
