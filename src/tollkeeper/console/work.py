"""Runs what blocks (the ledger, the store) on a few threads, and refuses when too much waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

from tollkeeper.domain.errors import Overloaded

THREADS: Final = 8
WAITING_MAX: Final = 256

P = ParamSpec("P")
T = TypeVar("T")


class Work:
    """A bounded pool of threads. Only the loop's own thread may call it."""

    def __init__(self, threads: int = THREADS, waiting_max: int = WAITING_MAX) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="console")
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
