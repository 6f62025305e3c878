"""All other groups of a metric that does not add up: asked anew, over exactly their calls."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from ledger_entries import ledger_entry
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Outcome
from tollkeeper.ports import Position
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.measures import Value
from tollkeeper.reports.period import period_named
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

NOW_US = 1_795_000_000_000_000
USD = 10**9


@pytest.mark.parametrize(
    ("metric", "first", "rest"),
    [
        ("cost_per_session_usd", Decimal(9), Decimal(2)),
        ("cost_per_request_usd", Decimal(9), Decimal(1)),
        ("error_rate", Decimal(0), Decimal("0.25")),
        ("sessions", 2, 2),
        ("duration_p95_ms", Decimal(100), Decimal(400)),
    ],
)
def test_all_others_are_asked_anew(metric: str, first: Value, rest: Value) -> None:
    period = period_named("7d", "UTC", NOW_US)
    ledger = DuckDbLedger(Path(":memory:"))
    large = [
        ledger_entry(
            started_at_us=period.start_us + place,
            end_customer="large",
            session_id=f"s{place}",
            cost_nanos=9 * USD,
            duration_ms=100,
        )
        for place in range(2)
    ]
    small = [
        ledger_entry(
            started_at_us=period.start_us + 60_000_000 + place,
            end_customer=f"small {place}",
            session_id=f"of two {place // 2}",
            cost_nanos=USD,
            duration_ms=100 * (place + 1),
            outcome=Outcome.UPSTREAM_ERROR if place == 1 else Outcome.OK,
        )
        for place in range(4)
    ]
    ledger.append([*large, *small], Position("a", 1))
    org = large[0].org
    question = ExploreQuestion(
        period, metric, ("customer",), (), "none", sort="name", limit=1, view="table"
    )
    found = explore(ledger, Scope(org), question, NOW_US)
    ledger.close()
    assert [row.names for row in found.rows] == [("large",)]
    assert found.other is not None
    assert found.other.requests == 4
    assert found.rows[0].now == first
    assert found.other.now == rest


def test_sessions_by_flags_and_numbers_have_an_order() -> None:
    """False and 0 are values as others are, also where the rest of the order is the same."""
    period = period_named("7d", "UTC", NOW_US)
    ledger = DuckDbLedger(Path(":memory:"))
    entries = [
        ledger_entry(
            started_at_us=period.start_us + place,
            session_id="s",
            streamed=bool(place % 2),
            status=200 * (place // 2),
        )
        for place in range(4)
    ]
    ledger.append(entries, Position("a", 1))
    ledger.sum_up(left_max=0)
    group_by = ("session", "streamed", "status")
    question = ExploreQuestion(period, "requests", group_by=group_by, view="table")
    answer = explore(ledger, Scope(entries[0].org), question, NOW_US)
    expected = [("s", False, 0), ("s", False, 200), ("s", True, 0), ("s", True, 200)]
    assert [row.keys for row in answer.rows] == expected
    ledger.close()


@pytest.mark.parametrize(
    ("unpriced", "known"),
    [(False, Decimal(0)), (True, None)],
)
def test_what_all_others_cost_by_step_is_told_from_what_is_not_known(
    unpriced: bool, known: Value
) -> None:
    """Taken off the whole both are 0: which it is, the entries of all others tell."""
    period = period_named("7d", "UTC", NOW_US)
    ledger = DuckDbLedger(Path(":memory:"))
    entries = [
        ledger_entry(
            started_at_us=period.start_us + 3_600_000_000 * place,
            session_id=f"s{place // 2}",
            cost_nanos=3 * USD if place < 2 else None if unpriced else 0,
            duration_ms=100 * (place + 1),
        )
        for place in range(6)
    ]
    ledger.append(entries, Position("a", 1))
    ledger.sum_up(left_max=0)
    question = ExploreQuestion(period, "cost_usd", ("session",), (), "day", limit=1)
    found = explore(ledger, Scope(entries[0].org), question, NOW_US)
    assert [row.by_step[0] for row in found.rows] == [Decimal(6)]
    assert found.rest_by_step[0] == known
    question = replace(question, metric="sessions", limit=2)
    found = explore(ledger, Scope(entries[0].org), question, NOW_US)
    assert (found.rest_by_step[0], found.total_by_step[0]) == (1, 3)
    question = replace(question, metric="duration_p95_ms", limit=2)
    found = explore(ledger, Scope(entries[0].org), question, NOW_US)
    assert (found.rest_by_step[0], found.total_by_step[0]) == (600, 600)
    ledger.close()
