"""How long ``tollkeeper serve`` takes on a folder that is in use already."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.figures import Bound, Target, median, number, spread
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table


def startup(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Stop and start it, and make a call as soon as one is answered."""
    tollkeeper = setting.require_tollkeeper()
    times: list[float] = []
    for turn in range(setting.rounds):
        advance(f"start: round {turn + 1}")
        setting.settle()
        tollkeeper.end()
        times.append(tollkeeper.start(pinned=False))
    tollkeeper.end()
    tollkeeper.start()
    setting.targets["tollkeeper"] = tollkeeper.target()
    found = Findings("start", "Start", raw={"seconds": times})
    table = Table(["", "seconds (median)", "least to greatest"])
    table.add("from the command to the first answered call", number(median(times)), spread(times))
    found.tables.append(("`tollkeeper serve` on an existing data folder", table))
    found.targets = [Target("`serve` ready", median(times), Bound.BELOW, 1, "s")]
    return found
