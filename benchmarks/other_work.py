"""How much of the processor others had while something was measured.

A load average says what wanted the processor in the minutes before, which is mostly the run
before. This is the time of all cores that was not idle meanwhile, less what this process had and
all that it started.
"""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import tree

LIMIT: Final = 0.05
"""The part of all cores from which on figures are not those of a machine in peace.

Counting was off by at most 0.01 beside work of all kinds that was counted for itself, 0.003 of it
the kernel's own threads, which are nobody's. A twentieth makes what wants all cores a twentieth
slower, which is less than rounds differ by among themselves.
"""

_KEEP_ORPHANS: Final = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_IDLE: Final = slice(4, 6)  # of a line of /proc/stat: idle, and idle while a disk is waited for
_OF_PROCESS: Final = slice(11, 15)  # user, system, and both of children that have ended


class Moment(NamedTuple):
    """What passed of the wall clock, how long cores were idle by then (all together), and how much
    of them this process had with all that it started. In seconds, since whenever."""

    clock_s: float
    idle_s: float
    own_s: float


class OtherWork:
    """Watches what else the machine does, from now on."""

    def __init__(self) -> None:
        # What a child leaves behind as it ends (a browser does) stays below us, and is counted.
        ctypes.CDLL(None).prctl(_KEEP_ORPHANS, 1, 0, 0, 0)
        self._began = moment()

    def share(self) -> float:
        """Give the part of all cores that others had since then (0 to 1).

        What the host of a virtual machine took away is others' as well.
        """
        return share_of(self._began, moment(), os.cpu_count() or 1)


def share_of(began: Moment, ended: Moment, cores: int) -> float:
    """Give the part of all cores between two moments that was neither idle nor our own.

    Not what /proc/stat counts as busy: that is counted in ticks, which miss short bursts.
    """
    passed_s = (ended.clock_s - began.clock_s) * cores
    others_s = passed_s - (ended.idle_s - began.idle_s) - (ended.own_s - began.own_s)
    return min(1.0, max(0.0, others_s) / passed_s) if passed_s > 0 else 0.0


def is_much(share: float) -> bool:
    """Tell whether others had so much that figures are not those of a machine in peace."""
    return share > LIMIT


def told(share: float) -> str:
    """Write how much others had: "3.2% of the 2 cores"."""
    return f"{share:.1%} of the {os.cpu_count() or 1} cores"


def idle_ticks(stat: str) -> int:
    """Read from the text of /proc/stat how long all cores were idle together."""
    for line in stat.splitlines():
        if line.startswith("cpu "):
            return sum(map(int, line.split()[_IDLE]))
    raise ValueError("there is no line of all cores")


def own_ticks(stat: str) -> int:
    """Read from the text of /proc/<pid>/stat how much a process had, and its ended children."""
    return sum(map(int, stat.rpartition(")")[2].split()[_OF_PROCESS]))


def moment() -> Moment:
    """Read all three now."""
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    idle = idle_ticks(Path("/proc/stat").read_text())
    own = sum(map(_of_process, tree(os.getpid())))
    return Moment(time.monotonic(), idle / ticks_per_s, own / ticks_per_s)


def _of_process(pid: int) -> int:
    with suppress(OSError):  # it ended meanwhile: its parent has what it had
        return own_ticks(Path(f"/proc/{pid}/stat").read_text())
    return 0
