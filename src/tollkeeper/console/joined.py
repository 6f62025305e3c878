"""Answers that are being worked out, given to all who ask for the same meanwhile.

Pages that stand open hear of calls at the same moment and ask for themselves again at once. What
costs most, the sums of a large ledger, is then the same for all who may see the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Joined:
    """Works each thing out once at a time. For threads; nothing is kept when it is done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Give what ``make`` gives, also where another thread makes it already; raise what it
        raises. ``key`` holds all that the answer depends on, and who may see it."""
        with self._lock:
            there = self._under_way.get(key)
            if there is None:
                mine = self._under_way[key] = Future()
        if there is not None:
            shared: T = there.result()
            return shared
        try:
            made = make()
            mine.set_result(made)
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[key]
        return made
