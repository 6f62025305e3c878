"""Percentiles beside the sums of both periods, where one reading of finer sums gives these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from ledger_entries import ledger_entry
from ledgers import open_sqlite
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.overview import compared
from tollkeeper.reports.period import period_named
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

NOW_US: Final = 1_795_000_000_000_000
USD: Final = 10**9
PERIOD: Final = period_named("7d", "UTC", NOW_US)
FILTERS: Final = parse_filters("tag:env=production")
ORG: Final = ledger_entry().org


@pytest.fixture(params=["duckdb", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DuckDbLedger | SqliteLedger]:
    in_memory = request.param == "duckdb"
    opened = DuckDbLedger(Path(":memory:")) if in_memory else open_sqlite(tmp_path)
    with closing(opened):
        yield opened


def entry(place: int, **fields: Any) -> LedgerEntry:
    """One of ``place`` hours into the period (or before it), that the filter keeps."""
    fields = {"tags": {"env": "production"}, "cost_nanos": USD, **fields}
    return ledger_entry(started_at_us=PERIOD.start_us + 3_600_000_000 * place, **fields)


@pytest.mark.parametrize("group_by", [("model",), ("customer", "user")])
@pytest.mark.parametrize("calls_apart", [False, True])
def test_both_periods_are_summed_as_anywhere_else(
    ledger: DuckDbLedger | SqliteLedger, group_by: tuple[str, ...], calls_apart: bool
) -> None:
    """Also where calls of several models, some without a price, have to be told apart."""
    found = [
        *(
            entry(place, end_customer=f"c{place % 3}", duration_ms=100 * place)
            for place in range(5)
        ),
        *(entry(place, duration_ms=70) for place in (-1, -20, -30)),  # the first in neither
        entry(3, cost_nanos=None, end_customer="c1", duration_ms=50),
        entry(3, tags={"env": "staging"}, duration_ms=9_000),
    ]
    if calls_apart:
        first = entry(4, cost_nanos=None, duration_ms=60)
        found += [first, first._replace(part=1, entry_id=f"{first.entry_id}-1")]
    ledger.append(found, Position("a", 1))
    ledger.sum_up(left_max=0)
    question = ExploreQuestion(PERIOD, "duration_p95_ms", group_by, FILTERS, "day")
    answer = explore(ledger, Scope(ORG), question, NOW_US)
    assert [answer.comparison] == compared(ledger, Scope(ORG), FILTERS, (PERIOD,))
    now, before = answer.comparison.now, answer.comparison.before
    assert (now.requests, now.cost_usd, before.requests) == (6 + calls_apart, Decimal(5), 2)
    assert (now.unpriced_calls, now.unpriced) == ((2, 3) if calls_apart else (1, 1))
    assert (answer.total.now, answer.total.before) == (400, 70)
    assert sum(row.requests for row in answer.rows) == now.requests
    alone = explore(ledger, Scope(ORG), replace(question, compare=False), NOW_US)
    assert [(row.keys, row.now) for row in alone.rows if row.requests] == [
        (row.keys, row.now) for row in answer.rows if row.requests
    ]


@pytest.mark.parametrize("metric", ["cost_usd", "sessions"])
def test_a_tag_that_is_filtered_by_is_none_of_what_groups_are_alike_in(
    ledger: DuckDbLedger | SqliteLedger, metric: str
) -> None:
    """Rows of one customer are one group, and yet only those with the tag belong to it."""
    staging = entry(3, tags={"env": "staging"}, session_id="s-2")
    ledger.append([entry(1, session_id="s-1"), staging], Position("a", 1))
    ledger.sum_up(left_max=0)
    question = ExploreQuestion(PERIOD, metric, ("customer",), FILTERS, "day")
    answer = explore(ledger, Scope(ORG), question, NOW_US)
    assert [(row.now, row.requests) for row in answer.rows] == [(1, 1)]
    assert (answer.total.now, answer.total.requests) == (1, 1)
