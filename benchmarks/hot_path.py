"""Where the time of one call goes: a profile of the gateway while it carries small calls."""

from __future__ import annotations

import os
import pstats
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import wrk
from benchmarks.figures import number
from benchmarks.payloads import PLAIN_REQUEST
from benchmarks.processes import PROXY_CORE, Child, CouldNotRun
from benchmarks.profiled_gateway import FILE_VARIABLE
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from benchmarks.targets import HOST, Target, answers, free_port

_LOAD_S: Final = 3.0
_WRITE_S: Final = 15.0
_SHOWN: Final = 12
_WRITES: Final = frozenset(
    {("exchange.py", "send"), ("exchange.py", "write"), ("exchange.py", "end")}
    | {("upstream.py", "send"), ("upstream.py", "send_more")}
)
_SENDING: Final = "sending (the kernel's part of two writes)"
_PARSING: Final = ("upstream.py", "data_received")
_READING: Final = "http1 (with parsing the reply's head)"

Stats = Mapping[tuple[str, int, str], tuple[Any, int, float, float, Mapping[Any, Any]]]


def hot_path(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Profile a gateway of its own, without a console."""
    tollkeeper = setting.require_tollkeeper()
    setting.settle()
    advance("profile of the hot path")
    found = Findings("profile", "Where the time goes")
    plain = setting.targets["tollkeeper"]
    script = wrk.write_script(setting.folder / "profile.lua", plain.headers, PLAIN_REQUEST)
    share = _kernel_share(plain, script)
    setting.settle()
    tollkeeper.end()
    try:
        stats, calls = _profiled(setting, script)
    finally:
        tollkeeper.start()
        setting.targets["tollkeeper"] = tollkeeper.target()
    shares, functions = by_package(stats, calls), by_function(stats, calls)
    total = sum(shares.values())
    table = Table(["part of the gateway", "share of its Python time", "µs each, profiled"])
    for name, took_us in sorted(shares.items(), key=lambda item: -item[1]):
        if took_us > total / 100:
            table.add(name, f"{took_us / total:.0%}", number(took_us))
    found.tables.append(("One 1 KB call, by part", table))
    table = Table(["function", "own µs each, profiled"])
    for name, took_us in functions[:_SHOWN]:
        table.add(name, number(took_us))
    found.tables.append(("The functions with the most time of their own", table))
    count = sum(stat[1] for stat in stats.values()) / calls
    found.notes = [
        f"Without the profiler, {share:.0%} of the gateway's processor time is the kernel's.",
        f"A call is {number(count)} function calls, C functions included. The profiler makes "
        "each of them dearer, so small functions look worse than they are: read the shares, "
        "not the microseconds.",
    ]
    return found


def _kernel_share(target: Target, script: Path) -> float:
    def times() -> tuple[int, int]:
        user, system = 0, 0
        for pid in target.pids:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(words[11]), system + int(words[12])
        return user, system

    before = times()
    wrk.run(target, script, _LOAD_S)
    user, system = (after - first for after, first in zip(times(), before, strict=True))
    return system / max(1, user + system)


def _profiled(setting: Setting, script: Path) -> tuple[Stats, int]:
    tollkeeper = setting.require_tollkeeper()
    file, port = setting.folder / "gateway.prof", free_port()
    command = [sys.executable, "-m", "benchmarks.profiled_gateway", "--alone"]
    command += ["--config", str(tollkeeper.config), "--data", str(tollkeeper.data)]
    environment = {FILE_VARIABLE: str(file), "TOLLKEEPER_LISTEN__PORT": str(port)}
    log = setting.folder / "profiled.log"
    with Child(command, log, core=PROXY_CORE, environment=environment) as child:
        child.wait_until(lambda: answers(port, tollkeeper.headers))
        target = Target("profiled", f"http://{HOST}:{port}", "", tollkeeper.headers, [child.pid])
        wrk.run(target, script, 1)
        os.kill(child.pid, signal.SIGUSR1)
        run = wrk.run(target, script, _LOAD_S)
        os.kill(child.pid, signal.SIGUSR1)
        until_s = time.monotonic() + _WRITE_S
        while not file.exists():
            if time.monotonic() > until_s:
                raise CouldNotRun("the profiled gateway wrote no profile")
            time.sleep(0.05)
    stats: Stats = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]
    return stats, round(run.per_s * _LOAD_S)


def by_package(stats: Stats, calls: int) -> dict[str, float]:
    """Sum up own time by package, in µs for each call; C functions count for their caller."""
    sums: defaultdict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own_s, _, callers) in stats.items():
        if file == "~":
            for caller, (_, _, caller_s, _) in callers.items():
                sums[_package(caller[0], caller[2])] += caller_s
        else:
            sums[_package(file, name)] += own_s
    return {name: own_s / calls * 1e6 for name, own_s in sums.items()}


def by_function(stats: Stats, calls: int) -> list[tuple[str, float]]:
    """List functions with their own time in µs for each call, the greatest first."""
    found = [
        (f"`{_short(file)}{name}`", own_s / calls * 1e6)
        for (file, _, name), (_, _, own_s, _, _) in stats.items()
    ]
    return sorted(found, key=lambda item: -item[1])


def _package(file: str, name: str) -> str:
    if (Path(file).name, name) in _WRITES:
        return _SENDING
    if (Path(file).name, name) == _PARSING:
        return _READING
    _, inside, rest = file.partition("tollkeeper/")
    if not inside:
        return "standard library and others"
    package = rest.split("/")[0]
    return _READING if package == "http1" else package.removesuffix(".py")


def _short(file: str) -> str:
    if file == "~":
        return ""
    return f"{file.rpartition('tollkeeper/')[2]}: "
