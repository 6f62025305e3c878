"""The jobs of alerts: thresholds every second, what is unusual every minute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tollkeeper.jobs.table import Job

LOOK_S: Final = 1.0
COMPARE_S: Final = 60.0
FORGET_S: Final = 3_600.0


def alert_jobs(
    look: Callable[[], object], compare: Callable[[], object], forget: Callable[[], object]
) -> tuple[Job, ...]:
    """Give the jobs. Sending has a thread of its own: a channel may take a minute."""
    return (
        Job("look at thresholds", LOOK_S, look),
        Job("compare with what is usual", COMPARE_S, compare),
        Job("forget old alerts", FORGET_S, forget),
    )
