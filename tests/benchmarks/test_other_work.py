"""What other work took while something was measured: all that was not idle, and not our own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.other_work import Moment, idle_ticks, is_much, own_ticks, share_of, told

STAT = """\
cpu  5234274 3524986 1308271 1854379 35489 0 52335 11458 0 0
cpu0 2507383 1731935 636708 1094024 13213 0 19420 5611 0 0
cpu1 2726891 1793050 671562 760354 22276 0 32914 5847 0 0
intr 102228048 0 12051 6390
ctxt 305223812
btime 1795823000
"""
"""As Linux 6.18 has it: two cores, no interrupts of their own, some time taken by the host."""

PROCESS = (
    "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 6420 918312 0 3 250 125 3001 401 20 0 9 0 "
    "5801234 1290240000 31415 18446744073709551615 1 1 0 0 0 0 0 4096 2 0 0 0 17 1 0 0 0 0 0\n"
)
"""One whose name tries to be the end of its name."""

BUSY = "import time\nwhile time.process_time() < 0.4: pass"
WITH_AN_ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}])"
_WATCHING = """
import subprocess, sys, time
from benchmarks import other_work
other_work.OtherWork()
began = other_work.moment()
subprocess.run([sys.executable, "-c", {child!r}], check=True)
deadline = time.monotonic() + 20
while (own := other_work.moment().own_s - began.own_s) < 0.4 and time.monotonic() < deadline:
    time.sleep(0.05)
print(own)
"""


def test_idle_is_also_what_waits_for_a_disk() -> None:
    assert idle_ticks(STAT) == 1854379 + 35489
    with pytest.raises(ValueError, match="no line of all cores"):
        idle_ticks("cpu0 1 2 3 4 5 6 7 8\n")


def test_own_is_what_a_process_had_and_its_ended_children() -> None:
    assert own_ticks(PROCESS) == 250 + 125 + 3001 + 401


def test_others_have_what_was_neither_idle_nor_own() -> None:
    began = Moment(clock_s=100, idle_s=1_000, own_s=7)
    assert share_of(began, Moment(110, 1_010, 14), 2) == pytest.approx(0.15)
    assert share_of(began, Moment(110, 1_020, 7), 2) == 0
    assert share_of(began, Moment(110, 1_010.1, 17), 2) == 0  # counted in ticks, a bit too much
    assert share_of(began, began, 2) == 0


def test_a_twentieth_is_still_peace() -> None:
    assert [is_much(share) for share in (0, 0.05, 0.051, 1)] == [False, False, True, True]
    assert told(0.0321).startswith("3.2% of the ")


def test_what_children_leave_behind_is_our_own() -> None:
    """A process that outlives its parent, as some of a browser's do, and ends unheeded."""
    ours = subprocess.run(
        [sys.executable, "-c", _WATCHING.format(child=WITH_AN_ORPHAN)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert float(ours) >= 0.39


def test_a_share_is_a_part_of_all_cores() -> None:
    script = "from benchmarks.other_work import OtherWork; print(OtherWork().share())"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 0 <= float(ran.stdout) <= 1
