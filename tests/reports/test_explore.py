"""Explore equals a recount in Python: rows, the rest of them, both periods, steps and hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recount
from arbitrary_entries import corrected_entries
from ledger_entries import ledger_entry
from ledgers import store
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.explore import SERIES, Explored, Row, explore
from tollkeeper.reports.explore_answers import explore_document, explore_table, step_text
from tollkeeper.reports.explore_question import GRAINS, SORTS, ExploreQuestion
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.measures import Value
from tollkeeper.reports.period import Period, period_between, period_named
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.steps import STEPS_MAX, steps_of
from tollkeeper.reports.usage import UsageQuestion, usage

NOW_US = zones.epoch_us_of(datetime(2026, 11, 18, 15, 30, tzinfo=UTC))
WEEKS = [  # clocks change within them, or within the week before
    ("America/New_York", "2026-10-30", "2026-11-05"),
    ("Europe/Berlin", "2026-10-23", "2026-10-29"),
    ("Australia/Lord_Howe", "2026-10-01", "2026-10-07"),
    ("UTC", "2026-11-12", "2026-11-18"),  # today is in it, so less of the week before counts
]
DIMENSIONS = [
    *("team", "user", "key", "model", "provider", "tool", "session", "streamed", "status"),
    *("outcome", "tag:feature", "tag:absent"),
]
METRICS = [
    *("cost_usd", "list_cost_usd", "saved_usd", "requests", "refusals", "errors", "disconnects"),
    *("tokens", "tokens_in", "reasoning_tokens", "users", "sessions", "customers"),
    *("duration_p50_ms", "duration_p95_ms", "ttft_p50_ms", "error_rate", "cached_share"),
    *("cost_per_request_usd", "cost_per_user_usd", "cost_per_session_usd"),
    "cost_per_customer_usd",
]
KEPT = {
    "": lambda entry: True,
    "team:core": lambda entry: entry.team == "core",
    "-outcome:ok,provider:openai": lambda entry: (
        entry.outcome != "ok" and entry.provider == "openai"
    ),
    "tag:feature=chat": lambda entry: entry.tags.get("feature") == "chat",
}


@st.composite
def weeks(draw: st.DrawFn) -> tuple[Period, list[LedgerEntry]]:
    """A week, and entries in it, in the week before, and on their borders."""
    zone, first, last = draw(st.sampled_from(WEEKS))
    period = period_between(first, last, zone, NOW_US)
    before = period.previous()
    borders = [period.start_us, period.end_us, before.start_us, before.until_us]
    borders += [change.at_s * 1_000_000 for change in period.offsets().changes]
    moments = st.sampled_from([border - less for border in borders for less in (0, 1)])
    moments |= st.integers(before.start_us, period.end_us - 1)
    return period, draw(corrected_entries(moments))


def within(entries: Sequence[LedgerEntry], start_us: int, end_us: int) -> list[LedgerEntry]:
    return [each for each in entries if start_us <= each.started_at_us < end_us]


def group(entries: Sequence[LedgerEntry], names: Sequence[str], keys: Any) -> list[LedgerEntry]:
    zone = zones.zone_info("UTC")
    return [
        each
        for each in entries
        if tuple(recount.group_of(each, name, zone) for name in names) == tuple(keys)
    ]


def known_sum(values: Sequence[Value]) -> Decimal:
    return sum((Decimal(value) for value in values if value is not None), Decimal(0))


# --------------------------------------------------------------------- recounts


@settings(max_examples=30, deadline=None)
@given(
    weeks(),
    st.lists(st.sampled_from(DIMENSIONS), max_size=3, unique=True),
    st.sampled_from(METRICS),
    st.sampled_from(sorted(KEPT)),
    st.integers(1, 8),
    st.sampled_from(["", *SORTS]),
    st.sampled_from(["", "hour", "day", "week", "month"]),
)
def test_rows_and_the_rest_equal_a_recount_and_add_up(
    ledger: Ledger,
    week: tuple[Period, list[LedgerEntry]],
    group_by: list[str],
    metric: str,
    filters: str,
    limit: int,
    sort: str,
    grain: str,
) -> None:
    period, entries = week
    question = ExploreQuestion(
        *(period, metric, tuple(group_by), parse_filters(filters), grain), sort=sort, limit=limit
    )
    found = explore(ledger, store(ledger, entries), question, NOW_US)
    kept = [each for each in entries if KEPT[filters](each)]
    now = within(kept, period.start_us, period.end_us)
    previous = period.previous()
    before = within(kept, previous.start_us, previous.until_us)
    assert (found.total.now, found.total.before) == (
        recount.measures(now)[metric],
        recount.measures(before)[metric],
    )
    for row in found.rows:
        for part, value in ((now, row.now), (before, row.before)):
            of_group = recount.measures(group(part, group_by, row.keys))
            assert value == of_group[metric]
        assert row.requests == recount.measures(group(now, group_by, row.keys))["requests"]
    _require_rest(found, now, before)
    _require_steps(found, now)


def _require_rest(
    found: Explored, now: Sequence[LedgerEntry], before: Sequence[LedgerEntry]
) -> None:
    """All that is in no row is in the other one, and together they are everything."""
    group_by, metric = found.question.group_by, found.question.metric
    zone = found.question.period.zone_info
    groups = {*recount.grouped(now, group_by, zone), *recount.grouped(before, group_by, zone)}
    if not group_by:
        assert found.rows == ()
        assert found.other is None
        return
    assert found.groups == len(groups)
    assert len(found.rows) == min(len(groups), found.question.limit)
    assert (found.other is None) == (found.groups == len(found.rows))
    if found.other is None:
        return
    shown = {row.keys for row in found.rows}

    def is_rest(entry: LedgerEntry) -> bool:
        return tuple(recount.group_of(entry, name, zone) for name in group_by) not in shown

    for part, value in ((now, found.other.now), (before, found.other.before)):
        expected = recount.measures([each for each in part if is_rest(each)])[metric]
        assert (value or 0) == (expected or 0)
    if found.question.adds_up:
        for name in ("now", "before", "requests", "unpriced"):
            parts = [getattr(row, name) for row in (*found.rows, found.other)]
            assert known_sum(parts) == known_sum([getattr(found.total, name)])


def _require_steps(found: Explored, now: Sequence[LedgerEntry]) -> None:
    """Each step of each row equals a recount; those of additive metrics add up to the rows."""
    question = found.question
    names = (question.step, *question.group_by)
    expected = recount.grouped(now, names, question.period.zone_info)
    totals = recount.grouped(now, (question.step,), question.period.zone_info)
    for place in range(len(found.steps)):
        key = step_key(found, place)
        for row in found.rows[:SERIES]:
            wanted = expected.get((key, *row.keys), {}).get(question.metric)
            assert (row.by_step[place] or 0) == (wanted or 0)
        wanted = totals.get((key,), {}).get(question.metric)
        assert (found.total_by_step[place] or 0) == (wanted or 0)
    if question.adds_up:
        for row in found.rows[:SERIES]:
            assert known_sum(row.by_step) == known_sum([row.now])
        assert known_sum(found.total_by_step) == known_sum([found.total.now])
        if found.rest_by_step:
            shown = [row.now for row in found.rows[:SERIES]]
            assert known_sum([*found.rest_by_step, *shown]) == known_sum([found.total.now])


def step_key(found: Explored, place: int) -> str:
    """Name a step as the general report does: by its own beginning, not by the period's."""
    step, zone = found.steps[place], found.question.period.zone_info
    if found.question.step == "hour":
        return zones.hour_text(step.key, zone)
    if found.question.step in {"day", "week"}:
        return zones.day_of(step.key).isoformat()
    return step_text(found, place)


