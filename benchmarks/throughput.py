"""Requests per second and processor time: small replies, streams, large requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import wrk
from benchmarks.figures import Bound, Target, median, number, paired_median, ratio, spread
from benchmarks.payloads import (
    LARGE_REQUEST,
    PLAIN_REQUEST,
    STREAM_REQUEST,
    STREAM_REQUEST_WITHOUT_USAGE,
)
from benchmarks.processes import CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from benchmarks.targets import Target as Answering

_SATURATED: Final = 0.97
_SLOW: Final = "LiteLLM"
_SLOW_S: Final = 4.0
_WARM_S: Final = 1.0


class Workload(NamedTuple):
    """What is asked for. ``beside`` names what else than nginx it is compared with."""

    name: str
    title: str
    body: bytes
    compared: tuple[str, ...]
    heads_differ: bool = False


PLAIN: Final = Workload(
    "plain",
    "1 KB request, 1 KB reply",
    PLAIN_REQUEST,
    ("direct", "nginx", "tollkeeper", _SLOW),
)
NEW_HEADS: Final = Workload(
    "plain",
    "The same, but no two requests have the same head",
    PLAIN_REQUEST,
    ("nginx", "tollkeeper"),
    heads_differ=True,
)
STREAM: Final = Workload(
    "stream",
    "Stream of 50 chunks",
    STREAM_REQUEST,
    ("direct", "nginx", "tollkeeper", _SLOW),
)
HIDDEN: Final = Workload(
    "stream",
    "The same, but the client did not ask for the usage, so the gateway asks and hides it",
    STREAM_REQUEST_WITHOUT_USAGE,
    ("nginx", "tollkeeper"),
)
LARGE: Final = Workload(
    "large",
    "100 KB request, 1 KB reply",
    LARGE_REQUEST,
    ("direct", "nginx", "tollkeeper"),
)

Runs = dict[str, list[wrk.Run]]


def measure(setting: Setting, workload: Workload, advance: Callable[[str], None]) -> Runs:
    """Run all rounds: targets interleaved, in reversed order every second round."""
    targets = [setting.targets[name] for name in workload.compared if name in setting.targets]
    runs: Runs = {target.name: [] for target in targets}
    scripts = {target.name: _script(setting.folder, workload, target) for target in targets}
    for target in targets:
        if target.name != _SLOW:
            wrk.run(target, scripts[target.name], _WARM_S)  # connections, caches
    for turn in range(setting.rounds):
        for target in targets if turn % 2 == 0 else reversed(targets):
            setting.settle()
            advance(f"{workload.title}: {target.name}, round {turn + 1}")
            run = _run(setting, target, scripts[target.name])
            if run is not None:
                runs[target.name].append(run)
    return {name: done for name, done in runs.items() if done}


def _run(setting: Setting, target: Answering, script: Path) -> wrk.Run | None:
    """Load a target. LiteLLM gets longer, and may fail without spoiling the others."""
    if target.name != _SLOW:
        return wrk.run(target, script, setting.seconds)
    try:
        return wrk.run(target, script, max(_SLOW_S, setting.seconds))
    except CouldNotRun as error:
        setting.missing[_SLOW] = str(error)
        return None


def _script(folder: Path, workload: Workload, target: Answering) -> Path:
    path = folder / f"{workload.name}-{target.name}-{workload.heads_differ}.lua"
    return wrk.write_script(path, target.headers, workload.body, heads_differ=workload.heads_differ)


def per_s(runs: Runs, name: str) -> list[float]:
    """Give one target's requests per second, round by round."""
    return [run.per_s for run in runs.get(name, [])]


def cpu_us(runs: Runs, name: str) -> list[float]:
    """Give one target's processor time per request, round by round."""
    return [run.cpu_us for run in runs.get(name, []) if run.cpu_us is not None]


