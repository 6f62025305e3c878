"""The usage report equals a recount in Python, to the nano-dollar, for any entries."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recount
from arbitrary_entries import corrected_entries
from ledger_entries import ledger_entry
from ledgers import store
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.measures import ADDITIVE, MEASURES
from tollkeeper.reports.period import Period, period_between
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.usage import UsageAnswer, UsageQuestion, usage

# A week around the changes of clocks of New York (1 November 2026) and Berlin (25 October),
# the end of Ramadan's in Morocco (15 February), and Apia's skipped day.
WEEKS = [
    ("America/New_York", "2026-10-30"),
    ("Europe/Berlin", "2026-10-23"),
    ("Asia/Kathmandu", "2026-10-30"),
    ("Pacific/Apia", "2011-12-28"),
    ("Africa/Casablanca", "2026-02-13"),
    ("UTC", "2026-12-29"),
]
DIMENSIONS = [
    "team", "user", "key", "model", "provider", "tool",
    "session", "streamed", "status", "outcome", "basis", "tag:feature", "tag:absent",
]  # fmt: skip
CHECKED = [
    "cost_usd", "list_cost_usd", "saved_usd", "requests", "calls", "refusals", "errors",
    "disconnects", "unpriced", "entries", "tokens", "tokens_in", "tokens_out", "tokens_cached",
    "reasoning_tokens", "users", "keys", "sessions", "duration_p50_ms", "duration_p95_ms",
    "ttft_p50_ms", "cost_per_request_usd", "cost_per_user_usd", "cost_per_customer_usd",
    "error_rate", "cached_share", "customers",
]  # fmt: skip
NOW_US = zones.epoch_us_of(datetime(2026, 11, 18, tzinfo=UTC))


def week(zone: str, start: str) -> Period:
    first = datetime.fromisoformat(start).date()
    last = first.fromordinal(first.toordinal() + 6)
    return period_between(first.isoformat(), last.isoformat(), zone, NOW_US)


@st.composite
def weeks_of_entries(draw: st.DrawFn) -> tuple[Period, list[LedgerEntry]]:
    """A week, and entries in and around it, many of them right on its borders."""
    period = week(*draw(st.sampled_from(WEEKS)))
    zone = period.zone_info
    borders = [zones.day_start(day, zone) for day in period.days()]
    borders += [period.end_us, *(change.at_s * 1_000_000 for change in period.offsets().changes)]
    moments = st.sampled_from([border - before for border in borders for before in (0, 1)])
    hour_us = 3_600_000_000
    moments |= st.integers(period.start_us - hour_us, period.end_us + hour_us)
    return period, draw(corrected_entries(moments))


def within(period: Period, entries: list[LedgerEntry]) -> list[LedgerEntry]:
    return [each for each in entries if period.start_us <= each.started_at_us < period.end_us]


# --------------------------------------------------------------------- recounts


@settings(max_examples=150, deadline=None)
@given(
    weeks_of_entries(),
    st.sampled_from([[], ["hour"], ["day"], ["week"], ["month"], ["weekday", "hour_of_day"]]),
    st.lists(st.sampled_from(DIMENSIONS), max_size=2, unique=True),
)
def test_groups_and_totals_equal_a_recount(
    ledger: Ledger,
    week_of_entries: tuple[Period, list[LedgerEntry]],
    times: list[str],
    dimensions: list[str],
) -> None:
    group_by, metrics = times + dimensions, CHECKED
    period, entries = week_of_entries
    scope = store(ledger, entries)
    question = UsageQuestion(period, tuple(metrics), tuple(group_by))
    answer = usage(ledger, scope, question)
    counted = within(period, entries)
    expected = recount.grouped(counted, group_by, period.zone_info)
    found = {tuple(row.keys[name] for name in group_by): row for row in answer.rows}
    if not group_by and not counted:
        expected = {(): recount.measures([])}
    assert len(found) == len(answer.rows)
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert row.values == {name: expected[key][name] for name in metrics}
        assert row.unpriced == expected[key]["unpriced"]
    totals = recount.measures(counted)
    assert answer.totals == {name: totals[name] for name in metrics}
    assert answer.unpriced == totals["unpriced"]
    unpriced = recount.unpriced_calls(counted)
    assert (answer.unpriced_calls, answer.unpriced_tokens) == unpriced
    check_sums(answer)
    assert not answer.truncated


def check_sums(answer: UsageAnswer) -> None:
    """Rows and bases add up to the totals, to the nano-dollar."""
    for name in answer.question.metrics:
        if MEASURES[name].kind in ADDITIVE:
            total = answer.totals[name] or 0
            assert sum((row.values[name] or 0 for row in answer.rows), start=0 * total) == total
    assert sum(row.unpriced for row in answer.rows) == answer.unpriced
    if "cost_usd" in answer.question.metrics:
        by_basis = [share.cost_usd or Decimal(0) for share in answer.basis.values()]
        assert sum(by_basis, start=Decimal(0)) == (answer.totals["cost_usd"] or 0)
    if "requests" in answer.question.metrics:
        requests = sum(share.requests for share in answer.basis.values())
        assert requests == answer.totals["requests"]


@pytest.mark.parametrize("time", ["hour", "day", "week", "month", "weekday", "hour_of_day"])
@pytest.mark.parametrize(("zone", "start"), WEEKS)
def test_entries_on_the_borders_fall_on_the_right_side(
    ledger: Ledger, zone: str, start: str, time: str
) -> None:
    period = week(zone, start)
    borders = [zones.day_start(day, period.zone_info) for day in period.days()]
    borders += [period.end_us, *(change.at_s * 1_000_000 for change in period.offsets().changes)]
    entries = [
        ledger_entry(started_at_us=border + near) for border in borders for near in (-1, 0, 1)
    ]
    answer = usage(ledger, store(ledger, entries), UsageQuestion(period, ("entries",), (time,)))
    expected = recount.grouped(within(period, entries), [time], period.zone_info)
    assert {row.keys[time]: row.values["entries"] for row in answer.rows} == {
        key: counted["entries"] for (key,), counted in expected.items()
    }


FILTERS = {
    "team:core": lambda entry: entry.team == "core",
    'team:"r&d, ""x""",team:': lambda entry: entry.team in {'r&d, "x"', ""},
    "-team:core": lambda entry: entry.team != "core",
    "user:u1": lambda entry: entry.user_id == "u1",
    "user:u1@old.com": lambda entry: entry.user_name == "u1@old.com",
    "-user:u1@old.com": lambda entry: entry.user_name != "u1@old.com",
    "model:fast": lambda entry: entry.model_served == "",
    "model:gpt-4o,model:claude,model:fast": lambda entry: True,
    "model_served:": lambda entry: entry.model_served == "",
    "status:429,streamed:true": lambda entry: entry.status == 429 and entry.streamed,
    "outcome:refused": lambda entry: entry.outcome == "refused",
    "tag:feature=chat": lambda entry: entry.tags.get("feature") == "chat",
    "-tag:feature=chat": lambda entry: entry.tags.get("feature") != "chat",
    "tag:feature=": lambda entry: not entry.tags.get("feature"),
    "-tag:feature=": lambda entry: bool(entry.tags.get("feature")),
    "provider:openai,-key:k1,session:s1,session:s2": lambda entry: (
        entry.provider == "openai" and entry.key_id != "k1" and entry.session_id
    ),
}


