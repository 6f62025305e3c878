"""What a gateway adds to the time of a call that takes 60 ms by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Bound, Target, median, number, paired_median, percentile
from benchmarks.payloads import PACED_MODEL, request_body
from benchmarks.processes import LOAD_CORE, CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table

RATE: Final = 500.0
_SECONDS: Final = 6.0
_QUICK_SECONDS: Final = 3.0
_GRACE_S: Final = 40.0
_COMPARED: Final = ("direct", "nginx", "tollkeeper")


def open_loop(
    url: str,
    headers: Mapping[str, str],
    body: Path,
    *,
    rate: float,
    seconds: float,
    seed: int,
) -> dict[str, Any]:
    """Run the open-loop client in a process of its own, on the load's core."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.open_loop"]
    command += ["--url", url, "--body", str(body), "--rate", str(rate)]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"the calls to {url} did not end") from None
    if ran.returncode:
        raise CouldNotRun(f"calls to {url} failed: {ran.stderr[-300:]}")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def latency(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure, round by round, and compare each round with the calls made directly."""
    body = setting.folder / "paced.body"
    body.write_bytes(request_body(1_024, PACED_MODEL))
    seconds = _SECONDS if setting.rounds > 2 else _QUICK_SECONDS
    targets = [setting.targets[name] for name in _COMPARED if name in setting.targets]
    times: dict[str, list[list[float]]] = {target.name: [] for target in targets}
    failed = dict.fromkeys(times, 0)
    for turn in range(setting.rounds):
        for target in targets if turn % 2 == 0 else reversed(targets):
            setting.settle()
            advance(f"added latency: {target.name}, round {turn + 1}")
            ran = open_loop(
                target.paced_url,
                target.headers,
                body,
                rate=RATE,
                seconds=seconds,
                seed=turn,
            )
            if not ran["latency_ms"]:
                raise CouldNotRun(f"no call to {target.name} was answered")
            times[target.name].append(ran["latency_ms"])
            failed[target.name] += ran["failed"]
    return _findings(times, failed)


def _findings(
    times: Mapping[str, Sequence[Sequence[float]]], failed: Mapping[str, int]
) -> Findings:
    found = Findings("latency", "Added latency")
    table = Table(["target", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms", "failed"])
    quantiles = {
        name: {share: [percentile(run, share) or 0.0 for run in runs] for share in (0.5, 0.99)}
        for name, runs in times.items()
    }
    added: dict[str, dict[float, float | None]] = {}
    for name, of in quantiles.items():
        added[name] = {
            share: paired_median(of[share], quantiles["direct"][share], relative=False)
            for share in of
        }
        table.add(
            name,
            number(median(of[0.5])),
            number(median(of[0.99])),
            "" if name == "direct" else number(added[name][0.5]),
            "" if name == "direct" else number(added[name][0.99]),
            str(failed[name]),
        )
    title = f"Poisson arrivals, {RATE:.0f}/s, an upstream that takes 60 ms"
    found.tables.append((title, table))
    ours = added.get("tollkeeper", {})
    found.targets = [
        Target("added latency, p50", ours.get(0.5), Bound.BELOW, 0.15, "ms"),
        Target("added latency, p99", ours.get(0.99), Bound.BELOW, 0.5, "ms"),
    ]
    found.raw = {
        name: {f"p{share * 100:g}": values for share, values in of.items()}
        for name, of in quantiles.items()
    }
    direct = quantiles["direct"][0.99]
    found.notes.append(
        "Latencies count from the moment at which a call was due. The direct calls' own p99 "
        f"varied between {number(min(direct))} and {number(max(direct))} ms over the rounds: "
        "smaller differences than that say nothing."
    )
    return found