@settings(max_examples=12, deadline=None)
@given(weeks(), st.sampled_from(["cost_usd", "requests", "users", "duration_p95_ms"]))
def test_hours_of_the_week_equal_a_recount_and_can_be_filtered_by(
    ledger: Ledger, week: tuple[Period, list[LedgerEntry]], metric: str
) -> None:
    period, entries = week
    scope = store(ledger, entries)
    question = ExploreQuestion(period, metric, (), view="heat")
    found = explore(ledger, scope, question, NOW_US)
    now = within(entries, period.start_us, period.end_us)
    names = ("weekday", "hour_of_day")
    expected = recount.grouped(now, names, period.zone_info)
    assert {key: value or 0 for key, value in found.heat.items() if value} == {
        key: values[metric] for key, values in expected.items() if values[metric]
    }
    for (day, hour), value in list(found.heat.items())[:2]:
        filters = parse_filters(f"weekday:{day},hour_of_day:{hour}")
        answer = usage(ledger, scope, UsageQuestion(period, (metric,), filters=filters))
        assert answer.totals[metric] == value
        others = parse_filters(f"-weekday:{day}")
        rest = usage(ledger, scope, UsageQuestion(period, ("entries",), filters=others))
        of_day = [
            each for each in now if recount.group_of(each, "weekday", period.zone_info) == day
        ]
        assert rest.totals["entries"] == sum(each.sign for each in now) - sum(
            each.sign for each in of_day
        )


def test_what_flows_is_what_was_spent(ledger: Ledger) -> None:
    period = period_named("7d", "UTC", NOW_US)
    scope = store(
        ledger,
        [
            ledger_entry(
                started_at_us=period.start_us + number,
                team=f"t{number % 3}",
                tool=f"tool{number % 7}",
                model_served=f"m{number}",
                cost_nanos=number * 10**9,
            )
            for number in range(60)
        ],
    )
    question = ExploreQuestion(period, group_by=("team", "tool", "model"), view="sankey", limit=5)
    found = explore(ledger, scope, question, NOW_US)
    assert len(found.rows) == 5
    assert known_sum([row.now for row in found.flows]) == found.total.now == sum(range(60))
    assert found.other is not None
    assert found.other.now == sum(range(55))


