"""Makes the n-th call of the system fail: a write that tears, a sync that errs, a full disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CALLS = ("pwrite", "fdatasync", "fsync", "ftruncate", "posix_fallocate", "rename")


class Failing:
    """Fails the ``number``-th of the named calls, and the ``times - 1`` after it.

    A write fails in its middle: half of its bytes are there afterwards. ``failed`` tells
    whether it came to that.
    """

    def __init__(self, names: tuple[str, ...], number: int, error: int, times: int = 1) -> None:
        self.failed = False
        self._numbers = range(number, number + times)
        self._error = error
        self._count = 0
        self._real = {name: getattr(os, name) for name in names}

    def install(self) -> None:
        for name in self._real:
            setattr(os, name, self._wrapped(name))

    def remove(self) -> None:
        for name, real in self._real.items():
            setattr(os, name, real)

    def _wrapped(self, name: str) -> Any:
        real = self._real[name]

        def call(*arguments: Any) -> Any:
            self._count += 1
            if self._count not in self._numbers:
                return real(*arguments)
            self.failed = True
            if name == "pwrite":
                fd, data, offset = arguments
                real(fd, bytes(data)[: len(data) // 2], offset)
            raise OSError(self._error, os.strerror(self._error))

        return call


@contextmanager
def failing(names: tuple[str, ...], number: int, error: int) -> Iterator[Failing]:
    """Let calls of this process fail inside the block."""
    fault = Failing(names, number, error)
    fault.install()
    try:
        yield fault
    finally:
        fault.remove()


def main() -> None:
    """Run a gateway whose calls fail as TEST_FAULT says: ``call:number:errno:times``."""
    from tollkeeper.bootstrap.gateway import main as gateway

    name, number, error, times = os.environ.pop("TEST_FAULT").split(":")  # noqa: TID251
    Failing((name,), int(number), int(error), int(times)).install()
    gateway()


if __name__ == "__main__":
    main()