@settings(max_examples=80, deadline=None)
@given(weeks_of_entries(), st.sampled_from(sorted(FILTERS)))
def test_filters_keep_what_they_say(
    ledger: Ledger, week_of_entries: tuple[Period, list[LedgerEntry]], text: str
) -> None:
    period, entries = week_of_entries
    scope = store(ledger, entries)
    metrics = ("cost_usd", "entries", "requests")
    question = UsageQuestion(period, metrics, ("team",), parse_filters(text))
    answer = usage(ledger, scope, question)
    kept = [entry for entry in within(period, entries) if FILTERS[text](entry)]
    totals = recount.measures(kept)
    assert answer.totals == {name: totals[name] for name in metrics}
    check_sums(answer)


@settings(max_examples=60, deadline=None)
@given(
    weeks_of_entries(),
    st.sampled_from([frozenset(), frozenset({"core"}), frozenset({"core", "", "none"}), None]),
    st.sampled_from([None, "u1", ""]),
)
def test_a_scope_is_never_left(
    ledger: Ledger,
    week_of_entries: tuple[Period, list[LedgerEntry]],
    teams: frozenset[str] | None,
    user_id: str | None,
) -> None:
    period, entries = week_of_entries
    org = store(ledger, entries).org
    store(ledger, entries[:5])  # somebody else's
    question = UsageQuestion(period, ("entries",), ("team", "user"))
    answer = usage(ledger, Scope(org, teams, user_id), question)
    kept = [
        entry
        for entry in within(period, entries)
        if (teams is None or entry.team in teams) and user_id in {None, entry.user_id}
    ]
    assert answer.totals == {"entries": sum(entry.sign for entry in kept)}
    assert sum(row.values["entries"] or 0 for row in answer.rows) == sum(
        entry.sign for entry in kept
    )


