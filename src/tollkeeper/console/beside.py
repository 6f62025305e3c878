"""A few threads that work out parts of an answer while the one that is asked does the rest.

A page is made of several queries, most of which an engine runs on one core.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

from tollkeeper.console.work import step_back

THREADS: Final = 2

T = TypeVar("T")


class Threads:
    """Lends threads, as ``domain.beside.Beside`` says. Any thread may call it.

    With one core it lends none: threads in turns take longer than one after the other.
    """

    def __init__(self, threads: int = THREADS, cores: int = 0) -> None:
        self._lends = (cores or _cores()) > 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="beside", initializer=step_back)

    def __call__(self, make: Callable[[], T]) -> Callable[[], T]:
        """Begin on another thread, as soon as one is free."""
        if not self._lends:
            return make
        begun = self._pool.submit(copy_context().run, make)

        def get() -> T:
            # What has not begun waits for others, who may wait as well: do it here.
            return make() if begun.cancel() else begun.result()

        return get

    def close(self) -> None:
        """Let what runs end; what waits is left to those who ask for it."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    """Count the cores that this process may use: all, where the system does not say which."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
