"""What others feel while somebody guesses keys: their p99 with ten thousand guesses a second.

What guesses and what calls share a core with the upstream. How much of a difference is theirs
and not the gateway's shows where the same guesses go past it, to the upstream.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from benchmarks.figures import Bound, Target, median, number, paired_median, percentile
from benchmarks.latency import open_loop
from benchmarks.payloads import PACED_MODEL, request_body
from benchmarks.processes import LOAD_CORE, CouldNotRun
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table

GUESSES_PER_S: Final = 10_000.0
RATE: Final = 200.0
RIGHT: Final = 0.1
QUIET: Final = "nobody guesses"
PAST: Final = "guesses go past the gateway, to the upstream"
MALFORMED: Final = "guesses, every checksum wrong"
UNKNOWN: Final = f"guesses, {RIGHT:.0%} with the right checksum"
_SECONDS: Final = 5.0
_QUICK_SECONDS: Final = 3.0
_LEAD_S: Final = 1.0
"""How much longer is guessed than called, so that nobody calls while nobody guesses yet."""

_GRACE_S: Final = 30.0
_P99_MAX: Final = 1.2
_TIMES: Final = ("", "p50 ms", "p99 ms", "p99 against nobody")
_WANTED: Final = {MALFORMED: "401", UNKNOWN: "401", PAST: "200"}


class Ran(NamedTuple):
    """One turn: the others' latencies in ms, how many failed, the gateway's processor time, and
    what came of the guesses."""

    latency_ms: Sequence[float]
    failed: int
    cpu_s: float
    per_s: float
    answered: Mapping[str, int]


def guesses(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure, round by round, and compare each round with the one in which nobody guesses."""
    setting.require_tollkeeper()
    ran: dict[str, list[Ran]] = {name: [] for name in (QUIET, PAST, MALFORMED, UNKNOWN)}
    for turn in range(setting.rounds):
        for name in ran if turn % 2 == 0 else reversed(ran):
            setting.settle()
            advance(f"guesses: {name}, round {turn + 1}")
            ran[name].append(_turn(setting, name, turn))
    return _findings(ran)


def _turn(setting: Setting, name: str, turn: int) -> Ran:
    body = setting.folder / "guessed-at.body"
    body.write_bytes(request_body(1_024, PACED_MODEL))
    ours = setting.targets["tollkeeper"]
    seconds = _SECONDS if setting.rounds > 2 else _QUICK_SECONDS
    to = setting.targets["direct"].url if name == PAST else ours.url
    right = RIGHT if name == UNKNOWN else 0.0
    per_s, answered = 0.0, {}
    cpu_s = ours.cpu_s()
    with _guessing(to, right, seconds + _LEAD_S, turn, go=name != QUIET) as told:
        found = open_loop(ours.paced_url, ours.headers, body, rate=RATE, seconds=seconds, seed=turn)
        if name != QUIET:
            guessed = told()
            per_s, answered = guessed["per_s"], guessed["answered"]
    if not found["latency_ms"]:
        raise CouldNotRun("no call was answered")
    return Ran(found["latency_ms"], found["failed"], ours.cpu_s() - cpu_s, per_s, answered)


@contextmanager
def _guessing(
    url: str, right: float, seconds: float, seed: int, *, go: bool
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Guess in a process of its own while something else is done; give what waits for its end."""
    if not go:
        yield dict
        return
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.guessing"]
    command += ["--url", url, "--rate", str(GUESSES_PER_S), "--right", str(right)]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise CouldNotRun("nothing could be guessed")

            def told() -> dict[str, Any]:
                said, _ = process.communicate(timeout=_GRACE_S)
                found: dict[str, Any] = json.loads(said)
                return found

            yield told
        finally:
            process.kill()


def _findings(ran: Mapping[str, Sequence[Ran]]) -> Findings:
    found = Findings("guesses", "While somebody guesses keys")
    table = Table(
        [
            "",
            "p50 ms",
            "p99 ms",
            "p99 against nobody",
            "failed",
            "guesses/s",
            "refused",
            "CPU µs each",
        ]
    )
    p99 = {
        name: [percentile(each.latency_ms, 0.99) or 0.0 for each in turns]
        for name, turns in ran.items()
    }
    against = {
        name: paired_median(values, p99[QUIET], relative=True) for name, values in p99.items()
    }
    for name, turns in ran.items():
        table.add(
            name,
            number(median([percentile(each.latency_ms, 0.5) or 0.0 for each in turns])),
            number(median(p99[name])),
            "" if name == QUIET else number(against[name]),
            str(sum(each.failed for each in turns)),
            "" if name == QUIET else number(median([each.per_s for each in turns])),
            "" if name in {QUIET, PAST} else _refused(turns),
            "" if name in {QUIET, PAST} else number(_cpu_us(turns, ran[QUIET])),
        )
    title = f"Others' calls, {RATE:.0f}/s at an upstream that takes 60 ms"
    found.tables.append((title, table))
    found.targets = [
        Target(f"{name}: p99 of the others", against[name], Bound.BELOW, _P99_MAX, "times")
        for name in (MALFORMED, UNKNOWN)
    ]
    found.raw = {
        name: [
            {"p99": value, "per_s": each.per_s, "answered": dict(each.answered)}
            for value, each in zip(p99[name], turns, strict=True)
        ]
        for name, turns in ran.items()
    }
    found.notes += _odd_answers(ran)
    return found


def _refused(turns: Sequence[Ran]) -> str:
    """Say which share of the answers was 401."""
    all_of = sum(sum(each.answered.values()) for each in turns)
    refused = sum(each.answered.get("401", 0) for each in turns)
    return f"{refused / all_of:.1%}" if all_of else "n/a"


def _cpu_us(turns: Sequence[Ran], quiet: Sequence[Ran]) -> float | None:
    """Give the gateway's time for one guess: what it took more than in the round without."""
    found = []
    for each, without in zip(turns, quiet, strict=True):
        answered = sum(each.answered.values())
        if answered:
            found.append((each.cpu_s - without.cpu_s) / answered * 1e6)
    return median(found)


def _odd_answers(ran: Mapping[str, Sequence[Ran]]) -> list[str]:
    """Name answers to guesses that were not to be expected."""
    found = []
    for name, wanted in _WANTED.items():
        odd: dict[str, int] = {}
        for each in ran.get(name, ()):
            for status, count in each.answered.items():
                if status != wanted:
                    odd[status] = odd.get(status, 0) + count
        if odd:
            said = ", ".join(f"{count} times {status}" for status, count in sorted(odd.items()))
            found.append(f"{name}: {said}.")
    return found
