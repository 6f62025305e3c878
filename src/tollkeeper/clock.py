"""The one place that reads the clock. Everything else takes the time as an argument."""

from __future__ import annotations

import time
from typing import Final

monotonic_s: Final = time.monotonic
"""Seconds on a clock that never steps back, for durations and deadlines."""


def now_us() -> int:
    """Give microseconds since the epoch, UTC."""
    return time.time_ns() // 1000