def table(runs: Runs) -> Table:
    """Set the targets side by side."""
    found = Table(
        [
            "target",
            "requests/s (median)",
            "least to greatest",
            "CPU µs each",
            "of nginx",
            "of nginx, by CPU",
            "times LiteLLM",
            "failed",
        ]
    )
    for name, done in runs.items():
        speed, cpu = per_s(runs, name), cpu_us(runs, name)
        found.add(
            name,
            number(median(speed)),
            spread(speed),
            number(median(cpu)),
            number(paired_median(speed, per_s(runs, "nginx"), relative=True)),
            number(paired_median(cpu_us(runs, "nginx"), cpu, relative=True)),
            number(paired_median(speed, per_s(runs, _SLOW), relative=True)),
            str(sum(run.failed for run in done)),
        )
    return found


def notes(workload: Workload, runs: Runs) -> list[str]:
    """Say where the load generator, and not the target, was the limit."""
    found = []
    for name, done in runs.items():
        busy = median([run.load_core_busy for run in done]) or 0.0
        if name != "direct" and busy > _SATURATED:
            found.append(
                f"{workload.title}: while {name} was loaded, the core of wrk and upstream was "
                f"{busy:.0%} busy, so {name} could have answered more; compare the CPU there."
            )
    limit, fastest = median(per_s(runs, "direct")), median(per_s(runs, "nginx"))
    room = ratio(limit, fastest)
    if room is not None:
        found.append(
            f"{workload.title}: wrk and the upstream alone reach {number(limit)}/s, "
            f"{number(room)} times what they reach through nginx."
        )
    return found


def raw(runs: Runs) -> dict[str, list[dict[str, float | int | None]]]:
    """Give every run, for the JSON file."""
    return {name: [run._asdict() for run in done] for name, done in runs.items()}


def _findings(
    name: str, title: str, measured: Sequence[tuple[Workload, Runs]], setting: Setting
) -> Findings:
    found = Findings(name, title)
    for workload, runs in measured:
        found.tables.append((workload.title, table(runs)))
        found.notes += notes(workload, runs)
        found.raw[workload.title] = raw(runs)
    reason = setting.missing.get(_SLOW)
    if reason and _SLOW in measured[0][0].compared:
        found.notes.append(f"{_SLOW} could not be measured in full: {reason}.")
    return found


def plain(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Small calls."""
    runs, differing = (measure(setting, work, advance) for work in (PLAIN, NEW_HEADS))
    found = _findings(
        "plain", "Calls without streaming", [(PLAIN, runs), (NEW_HEADS, differing)], setting
    )
    ours = per_s(runs, "tollkeeper")
    found.targets = [
        Target(
            "1 KB call: requests/s against nginx",
            paired_median(ours, per_s(runs, "nginx"), relative=True),
            Bound.AT_LEAST,
            0.50,
            "times",
        ),
        Target(
            "1 KB call: requests/s against LiteLLM",
            paired_median(ours, per_s(runs, _SLOW), relative=True),
            Bound.AT_LEAST,
            150,
            "times",
        ),
        Target(
            "1 KB call: CPU of the gateway",
            median(cpu_us(runs, "tollkeeper")),
            Bound.AT_MOST,
            30,
            "µs",
        ),
    ]
    return found


def stream(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Streams whose 50 chunks come at once."""
    runs, hidden = (measure(setting, work, advance) for work in (STREAM, HIDDEN))
    found = _findings("stream", "Streams", [(STREAM, runs), (HIDDEN, hidden)], setting)
    found.targets = [
        Target(
            f"{title}: streams/s against unbuffered nginx",
            paired_median(per_s(these, "tollkeeper"), per_s(these, "nginx"), relative=True),
            Bound.AT_LEAST,
            0.9,
            "times",
        )
        for title, these in (("50 chunks", runs), ("50 chunks, usage hidden", hidden))
    ]
    return found


def large(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Calls with long prompts."""
    runs = measure(setting, LARGE, advance)
    found = _findings("large", "Long prompts", [(LARGE, runs)], setting)
    found.targets = [
        Target(
            "100 KB request: CPU against nginx",
            paired_median(cpu_us(runs, "tollkeeper"), cpu_us(runs, "nginx"), relative=True),
            Bound.AT_MOST,
            1.5,
            "times",
        )
    ]
    return found
