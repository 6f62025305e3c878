"""Parts of an answer that may be worked out side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Beside(Protocol):
    """Works something out, on another thread maybe, while its caller goes on."""

    def __call__(self, make: Callable[[], T]) -> Callable[[], T]:
        """Begin; what comes back gives what ``make`` gives, or raises what it raises."""


def at_once(make: Callable[[], T]) -> Callable[[], T]:
    """Work it out by oneself, when it is asked for."""
    return make