# --------------------------------------------------------------------- order, limit, names


@pytest.fixture(scope="module")
def dozen(ledger: Ledger) -> Scope:
    """Twelve customers with costs of 1 to 11 dollars, and one whose cost is unknown."""
    start_us = period_between("2026-11-01", "2026-11-01", "UTC", NOW_US).start_us
    return store(
        ledger,
        [
            ledger_entry(
                started_at_us=start_us + number,
                end_customer=f"c{number:02d}",
                cost_nanos=number * 10**9 or None,
                duration_ms=100 - number,
            )
            for number in range(12)
        ],
    )


@pytest.mark.parametrize(
    ("order", "metrics", "expected"),
    [
        ((), ("cost_usd",), ["c11", "c10", "c09"]),
        (("cost_usd",), ("cost_usd",), ["c01", "c02", "c03"]),
        (("-customer",), ("cost_usd",), ["c11", "c10", "c09"]),
        (("customer",), ("cost_usd",), ["c00", "c01", "c02"]),
        (("requests", "-customer"), ("cost_usd", "requests"), ["c11", "c10", "c09"]),
        (("-cost_per_request_usd",), ("cost_per_request_usd",), ["c11", "c10", "c09"]),
        (("cost_per_request_usd",), ("cost_per_request_usd",), ["c01", "c02", "c03"]),
        (("duration_p95_ms",), ("duration_p95_ms",), ["c11", "c10", "c09"]),
        (("-duration_p95_ms",), ("duration_p95_ms",), ["c00", "c01", "c02"]),
        (("-error_rate",), ("error_rate",), ["c00", "c01", "c02"]),
    ],
)
def test_rows_come_in_order_and_what_is_unknown_last(
    ledger: Ledger,
    dozen: Scope,
    order: tuple[str, ...],
    metrics: tuple[str, ...],
    expected: list[str],
) -> None:
    period = period_between("2026-11-01", "2026-11-01", "UTC", NOW_US)
    asked = UsageQuestion(period, metrics, ("customer",), order=order, limit=3)
    answer = usage(ledger, dozen, asked)
    assert [row.keys["customer"] for row in answer.rows] == expected
    assert answer.truncated
    everything = UsageQuestion(period, metrics, ("customer",), order=order, limit=12)
    rows = usage(ledger, dozen, everything)
    assert len(rows.rows) == 12
    assert not rows.truncated
    assert rows.totals == answer.totals
    if "error_rate" not in metrics and order[:1] not in {("customer",), ("-duration_p95_ms",)}:
        assert rows.rows[-1].keys["customer"] in {"c00", "c11"}


def test_unknown_and_nothing_are_different(ledger: Ledger) -> None:
    period = period_between("2026-11-01", "2026-11-01", "UTC", NOW_US)
    scope = store(ledger, [ledger_entry(started_at_us=period.start_us, cost_nanos=None)])
    metrics = ("cost_usd", "requests", "cost_per_request_usd", "duration_p50_ms")
    unknown = usage(ledger, scope, UsageQuestion(period, metrics))
    assert unknown.totals == {
        "cost_usd": None,
        "requests": 1,
        "cost_per_request_usd": None,
        "duration_p50_ms": 120,
    }
    assert unknown.unpriced == 1
    assert unknown.rows[0].values == unknown.totals
    nothing = usage(ledger, Scope("nobody"), UsageQuestion(period, metrics))
    assert nothing.totals == {
        "cost_usd": Decimal(0),
        "requests": 0,
        "cost_per_request_usd": None,
        "duration_p50_ms": None,
    }
    assert nothing.basis == {}


