"""How soon is a change in force? Budgets are lowered and keys revoked while calls go on.

Two gateways share a store. A change is in force when the last call that was let through has been
answered, on either of them.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.figures import Bound, Target, median, number, percentile
from benchmarks.processes import CouldNotRun
from benchmarks.tables import Findings, Table
from budget_desks import DOLLAR, budget
from capped import answer, beside, capped, chat
from raw_http import RawConnection, request
from rough_upstream import RoughUpstream
from running import Deployment
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budgets import Budget
from tollkeeper.storage.store.store import SqlStore

CHANGES: Final = 50
_TARGET_MS: Final = 1_000
_REFUSED_IN_ROW: Final = 5
_WAIT_S: Final = 10.0
_LIMIT: Final = 1_000_000 * DOLLAR
_OK: Final = 200
_LATE_MAX_S: Final = 0.25  # so that changes fall anywhere between two looks at the store


def changes(folder: Path, advance: Callable[[str], None], count: int = CHANGES) -> Findings:
    """Lower a budget and revoke keys, so many times each."""
    found = Findings("changes", "How soon a change is in force")
    table = Table(["", "changes", "p50 ms", "p99 ms", "latest ms"])
    for name, measure in (("a budget is lowered", _lowered), ("a key is revoked", _revoked)):
        advance(f"changes: {name}")
        home = folder / name.replace(" ", "-")
        home.mkdir()
        with _gateways(home) as (made, ports, store):
            took_ms = measure(made, ports, store, count)
        p99 = percentile(took_ms, 0.99)
        table.add(name, str(count), number(median(took_ms)), number(p99), number(max(took_ms)))
        text = f"{name}: refused on two gateways, p99"
        found.targets.append(Target(text, p99, Bound.AT_MOST, _TARGET_MS, "ms"))
    found.tables.append(("After the change was written", table))
    return found


@contextmanager
def _gateways(folder: Path) -> Iterator[tuple[Deployment, list[int], SqlStore]]:
    """Run two gateways on one store, under one budget that is never used up."""
    cap = budget(limit=_LIMIT)
    with (
        RoughUpstream(answer) as provider,
        capped(folder, provider, [cap]) as made,
        beside(made, folder / "second") as port,
        closing(bootstrap.open_store(made.folder)) as store,
    ):
        yield made, [made.port, port], store


def _lowered(made: Deployment, ports: list[int], store: SqlStore, count: int) -> list[float]:
    found = []
    for _ in range(count):
        _until_open(ports, made.key)
        time.sleep(random.uniform(0, _LATE_MAX_S))
        _limit(store, 0)
        found.append(_in_force_ms(ports, made.key))
        _limit(store, _LIMIT)
    return found


def _limit(store: SqlStore, limit: int) -> None:
    known: Budget = store.budgets()[0]
    if not store.change_budget(known._replace(limit=limit, version=known.version + 1)):
        raise CouldNotRun("the budget was changed by somebody else")


def _revoked(made: Deployment, ports: list[int], store: SqlStore, count: int) -> list[float]:
    found = []
    for number_of_key in range(count):
        key = made.issue(f"key {number_of_key}")
        _until_open(ports, key)
        time.sleep(random.uniform(0, _LATE_MAX_S))
        store.revoke_key(key.split("_")[2], clock.now_us())
        found.append(_in_force_ms(ports, key))
    return found


def _until_open(ports: list[int], key: str) -> None:
    until_s = time.monotonic() + _WAIT_S
    while not all(_status(port, key) == _OK for port in ports):
        if time.monotonic() > until_s:
            raise CouldNotRun("calls are refused that should not be")


def _in_force_ms(ports: list[int], key: str) -> float:
    """Call until all are refused; say when the last that was not had its answer."""
    changed_s, last_s, refused = time.monotonic(), 0.0, 0
    while refused < _REFUSED_IN_ROW:
        began_s = time.monotonic()
        if began_s - changed_s > _WAIT_S:
            raise CouldNotRun(f"a change was not in force after {_WAIT_S} s")
        if all(_status(port, key) != _OK for port in ports):
            refused += 1
        else:
            last_s, refused = time.monotonic() - changed_s, 0
    return last_s * 1_000


def _status(port: int, key: str) -> int:
    with RawConnection(port) as connection:
        headers = {"authorization": f"Bearer {key}"}
        connection.send(request("/v1/chat/completions", chat(), headers))
        return connection.answer().status


def main() -> None:
    """Print the targets."""
    with tempfile.TemporaryDirectory(prefix="changes-") as folder:
        found = changes(Path(folder), lambda text: print(text, file=sys.stderr))
    print(report.outcome([found]))


if __name__ == "__main__":
    main()
