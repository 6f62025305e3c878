"""The threads that answer pages let others go first."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import closing

import pytest

from tollkeeper.console.work import STEPS_BACK, Work


def priority() -> int:
    """How far this thread steps back."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_answers_are_worked_out_behind_calls_and_the_loop() -> None:
    before = priority()
    with closing(Work(threads=1)) as work:
        there = asyncio.run(work.run(priority))
    assert there == min(before + STEPS_BACK, 19)
    assert priority() == before
