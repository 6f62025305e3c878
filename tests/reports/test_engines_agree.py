"""Every engine gives the same documents, to the nano-dollar: random ledgers, random questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbitrary_entries import corrected_entries
from ledgers import open_duckdb, open_sqlite
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports import zones
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.keys import key_tools, key_uses
from tollkeeper.reports.live import live_figures
from tollkeeper.reports.measures import MEASURES
from tollkeeper.reports.overview import OverviewQuestion, overview
from tollkeeper.reports.period import Period, period_between, period_named
from tollkeeper.reports.source import LedgerReports
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

NOW_US = zones.epoch_us_of(datetime(2026, 11, 18, 15, 37, 11, 250, tzinfo=UTC))
DAY_US = 86_400_000_000
PERIODS = [
    period_named("30d", "Europe/Berlin", NOW_US),  # a day of 25 hours
    period_named("7d", "Asia/Kathmandu", NOW_US),
    period_between("2026-10-31T23:30:00Z", "2026-11-02T07:41:00Z", "America/New_York", NOW_US),
]
DIMENSIONS = [
    *("team", "user", "key", "model", "provider", "tool", "session", "customer", "status"),
    *("streamed", "outcome", "basis", "tag:feature", "call"),
]
TIMES = ["hour", "day", "week", "month", "weekday", "hour_of_day"]
FILTERS = [
    *("", "team:core", '-team:core,team:"r&d, ""x"""', "user:u1@acme.com", "streamed:true"),
    *("-tag:feature=chat", "tag:feature=", "weekday:7", "hour_of_day:1", "status:429", "session:"),
]
VIEWS = ["bars", "table", "heat"]
LARGE = "ignore:Generating overly large repr"  # of a ledger that is not the same in both
_numbers = count()

Engines = tuple[DuckDbLedger, SqliteLedger]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    folder = tmp_path_factory.mktemp("engines")
    both = open_duckdb(folder), open_sqlite(folder)
    yield both
    for each in both:
        each.close()


@st.composite
def some_entries(draw: st.DrawFn) -> list[LedgerEntry]:
    """Entries of some weeks, many just around what bounds a day or a quarter of an hour."""
    bounds = [at_us for period in PERIODS for at_us in (period.start_us, period.end_us)]
    near = st.builds(
        lambda at_us, less: at_us - less,
        st.sampled_from(bounds),
        st.sampled_from([-1, 0, 1, 900_000_000]),
    )
    found: list[LedgerEntry] = draw(
        corrected_entries(near | st.integers(NOW_US - 70 * DAY_US, NOW_US - 1))
    )
    large = draw(st.sampled_from([0, 0, 0, 10**19]))  # more than 64 bits hold
    calls: dict[str, int] = {}  # no two start at once: which is the newest would be anybody's guess
    return [
        each._replace(
            started_at_us=each.started_at_us
            + calls.setdefault(each.corrects if each.revision else each.entry_id, len(calls)),
            cost_nanos=each.cost_nanos and each.cost_nanos + each.sign * large,
        )
        for each in found
    ]


def stored(engines: Engines, entries: Sequence[LedgerEntry], summed: int) -> Scope:
    """Put the same entries into both; sum up those before a place."""
    org = f"org-{next(_numbers)}"
    mine = [entry._replace(org=org) for entry in entries]
    for engine in engines:
        engine.append(mine[:summed], Position(org, 1))
        engine.sum_up(left_max=0)
        engine.append(mine[summed:], Position(org, 2))
    return Scope(org)


def documents(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    groups: list[str],
    by_time: list[str],
    metric: str,
    filters: str,
    view: str,
) -> list[Any]:
    """Ask everything that people and programs ask."""
    source = LedgerReports(ledger, scope, lambda: NOW_US, zone=period.zone)
    chosen = parse_filters(filters)
    asked = {"from": _text(period.start_us), "to": _text(period.end_us), "tz": period.zone}
    asked["filter"] = filters
    found: list[Any] = [
        source.usage({**asked, "group_by": ",".join([*by_time, *groups]), "metrics": metric}),
        _in_any_order(source.savings(asked)),
        explore(
            ledger, scope, ExploreQuestion(period, metric, tuple(groups), chosen, view=view), NOW_US
        ),
    ]
    if not {each.dimension for each in chosen} & {"weekday", "hour_of_day"}:
        by = groups[0] if groups else "model"
        found += [
            source.forecast({"tz": period.zone, "filter": filters}),
            overview(ledger, scope, OverviewQuestion(period, by, chosen), NOW_US),
        ]
    calls = source.calls({**asked, "limit": "7"})
    found.append(calls)
    found += [source.call(each["call_id"]) for each in calls["calls"][:2]]
    found += [
        _without_main_tools(source.adoption({})),
        key_uses(ledger, scope, period),
        key_tools(ledger, scope, period),
        live_figures(ledger, scope, period.zone, NOW_US),
    ]
    return found


def _without_main_tools(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out the tool that each uses most: of two alike it may be either."""
    weeks = [{**week, "main_tools": None} for week in document["weeks"]]
    return {**document, "weeks": weeks}


def _in_any_order(document: Any) -> Any:
    """Put lists into an order of ours: of two findings alike either may stand first."""
    if isinstance(document, dict):
        return {name: _in_any_order(value) for name, value in document.items()}
    if isinstance(document, list):
        return sorted(map(_in_any_order, document), key=repr)
    return document


def _text(at_us: int) -> str:
    return zones.moment_of(at_us).isoformat().replace("+00:00", "Z")


QUESTIONS = (
    some_entries(),
    st.integers(0, 12),
    st.sampled_from(PERIODS),
    st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True),
    st.lists(st.sampled_from(TIMES), max_size=1),
    st.sampled_from(list(MEASURES)),
    st.sampled_from(FILTERS),
    st.sampled_from(VIEWS),
)


def check(engines: Engines, entries: list[LedgerEntry], summed: int, *asked: Any) -> None:
    scope = stored(engines, entries, summed)
    duck, lite = (documents(engine, scope, *asked) for engine in engines)
    for one, other in zip(duck, lite, strict=True):
        assert one == other


@pytest.mark.filterwarnings(LARGE)
@settings(max_examples=8, deadline=None)
@given(st.tuples(*QUESTIONS))
def test_both_engines_give_the_same_documents(engines: Engines, asked: Any) -> None:
    check(engines, *asked)


@pytest.mark.long
@pytest.mark.filterwarnings(LARGE)
@settings(max_examples=300, deadline=None)
@given(st.tuples(*QUESTIONS))
def test_both_engines_give_the_same_documents_many_times(engines: Engines, asked: Any) -> None:
    check(engines, *asked)
