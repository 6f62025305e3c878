"""The memory of a running process, as the system counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from running import Deployment

_KB = 1024


def resident_bytes(pid: int) -> int:
    """Give what a process occupies now; skips the test where that cannot be known."""
    return _status(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Give the most that a process occupied since the peak was last reset."""
    return _status(pid, "VmHWM")


def _status(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("the memory of another process can be read on Linux only")
    for line in status.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * _KB
    raise LookupError(field)


@contextmanager
def grows_by_less_than(gateway: Deployment, size_bytes: int) -> Iterator[None]:
    """Fail when a gateway at any moment occupies so much more than at the beginning."""
    assert gateway.gateway is not None
    pid = gateway.gateway.process.pid
    before = resident_bytes(pid)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # starts the peak anew
    yield
    grown = peak_bytes(pid) - before
    assert grown < size_bytes, f"grew by {grown / 1024:.0f} KiB"
