"""Explore, asked on several threads while calls are loaded and summed up: all is of one moment.

One more call is loaded whenever a thread is lent, before or just after it begins. So whatever does
not see what its asker sees says a number that does not fit the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import count
from threading import get_ident
from typing import Any, Final, TypeVar

import pytest

from ledger_entries import ledger_entry
from ledgers import open_sqlite
from tollkeeper.domain.access import Scope
from tollkeeper.domain.beside import Beside
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import QUARTER_HOUR_US
from tollkeeper.reports.explore import Explored, explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.period import period_named
from tollkeeper.storage.sqlite.ledger import SqliteLedger

T = TypeVar("T")

NOW_US: Final = 1_790_000_100_000_000
FIRST: Final = 40
_numbers = count(FIRST)
QUESTIONS: Final = (
    ("cost_usd", "team", "bars"),
    ("cost_usd", "team", "heat"),
    ("tokens", "customer", "heat"),
    ("cost_usd", "session", "bars"),
    ("sessions", "session", "bars"),
    ("sessions", "team", "bars"),
    ("cost_per_session_usd", "team session", "bars"),
    ("duration_p50_ms", "customer", "bars"),
    ("ttft_p95_ms", "team", "heat"),
    ("duration_p95_ms", "session", "bars"),
)


def call(number: int) -> LedgerEntry:
    """Give a call with a session of its own, in this month or the one before."""
    return ledger_entry(
        started_at_us=NOW_US - (1 + number % 3000) * QUARTER_HOUR_US,
        team=f"team {number % 3}",
        end_customer=f"customer {number % 5}",
        session_id=f"session {number}",
        duration_ms=100 + number,
        ttft_ms=10 + number,
    )


class Loading:
    """Lends threads, and loads calls meanwhile, every other of which is summed up at once."""

    def __init__(self, ledger: SqliteLedger, pool: ThreadPoolExecutor) -> None:
        self._ledger = ledger
        self._pool = pool

    def __call__(self, make: Callable[[], T]) -> Callable[[], T]:
        number = next(_numbers)
        if number % 3 == 0:
            self._load(number)
        begun: Future[T] = self._pool.submit(make)
        if number % 3 == 1:
            self._load(number)
        return begun.result

    def _load(self, number: int) -> None:
        self._ledger.append([call(number)], None)
        if number % 2:
            self._ledger.sum_up(left_max=0)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteLedger]:
    with closing(open_sqlite(tmp_path_factory.mktemp("beside"))) as opened:
        opened.append([call(number) for number in range(FIRST)], None)
        opened.sum_up(left_max=0)
        yield opened


def ask(ledger: SqliteLedger, asked: tuple[str, str, str], beside: Beside) -> Explored:
    metric, by, view = asked
    period = period_named("30d", "Europe/Berlin", NOW_US)
    question = ExploreQuestion(period, metric, tuple(by.split()), view=view, limit=2)
    return explore(ledger, Scope(call(0).org), question, NOW_US, beside)


@pytest.mark.parametrize("asked", QUESTIONS)
def test_parts_are_those_of_their_totals(
    ledger: SqliteLedger, pool: ThreadPoolExecutor, asked: tuple[str, str, str]
) -> None:
    metric, by, view = asked
    lent = Loading(ledger, pool)
    for _ in range(3):
        found = ask(ledger, asked, lent)
        now = found.comparison.now
        assert found.other is not None
        rows = (*found.rows, found.other)
        assert sum(row.requests for row in rows) == found.total.requests == now.requests
        if "session" in by:  # each call has its own
            both = now.requests + found.comparison.before.requests
            assert found.groups == both
        if metric == "sessions":
            assert found.total.now == now.requests
        if metric == "cost_per_session_usd":
            assert now.cost_usd is not None
            assert found.total.now == now.cost_usd / now.requests
        if metric in {"cost_usd", "tokens"} and view == "heat":
            assert sum(value for value in found.heat.values() if value) == found.total.now
        if metric == "tokens":
            assert sum(pair[0] for pair in found.kinds.values()) == found.total.now


@pytest.mark.parametrize("asked", QUESTIONS)
def test_threads_change_no_answer(
    ledger: SqliteLedger, pool: ThreadPoolExecutor, asked: tuple[str, str, str]
) -> None:
    one = ask(ledger, asked, lambda make: make)
    assert ask(ledger, asked, lambda make: pool.submit(make).result) == one


def test_what_is_read_ahead_is_of_the_moment_asked_about(
    ledger: SqliteLedger, pool: ThreadPoolExecutor
) -> None:
    """With as many calls as there were, and one more: the median tells them apart."""
    timed = ledger.timed(())
    table = timed.select("team", value=timed.durations_ms)
    cells = table.select("team").distinct()
    cells = cells.mutate(of_team=cells.team)
    with ledger.snapshot():
        known = ledger.nearest_ranks(table, "value", cells, [("of_team",)], 100)
        for lent in (Loading(ledger, pool), lambda make: pool.submit(make).result):
            ledger.read_ahead(lent, table, "value")
            assert ledger.nearest_ranks(table, "value", cells, [("of_team",)], 100) == known


@pytest.mark.parametrize("by", ["model", "customer", "team customer"])
def test_what_is_read_ahead_is_not_read_again(
    ledger: SqliteLedger, pool: ThreadPoolExecutor, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SqliteLedger._cells
    readings: list[int] = []

    def counted(*asked: Any) -> Any:
        readings.append(get_ident())
        return read(*asked)

    monkeypatch.setattr(SqliteLedger, "_cells", counted)
    ask(ledger, ("duration_p50_ms", by, "bars"), lambda make: pool.submit(make).result)
    assert len(readings) == 1
    assert readings[0] != get_ident()


def test_another_thread_is_used(ledger: SqliteLedger, pool: ThreadPoolExecutor) -> None:
    sums = ledger.entries().agg(entries=ledger.entries().count())
    threads = []

    def counted() -> object:
        with ledger.snapshot():
            threads.append(ledger._snapshots.connection)
            return ledger.run(sums)

    with ledger.snapshot():
        mine = ledger._snapshots.connection
        alike = ledger.beside(lambda make: pool.submit(make).result, counted)()
        ledger.append([call(10**6)], None)
        later = ledger.beside(lambda make: pool.submit(make).result, counted)()
        assert ledger.run(sums) == alike == later
    assert threads[0] is not mine
    assert threads[1] is mine
