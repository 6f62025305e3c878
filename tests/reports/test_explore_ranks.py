"""Percentiles of Explore, sorted out by hand: of all, of groups, of the rest and of each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbitrary_entries import corrected_entries
from ledgers import open_duckdb
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import QUARTER_HOUR_US, Position
from tollkeeper.reports import zones
from tollkeeper.reports.explore import Explored, explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.measures import MEASURES
from tollkeeper.reports.period import Period, period_between, period_named
from tollkeeper.storage.columns import COUNTS
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

NOW_US: Final = zones.epoch_us_of(datetime(2026, 11, 18, 15, 37, 11, 250, tzinfo=UTC))
PERIODS: Final = (
    period_named("7d", "Asia/Kathmandu", NOW_US),
    period_named("30h", "America/New_York", NOW_US),  # neither bound begins a quarter-hour
    period_between("2026-10-30", "2026-11-05", "America/New_York", NOW_US),  # clocks change
)
KEYS: Final[dict[str, Callable[[LedgerEntry], object]]] = {
    "team": lambda entry: entry.team,
    "model": lambda entry: entry.model_served or entry.model_requested,
    "streamed": lambda entry: entry.streamed,
    "status": lambda entry: entry.status,
    "session": lambda entry: entry.session_id,
    "tag:feature": lambda entry: entry.tags.get("feature"),
}
METRICS: Final = [name for name, measure in MEASURES.items() if measure.percentile[0]]
_numbers = count()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbLedger]:
    with closing(open_duckdb(tmp_path_factory.mktemp("ranks"))) as opened:
        yield opened


@st.composite
def some_time(draw: st.DrawFn) -> tuple[Period, list[LedgerEntry]]:
    """A period, and entries in it and the one before, many about the bounds of both."""
    period = draw(st.sampled_from(PERIODS))
    before = period.previous()
    bounds = [before.start_us, before.until_us, period.start_us, period.end_us]
    near = st.integers(-QUARTER_HOUR_US, QUARTER_HOUR_US)
    moments = st.builds(lambda bound, more: bound + more, st.sampled_from(bounds), near)
    moments |= st.integers(before.start_us, period.end_us - 1)
    entries = draw(corrected_entries(moments))
    longest = draw(st.sampled_from([50, 50, 2**33, 2**63 - 1]))
    return period, [
        entry._replace(duration_ms=draw(st.integers(0, longest)))
        if longest > entry.duration_ms
        else entry
        for entry in entries
    ]


QUESTIONS: Final = (
    some_time(),
    st.integers(0, 12),
    st.lists(st.sampled_from(list(KEYS)), max_size=2, unique=True),
    st.sampled_from(METRICS),
    st.sampled_from([1, 2, 50]),
    st.sampled_from(["", "hour", "day", "none"]),
    st.booleans(),
)


@settings(max_examples=8, deadline=None)
@given(*QUESTIONS)
def test_percentiles_are_those_of_sorted_values(
    ledger: DuckDbLedger,
    some: tuple[Period, list[LedgerEntry]],
    summed: int,
    group_by: list[str],
    metric: str,
    limit: int,
    grain: str,
    compare: bool,
) -> None:
    check(ledger, some, summed, (metric, tuple(group_by), grain), limit, compare=compare)


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(*QUESTIONS)
def test_many_percentiles_are_those_of_sorted_values(
    ledger: DuckDbLedger,
    some: tuple[Period, list[LedgerEntry]],
    summed: int,
    group_by: list[str],
    metric: str,
    limit: int,
    grain: str,
    compare: bool,
) -> None:
    check(ledger, some, summed, (metric, tuple(group_by), grain), limit, compare=compare)


def check(
    ledger: DuckDbLedger,
    some: tuple[Period, list[LedgerEntry]],
    summed: int,
    asked: tuple[str, tuple[str, ...], str],
    limit: int,
    *,
    compare: bool,
) -> None:
    """Sum up the first entries, ask, and compare with what sorting them gives."""
    (period, entries), (metric, group_by, grain) = some, asked
    org = f"org-{next(_numbers)}"
    mine = [entry._replace(org=org) for entry in entries]
    ledger.append(mine[:summed], Position(org, 1))
    ledger.sum_up(left_max=0)
    ledger.append(mine[summed:], Position(org, 2))
    requests = [each for each in mine if COUNTS["requests"](each) == 1 and not each.revision]
    for view in ("bars", "heat"):
        question = ExploreQuestion(
            period, metric, group_by, grain=grain, limit=limit, compare=compare, view=view
        )
        answer = explore(ledger, Scope(org), question, NOW_US)
        check_groups(answer, period, requests)
        check_steps(answer, requests)
        check_heat(answer, period, requests)


def check_groups(answer: Explored, period: Period, requests: Sequence[LedgerEntry]) -> None:
    keys = [row.keys for row in answer.rows]
    before = period.previous()
    spans = {
        "now": within(requests, period.start_us, period.end_us),
        "before": within(requests, before.start_us, before.until_us),
    }
    for span, found in spans.items():
        if span == "before" and not answer.question.compare:
            found = []
        assert getattr(answer.total, span) == rank(answer, found)
        for row in answer.rows:
            of_row = [each for each in found if key_of(answer, each) == row.keys]
            assert getattr(row, span) == rank(answer, of_row)
        others = [each for each in found if key_of(answer, each) not in keys]
        if answer.other is not None:
            assert getattr(answer.other, span) == rank(answer, others)


def check_steps(answer: Explored, requests: Sequence[LedgerEntry]) -> None:
    series = [row for row in answer.rows if row.by_step]
    keys = [row.keys for row in series]
    for place, step in enumerate(answer.steps):
        found = within(requests, step.start_us, step.end_us)
        assert answer.total_by_step[place] == rank(answer, found)
        for row in series:
            of_row = [each for each in found if key_of(answer, each) == row.keys]
            assert row.by_step[place] == rank(answer, of_row)
        if answer.rest_by_step:
            others = [each for each in found if key_of(answer, each) not in keys]
            assert answer.rest_by_step[place] == rank(answer, others)


def check_heat(answer: Explored, period: Period, requests: Sequence[LedgerEntry]) -> None:
    if answer.question.view != "heat":
        return
    hours: dict[tuple[int, int], list[LedgerEntry]] = {}
    for each in within(requests, period.start_us, period.end_us):
        local = zones.moment_of(each.started_at_us).astimezone(zones.zone_info(period.zone))
        hours.setdefault((local.isoweekday(), local.hour), []).append(each)
    expected = {hour: rank(answer, found) for hour, found in hours.items()}
    found = {hour: value for hour, value in answer.heat.items() if value is not None}
    assert found == {hour: value for hour, value in expected.items() if value is not None}


def within(requests: Sequence[LedgerEntry], start_us: int, end_us: int) -> list[LedgerEntry]:
    return [each for each in requests if start_us <= each.started_at_us < end_us]


def key_of(answer: Explored, entry: LedgerEntry) -> tuple[object, ...]:
    return tuple(KEYS[name](entry) for name in answer.question.group_by)


def rank(answer: Explored, requests: Sequence[LedgerEntry]) -> int | None:
    """Give the value at rank ceil(n * percent / 100); None where there is none."""
    column, percent = MEASURES[answer.question.metric].percentile
    values = sorted(value for each in requests if (value := getattr(each, column)) is not None)
    return values[-(-len(values) * percent // 100) - 1] if values else None