# --------------------------------------------------------------------- answers


def answered(ledger: Ledger, **changes: Any) -> Explored:
    period = period_named("7d", "UTC", NOW_US)
    scope = store(
        ledger,
        [
            ledger_entry(
                started_at_us=period.start_us + number * 3_600_000_000,
                team=f"t{number % 9}",
                streamed=bool(number % 2),
                cost_nanos=number * 10**9,
            )
            for number in range(90)
        ],
    )
    return explore(ledger, scope, ExploreQuestion(period, **changes), NOW_US)


@pytest.mark.parametrize(
    ("changes", "columns", "rows"),
    [
        (
            {"group_by": ("team", "user"), "view": "table", "limit": 4},
            ("team", "user", "user_name", "cost_usd", "cost_usd_before", "requests", "unpriced"),
            5,
        ),
        (
            {"group_by": (), "view": "table", "compare": False},
            ("cost_usd", "requests", "unpriced"),
            1,
        ),
        ({"group_by": ("team",)}, ("step", "team", "cost_usd"), 7 * 7),
        ({"group_by": ()}, ("step", "cost_usd"), 7),
        ({"group_by": ("streamed",), "view": "heat"}, ("weekday", "hour_of_day", "cost_usd"), 90),
    ],
)
def test_a_file_has_just_what_the_view_shows(
    ledger: Ledger, changes: dict[str, Any], columns: tuple[str, ...], rows: int
) -> None:
    found = answered(ledger, **changes)
    named, table = explore_table(found)
    assert named == columns
    assert len(table) == rows
    assert all(set(columns) <= set(row) for row in table)
    spent: Sequence[Any] = [row["cost_usd"] for row in table]
    assert known_sum(spent) == found.total.now == sum(range(90))


def test_a_document_says_what_is_left_out(ledger: Ledger) -> None:
    document = explore_document(answered(ledger, group_by=("team",), limit=2))
    assert document["groups"] == 9
    assert document["truncated"] is True
    money = [row["cost_usd"] for row in (*document["rows"], document["other"])]
    assert sum(map(Decimal, money)) == Decimal(document["total"]["cost_usd"])
    steps = [step["rows"] for step in document["steps"]]
    assert sum(Decimal(each[0]) for each in steps) == Decimal(document["rows"][0]["cost_usd"])


# --------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"metric": "cost"}, "metric"),
        ({"group_by": ("team", "user", "key", "model")}, "group_by"),
        ({"group_by": ("team", "team")}, "group_by"),
        ({"group_by": ("day",)}, "group_by"),
        ({"group_by": ("tag:a'b",)}, "group_by"),
        ({"view": "pie"}, "view"),
        ({"grain": "year"}, "grain"),
        ({"sort": "team"}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 1_001}, "limit"),
    ],
)
def test_a_question_with_anything_else_in_it_is_refused(
    changes: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(BadQuestion) as raised:
        ExploreQuestion(period_named("30d", "UTC", NOW_US), **changes)
    assert raised.value.parameter == parameter


@pytest.mark.parametrize("grain", GRAINS[:-1])
@pytest.mark.parametrize("name", ["24h", "today", "30d", "year", "3660d"])
def test_steps_cover_the_period_or_there_are_too_many(name: str, grain: str) -> None:
    period = period_named(name, "America/New_York", NOW_US)
    try:
        steps = steps_of(period, grain)
    except BadQuestion as refused:
        assert refused.parameter == "grain"
        return
    assert len(steps) <= STEPS_MAX + 2
    assert steps[0].start_us == period.start_us
    assert steps[-1].end_us == period.end_us
    for left, right in pairwise(steps):
        assert left.end_us == right.start_us
        assert left.key < right.key


def test_many_groups_are_bounded_and_counted(ledger: Ledger) -> None:
    period = period_named("7d", "UTC", NOW_US)
    scope = store(
        ledger,
        [
            ledger_entry(
                started_at_us=period.start_us + number,
                tags={"customer": f"c{number}"},
                cost_nanos=number,
            )
            for number in range(2_000)
        ],
    )
    question = ExploreQuestion(period, group_by=("tag:customer",), view="table", limit=1_000)
    found = explore(ledger, scope, question, NOW_US)
    assert (len(found.rows), found.groups) == (1_000, 2_000)
    assert found.rows[0].names == ("c1999",)
    assert isinstance(found.other, Row)
    assert found.other.requests == 1_000
    assert known_sum([*(row.now for row in found.rows), found.other.now]) == found.total.now
