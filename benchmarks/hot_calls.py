"""What one call costs the gateway itself, without sockets: see ``benchmarks/in_process.py``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from benchmarks.figures import number
from benchmarks.in_process import KINDS
from benchmarks.processes import PROXY_CORE, CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table

_MODULE: Final = "benchmarks.in_process"
_LIMIT_S: Final = 120.0
_NAMES: Final = {
    "plain": "1 KB request, 1 KB reply",
    "new heads": "the same, but no two requests have the same head",
    "stream": "stream of 50 chunks",
    "hidden": "the same, with a usage that is hidden",
    "large": "100 KB request, 1 KB reply",
}


def hot_calls(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Time and count each kind of call, in processes of their own."""
    advance("calls without sockets")
    times = _ran("--seconds", str(2 * setting.rounds))
    found = Findings("hot", "One call without sockets", raw={"us": times})
    counts: dict[str, float] = {}
    if shutil.which("valgrind"):
        for kind in KINDS:
            advance(f"instructions of a call: {kind}")
            counts |= _ran("--count", kind)
        found.raw["instructions"] = counts
    table = Table(["", "µs, at best", "thousand instructions"])
    for kind in KINDS:
        counted = counts.get(kind)
        shown = number(None if counted is None else counted / 1_000)
        table.add(_NAMES[kind], number(times[kind]), shown)
    found.tables.append(("What the gateway itself does for a call, between two memories", table))
    found.notes = [
        "Neither the kernel's network nor the load generator has a part in these figures, so they "
        "also compare two states of the code on a machine that does other work. Instructions are "
        "counted with valgrind, where it is installed, and hardly vary.",
    ]
    return found


def _ran(*options: str) -> dict[str, float]:
    command = ["taskset", "-c", str(PROXY_CORE), sys.executable, "-m", _MODULE, *options]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if ran.returncode:
        raise CouldNotRun(ran.stderr[-300:])
    measured: dict[str, float] = json.loads(ran.stdout)
    return measured
