"""Runs what blocks (the ledger, the store) on a few threads, and refuses when too much waits."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

from tollkeeper.domain.errors import Overloaded

THREADS: Final = 8
WAITING_MAX: Final = 256

STEPS_BACK: Final = 5
"""How much less than others these threads get where all want the processor (0 to 19).

Then calls come first, and the loop that answers for what is ready; a browser on the same machine
shows the head of a page while its figures are worked out. Where nobody else wants it, they have
the processor as ever.
"""

P = ParamSpec("P")
T = TypeVar("T")


class Work:
    """A bounded pool of threads. Only the loop's own thread may call it."""

    def __init__(self, threads: int = THREADS, waiting_max: int = WAITING_MAX) -> None:
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="console", initializer=step_back
        )
        self._places = threads + waiting_max
        self.busy = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function on a thread. Raises Overloaded when too many wait already."""
        if self.busy >= self._places:
            raise Overloaded("too many questions at once", code="console_busy", retry_after_s=2)
        self.busy += 1
        try:
            loop = asyncio.get_running_loop()
            context = copy_context()  # who acts goes along
            return await loop.run_in_executor(
                self._pool, lambda: context.run(function, *args, **kwargs)
            )
        finally:
            self.busy -= 1

    def close(self) -> None:
        """Let what runs end; drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def step_back() -> None:
    """Let others go first. Elsewhere than on Linux a priority is that of the whole process."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, now + STEPS_BACK)
