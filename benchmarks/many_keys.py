"""Calls per second of a gateway with ten keys in its store, and of one with a hundred thousand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import wrk
from benchmarks.figures import Bound, Target, median, number, paired_median, spread
from benchmarks.key_check import fill_store
from benchmarks.payloads import PLAIN_REQUEST
from benchmarks.setting import Setting
from benchmarks.tables import Findings, Table
from benchmarks.targets import Tollkeeper, Upstreams
from tollkeeper import bootstrap
from tollkeeper.ports import DataFolder

FEW: Final = 10
MANY: Final = 100_000
SOME: Final = 10_000
_WARM_S: Final = 2.0
_AT_LEAST: Final = 0.95


class _Case(NamedTuple):
    """So many keys in the store, of which so many call in turn."""

    stored: int
    calling: int

    @property
    def title(self) -> str:
        return f"{self.stored:,} keys, {self.calling:,} of them call in turn"


_CASES: Final = (_Case(FEW, FEW), _Case(MANY, FEW), _Case(MANY, SOME))


def many_keys(setting: Setting, advance: Callable[[str], None]) -> Findings:
    """Measure all cases in each round, in reversed order every second round."""
    assert setting.upstreams is not None
    gateways, tokens = {}, {}
    for stored in (FEW, MANY):
        advance(f"keys: a store with {stored:,}")
        made, tokens[stored] = _gateway(
            setting.folder / f"keys-{stored}", setting.upstreams, stored
        )
        setting.stops.callback(made.end)
        made.start()
        gateways[stored] = made
    try:
        return _findings(_runs(setting, gateways, tokens, advance))
    finally:
        for made in gateways.values():
            made.end()


def _gateway(home: Path, upstreams: Upstreams, stored: int) -> tuple[Tollkeeper, list[str]]:
    """Make a deployment, and fill its store up to so many keys; give the tokens of these."""
    home.mkdir()
    made = Tollkeeper(home, upstreams)
    data = DataFolder(made.data)
    first = made.headers["Authorization"].removeprefix("Bearer ")
    there = 2  # the first one, and the management key
    like = first.split("_")[2]
    tokens = fill_store(data, bootstrap.open_vault(data), like, stored - there)
    return made, [first, *tokens]


def _runs(
    setting: Setting,
    gateways: Mapping[int, Tollkeeper],
    tokens: Mapping[int, Sequence[str]],
    advance: Callable[[str], None],
) -> dict[_Case, list[wrk.Run]]:
    runs: dict[_Case, list[wrk.Run]] = {case: [] for case in _CASES}
    scripts = {}
    for case in _CASES:
        calling = tokens[case.stored][: case.calling]
        path = setting.folder / f"keys-{case.stored}-{case.calling}.lua"
        headers = gateways[case.stored].headers
        scripts[case] = wrk.write_script(path, headers, PLAIN_REQUEST, tokens=calling)
        wrk.run(gateways[case.stored].target(), scripts[case], _WARM_S)
    for turn in range(setting.rounds):
        for case in _CASES if turn % 2 == 0 else reversed(_CASES):
            for made in gateways.values():
                made.settle()
            advance(f"keys: {case.title}, round {turn + 1}")
            run = wrk.run(gateways[case.stored].target(), scripts[case], setting.seconds)
            runs[case].append(run)
    return runs


def _findings(runs: Mapping[_Case, Sequence[wrk.Run]]) -> Findings:
    found = Findings("keys", "Few keys and many")
    table = Table(
        ["", "requests/s (median)", "least to greatest", "CPU µs each", "of few keys", "failed"]
    )
    speed = {case: [run.per_s for run in done] for case, done in runs.items()}
    against = {
        case: paired_median(values, speed[_CASES[0]], relative=True)
        for case, values in speed.items()
    }
    for case, done in runs.items():
        table.add(
            case.title,
            number(median(speed[case])),
            spread(speed[case]),
            number(median([run.cpu_us for run in done if run.cpu_us is not None])),
            number(against[case]),
            str(sum(run.failed for run in done)),
        )
    found.tables.append(("1 KB request, 1 KB reply", table))
    name = f"{MANY:,} keys in the store: requests/s against {FEW}"
    found.targets = [Target(name, against[_CASES[1]], Bound.AT_LEAST, _AT_LEAST, "times")]
    found.notes.append(
        "With ten thousand keys that call in turn, no head of a request is one that was seen a "
        "moment ago: compare this line with the one of differing heads."
    )
    found.raw = {case.title: [run._asdict() for run in done] for case, done in runs.items()}
    return found