@pytest.mark.parametrize("basis", [Basis.MEASURED, Basis.ESTIMATED])
def test_what_was_taken_back_is_known_to_be_nothing_in_any_group(
    ledger: Ledger, basis: Basis
) -> None:
    """Totals do not depend on whether it was of a kind that still has other entries."""
    period = period_between("2026-11-01", "2026-11-01", "UTC", NOW_US)
    stands = ledger_entry(started_at_us=period.start_us, list_cost_nanos=None)
    undone = ledger_entry(started_at_us=period.start_us, basis=basis, list_cost_nanos=7)
    back = undone._replace(
        entry_id=f"{undone.entry_id}~1-", corrects=undone.entry_id, revision=1, sign=-1
    )
    back = back._replace(cost_nanos=-1, list_cost_nanos=-7)
    scope = store(ledger, [stands, undone, back])
    metrics = ("list_cost_usd", "entries")
    for group_by in ((), ("model",), ("basis",)):
        answer = usage(ledger, scope, UsageQuestion(period, metrics, group_by))
        assert answer.totals == {"list_cost_usd": Decimal(0), "entries": 1}
        assert list(answer.basis) == [Basis.MEASURED]


def test_ids_bear_their_latest_name(ledger: Ledger) -> None:
    period = period_between("2026-11-01", "2026-11-02", "UTC", NOW_US)
    scope = store(
        ledger,
        [
            ledger_entry(started_at_us=period.start_us + 2, user_name="zoe@acme.com"),
            ledger_entry(started_at_us=period.start_us + 3, user_name="adele@acme.com"),
            ledger_entry(started_at_us=period.start_us + 1, user_name="mary@acme.com"),
        ],
    )
    (row,) = usage(ledger, scope, UsageQuestion(period, group_by=("user", "key"))).rows
    assert row.keys == {"user": "u_1", "key": "abcdefgh"}
    assert row.names == {"user": "adele@acme.com", "key": "laptop"}


def test_the_hour_that_comes_twice_is_two_rows(ledger: Ledger) -> None:
    period = period_between("2026-11-01", "2026-11-01", "America/New_York", NOW_US)
    hour_us = 3_600_000_000
    scope = store(
        ledger,
        [ledger_entry(started_at_us=period.start_us + hours * hour_us) for hours in (1, 2, 24)],
    )
    rows = usage(ledger, scope, UsageQuestion(period, ("requests",), ("hour",))).rows
    assert [row.keys["hour"] for row in rows] == [
        "2026-11-01T01:00:00-04:00",
        "2026-11-01T01:00:00-05:00",
        "2026-11-01T23:00:00-05:00",
    ]


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        ({"metrics": ()}, "metrics"),
        ({"metrics": ("cost_usd; DROP TABLE entries",)}, "metrics"),
        ({"metrics": ("cost_usd", "cost_usd")}, "metrics"),
        ({"group_by": ("cost_usd",)}, "group_by"),
        ({"group_by": ("org",)}, "group_by"),
        ({"group_by": ("tag:a'b",)}, "group_by"),
        ({"group_by": ("team", "team")}, "group_by"),
        ({"group_by": ("team", "user", "key", "model", "tool")}, "group_by"),
        ({"order": ("cost",)}, "order"),
        ({"order": ("--cost_usd",)}, "order"),
        ({"limit": 0}, "limit"),
        ({"limit": 50_001}, "limit"),
    ],
)
def test_a_question_with_anything_else_in_it_is_refused(
    changes: dict[str, Any], parameter: str
) -> None:
    period = period_between("2026-11-01", "2026-11-01", "UTC", NOW_US)
    with pytest.raises(BadQuestion) as caught:
        UsageQuestion(period, **changes)
    assert caught.value.parameter == parameter
