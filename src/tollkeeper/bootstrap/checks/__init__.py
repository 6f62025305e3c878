"""What ``tollkeeper doctor`` looks at: one small check for each thing that can be wrong.

A check never raises and changes nothing that stays. It says what it found, and, where that
is not good, what to do.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from tollkeeper.bootstrap.running_server import RunningServer
from tollkeeper.config import Configuration
from tollkeeper.ports import DataFolder


class State(enum.StrEnum):
    """How a check ended. Only ``FAIL`` means that something does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(NamedTuple):
    """What one check found. ``remedy`` says what to do, "" where there is nothing to do."""

    name: str
    state: State
    finding: str
    remedy: str = ""


class Place(NamedTuple):
    """What is examined. ``server`` is the one that runs on the data folder, if any.

    ``configuration`` has the defaults where the real one cannot be read.
    """

    configuration: Configuration
    data: DataFolder
    server: RunningServer | None


def ok(name: str, finding: str) -> Check:
    """Say that all is well."""
    return Check(name, State.OK, finding)


def warn(name: str, finding: str, remedy: str) -> Check:
    """Say what works and may not go on working."""
    return Check(name, State.WARN, finding, remedy)


def fail(name: str, finding: str, remedy: str) -> Check:
    """Say what does not work."""
    return Check(name, State.FAIL, finding, remedy)


def size_text(count: int) -> str:
    """Write a number of bytes for people."""
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit in {"bytes", "KB"} else f"{size:,.1f} {unit}"
