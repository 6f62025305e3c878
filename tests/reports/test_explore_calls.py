"""The first groups by single call: the same in steps as in one query, however many have several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from ledger_entries import START_US, ledger_entry
from ledgers import open_duckdb, open_sqlite
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.reports import explore_calls
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.masking import MaskedLedger
from tollkeeper.reports.period import Period
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

DAY_US = 86_400_000_000
END_US = START_US + 7 * DAY_US
PERIOD = Period("7d", "UTC", START_US, END_US, END_US)
COUNT = 60


def entry(number: int) -> LedgerEntry:
    """Give an entry of one of two periods: a third of them go on, and many cost the same."""
    further = number % 3 == 1
    return ledger_entry(
        entry_id=f"e{number}",
        call_id=f"c{(number - further) * 37 % 100:02}",
        attempt=1 + further,
        started_at_us=START_US + (number * 5 % 14 - 7) * DAY_US + number,
        cost_nanos=None if number % 11 == 0 else (number % 5) * 10**9,
        unpriced_reason="no price" if number % 11 == 0 else "",
        team=("core", "web")[number % 2],
        session_id=("", f"s{number}")[number % 2],
    )


@pytest.fixture(scope="module", params=[open_duckdb, open_sqlite])
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DuckDbLedger | SqliteLedger]:
    with closing(request.param(tmp_path_factory.mktemp("calls"))) as opened:
        entries = [entry(number) for number in range(COUNT)]
        opened.append(entries[: COUNT // 2], Position("segment", 1))
        opened.sum_up(left_max=0)
        opened.append(entries[COUNT // 2 :], Position("segment", 2))
        yield opened


@pytest.mark.parametrize("spare", [0, 100])
@pytest.mark.parametrize(
    ("metric", "by", "filters", "sort"),
    [
        ("cost_usd", "call", "", "value"),
        ("cost_usd", "call user", "", "change"),
        ("requests", "call team", "", "value"),
        ("cost_usd", "session call", "", "name"),
        ("error_rate", "call", "", "value"),
        ("duration_p95_ms", "call", "-team:core", "value"),
    ],
)
def test_calls_come_in_the_order_of_one_query(
    ledger: DuckDbLedger | SqliteLedger,
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
    by: str,
    filters: str,
    sort: str,
    spare: int,
) -> None:
    monkeypatch.setattr(explore_calls, "SPARE", spare)
    groups, chosen = tuple(by.split()), parse_filters(filters)
    question = ExploreQuestion(PERIOD, metric, groups, chosen, sort=sort, limit=4)
    scope, masked = Scope("acme"), MaskedLedger(ledger, "salt", "")
    asked = [
        replace(question, limit=limit, compare=compare)
        for limit, compare in ((4, True), (COUNT, False))
    ]
    in_steps = [explore(masked, scope, each, PERIOD.end_us) for each in asked]
    with monkeypatch.context() as changed:
        changed.setattr(type(ledger), "keeps_calls_apart", lambda _: False)
        at_once = [explore(masked, scope, each, PERIOD.end_us) for each in asked]
    assert in_steps[0].groups > 4
    for one, other in zip(in_steps, at_once, strict=True):
        assert one == other
