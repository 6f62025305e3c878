"""Answers from sums by the quarter-hour are those from single entries, to the last digit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbitrary_entries import corrected_entries
from ledgers import open_duckdb, open_sqlite
from reports_of_entries import EntriesAlone
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.ports import QUARTER_HOUR_US, Ledger, Position
from tollkeeper.reports import zones
from tollkeeper.reports.bridge import ChangesQuestion, changes
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.forecast import forecast
from tollkeeper.reports.keys import key_tools, key_uses
from tollkeeper.reports.live import live_figures
from tollkeeper.reports.overview import OverviewQuestion, overview
from tollkeeper.reports.period import Period, period_between, period_named
from tollkeeper.reports.usage import UsageQuestion, usage
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger
from tollkeeper.storage.summed_columns import ROW

if TYPE_CHECKING:
    pass

NOW_US = zones.epoch_us_of(datetime(2026, 11, 18, 15, 37, 11, 250, tzinfo=UTC))
PERIODS = [
    period_named("7d", "Asia/Kathmandu", NOW_US),  # offset by hours and three quarters
    period_named("30h", "America/New_York", NOW_US),  # neither bound begins a quarter-hour
    period_between("2026-10-30", "2026-11-05", "America/New_York", NOW_US),  # clocks change
    period_between("2026-10-01", "2026-10-07", "Australia/Lord_Howe", NOW_US),  # by half an hour
]
FILTERS = [
    "team:core",
    "-outcome:ok,provider:openai",
    "weekday:3,hour_of_day:9",
    "tag:feature=chat",
    "session:s1",
    "-customer:c1",
    "basis:unpriced",
]
DIMENSIONS = [
    *("team", "user", "key", "model", "status", "streamed"),
    *("session", "customer", "tag:feature", "call"),
]
METRICS = [
    *("cost_usd", "requests", "tokens", "users", "sessions", "calls"),
    *("duration_p95_ms", "ttft_p50_ms"),
    *("cost_per_user_usd", "error_rate", "customers", "cost_per_session_usd"),
]
_numbers = count()
Summing = DuckDbLedger | SqliteLedger
_ENGINES: dict[str, Callable[[Path, str], Summing]] = {
    "duckdb": open_duckdb,
    "sqlite": open_sqlite,
}


@pytest.fixture(
    scope="module",
    params=[
        ("duckdb", "America/New_York"),
        pytest.param(("duckdb", "Australia/Lord_Howe"), marks=pytest.mark.long),
        pytest.param(("sqlite", "America/New_York"), marks=pytest.mark.long),
        pytest.param(("sqlite", "Asia/Kathmandu"), marks=pytest.mark.long),
    ],
    ids="-".join,
)
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Summing]:
    engine, zone = request.param
    opened = _ENGINES[engine](tmp_path_factory.mktemp("summed"), zone)
    yield opened
    opened.close()


@st.composite
def some_time(draw: st.DrawFn) -> tuple[Period, list[LedgerEntry]]:
    """A period, and entries in it and the one before, many in the quarter-hours of its bounds."""
    period = draw(st.sampled_from(PERIODS))
    before = period.previous()
    bounds = [before.start_us, before.until_us, period.start_us, period.end_us]
    near = st.builds(
        lambda bound, less: bound - bound % QUARTER_HOUR_US + less,
        st.sampled_from(bounds),
        st.integers(0, QUARTER_HOUR_US - 1),
    )
    moments = near | st.sampled_from([at_us - less for at_us in bounds for less in (0, 1)])
    moments |= st.integers(before.start_us, period.end_us - 1)
    return period, draw(corrected_entries(moments))


def stored(ledger: Summing, entries: Sequence[LedgerEntry], summed: int) -> Scope:
    """Put entries into an organisation of their own; sum up most of those before a place.

    Some of their sessions are others' as well, some have several entries, and some one.
    """
    org = f"org-{next(_numbers)}"
    mine = [
        entry._replace(org=org, session_id=entry.session_id and sessions[number % 4])
        for number, entry in enumerate(entries)
        for sessions in [("s1", f"{org} {number}", f"{org} {number % 8}", entry.session_id)]
    ]
    ledger.append(mine[:summed], Position(org, 1))
    ledger.sum_up(left_max=summed % 4)  # some stay as they are, and some are in no day
    ledger.append(mine[summed:], Position(org, 2))
    return Scope(org)


QUESTIONS = (
    some_time(),
    st.integers(0, 12),
    st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True),
    st.sampled_from(METRICS),
    st.sampled_from(["", *FILTERS]),
    st.sampled_from(["", "change", "name", "requests"]),
)


def answers(
    of: Ledger,
    scope: Scope,
    period: Period,
    group_by: list[str],
    metric: str,
    filters: str,
    sort: str,
) -> list[object]:
    """Ask every report that sums are good for; those with filters as far as they take them."""
    chosen, groups, by = parse_filters(filters), tuple(group_by), (group_by or ["model"])[0]
    sessions = tuple(dict.fromkeys(("session", *groups)))
    few = ExploreQuestion(period, metric, sessions, chosen, view="table", sort=sort, limit=2)
    one = ExploreQuestion(period, metric, groups, chosen, sort=sort, limit=1)
    found: list[object] = [
        explore(of, scope, one, NOW_US),
        explore(of, scope, ExploreQuestion(period, metric, groups, chosen), NOW_US),
        explore(of, scope, few, NOW_US),
        explore(of, scope, ExploreQuestion(period, metric, (), chosen, view="heat"), NOW_US),
        usage(of, scope, UsageQuestion(period, (metric,), ("day", *groups), chosen)),
        forecast(of, scope, period.zone, chosen, NOW_US),
    ]
    if "hour_of_day" in filters:
        return found
    question = ChangesQuestion(period, period.previous(), by, chosen)
    why = changes(of, scope, question, PriceBook("none", {}), NOW_US)
    rows = tuple(replace(row, model="") for row in why.rows)  # of any of their models
    return [
        *found,
        overview(of, scope, OverviewQuestion(period, by, chosen), NOW_US),
        replace(why, total=replace(why.total, key=None, name="", model=""), rows=rows),
        key_uses(of, scope, period),
        {key: set(tools) for key, tools in key_tools(of, scope, period).items()},
        live_figures(of, scope, period.zone, NOW_US),
    ]


def check(
    ledger: Summing, some: tuple[Period, list[LedgerEntry]], summed: int, *asked: Any
) -> None:
    period, entries = some
    scope = stored(ledger, entries, summed)
    with_sums = answers(ledger, scope, period, *asked)
    without = answers(EntriesAlone(ledger, "", ""), scope, period, *asked)
    for one, other in zip(with_sums, without, strict=True):
        assert one == other


@settings(max_examples=6, deadline=None)
@given(*QUESTIONS)
def test_every_report_says_the_same_with_sums_as_without(
    ledger: Summing,
    some: Any,
    summed: int,
    group_by: Any,
    metric: str,
    filters: str,
    sort: str,
) -> None:
    check(ledger, some, summed, group_by, metric, filters, sort)


@pytest.mark.long
@settings(max_examples=100, deadline=None)
@given(*QUESTIONS)
def test_many_reports_say_the_same_with_sums_as_without(
    ledger: Summing,
    some: Any,
    summed: int,
    group_by: Any,
    metric: str,
    filters: str,
    sort: str,
) -> None:
    check(ledger, some, summed, group_by, metric, filters, sort)


@settings(max_examples=10, deadline=None)
@given(st.lists(some_time(), min_size=1, max_size=3))
def test_sums_are_the_sums_of_all_entries(
    ledger: Summing, several: list[tuple[Period, list[LedgerEntry]]]
) -> None:
    for _, entries in several:
        stored(ledger, entries, len(entries) // 2)
    ledger.sum_up(left_max=0)
    table = ledger.entries()
    names = ("cost_usd", "list_cost_usd", "saved_usd", "tokens_in", "requests", "unpriced", "sign")
    with ledger.snapshot():
        of_entries = ledger.run(table.agg(**{name: table[name].sum() for name in names}))
        sums = ledger.summed(())
        of_sums = ledger.run(sums.agg(**{name: sums[name].sum() for name in names}))
        rows = ledger.run(sums.agg(rows=sums.count()))[0]["rows"]
    assert of_sums == of_entries
    assert isinstance(of_sums[0]["cost_usd"], Decimal | None)
    assert rows <= ledger.run(table.agg(rows=table.count()))[0]["rows"]


def test_a_time_zone_is_away_by_whole_quarters_of_an_hour() -> None:
    moments = [
        datetime(year, month, 1, tzinfo=UTC) for year in range(1980, 2041) for month in (1, 7)
    ]
    for name in sorted(available_timezones()):
        zone = zones.zone_info(name)
        for moment in moments:
            shift = moment.astimezone(zone).utcoffset()
            assert shift is not None
            assert not shift.total_seconds() % 900, (name, moment)


def test_the_table_of_sums_has_its_columns_in_their_order(tmp_path: Path) -> None:
    """Sums and single entries are put together by the places of their columns."""
    open_duckdb(tmp_path).close()
    with duckdb.connect(str(tmp_path / "ledger.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT * FROM quarter_hours").description
    assert [column[0] for column in found] == [column.name for column in ROW]
    open_sqlite(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as file:
        described = file.execute("SELECT * FROM quarter_hours").description
    assert [column[0] for column in described] == [column.name for column in ROW]
