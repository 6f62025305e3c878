"""The list of calls: page by page, nothing twice, nothing left out."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbitrary_entries import corrected_entries
from ledger_entries import START_US, ledger_entry
from ledgers import store
from tollkeeper.domain.access import Scope
from tollkeeper.domain.corrections import bookings_of
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.money import usd
from tollkeeper.ports import Ledger
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.calls import CallsQuestion, calls
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.period import period_between
from tollkeeper.reports.questions import BadQuestion


def all_pages(ledger: Ledger, scope: Scope, limit: int, filters: str = "") -> list[CallRow]:
    cursor, rows = "", []
    while True:
        question = CallsQuestion(filters=parse_filters(filters), limit=limit, cursor=cursor)
        page = calls(ledger, scope, question)
        assert len(page.rows) <= limit
        rows += page.rows
        cursor = page.next_cursor
        if not cursor:
            return rows


@settings(max_examples=60, deadline=None)
@given(
    corrected_entries(st.integers(START_US, START_US + 5)),
    st.integers(1, 6),
)
def test_pages_give_every_attempt_once_newest_first(
    ledger: Ledger, entries: list[LedgerEntry], limit: int
) -> None:
    rows = all_pages(ledger, store(ledger, entries), limit)
    attempts = [entry for entry in entries if entry.part == 0 and not entry.corrects]
    attempts.sort(key=lambda entry: (entry.started_at_us, entry.entry_id), reverse=True)
    assert [row.entry_id for row in rows] == [entry.entry_id for entry in attempts]


@settings(max_examples=80, deadline=None)
@given(
    corrected_entries(st.integers(START_US, START_US + 5)),
    st.sampled_from(
        [
            *("basis:measured", "-basis:measured", "basis:unpriced,basis:estimated"),
            *("basis:unpriced", "basis:unpriced,team:core", "model:claude", "-model:claude"),
            "basis:estimated,model:gpt-4o,-team:core",
        ]
    ),
)
def test_filters_find_calls_as_they_stand(
    ledger: Ledger, entries: list[LedgerEntry], filters: str
) -> None:
    """Whatever was corrected: what is found is what passes now, and it is shown as it is now."""
    standing = {
        booking.entry.entry_id: booking.standing
        for booking in bookings_of(entries)
        if booking.entry.part == 0
    }
    open_calls = {
        booking.entry.call_id
        for booking in bookings_of(entries)
        if booking.standing.cost_nanos is None
        and passes(booking.standing._replace(basis="unpriced"), filters)
        and booking.standing.basis == "unpriced"
    }
    found = {row.entry_id: row for row in all_pages(ledger, store(ledger, entries), 4, filters)}
    if filters.startswith("basis:unpriced") and "estimated" not in filters:
        expected = {name for name, now in standing.items() if now.call_id in open_calls}
    else:
        expected = {name for name, now in standing.items() if passes(now, filters)}
    assert found.keys() == expected
    for name, row in found.items():
        now = standing[name]
        assert (row.basis, row.unpriced_reason, row.corrections) == (
            now.basis,
            now.unpriced_reason,
            now.revision,
        )
        assert row.cost_usd == (None if now.cost_nanos is None else usd(now.cost_nanos))


def passes(entry: LedgerEntry, filters: str) -> bool:
    values = {
        "basis": entry.basis,
        "team": entry.team,
        "model": entry.model_served or entry.model_requested,
    }
    return all(
        (values[each.dimension] in each.values) != each.negated for each in parse_filters(filters)
    )


@pytest.mark.parametrize("between", [0, 300])
@pytest.mark.parametrize("filters", ["", "team:core"])
def test_newest_calls_come_with_their_amounts_whatever_lies_between(
    ledger: Ledger, between: int, filters: str
) -> None:
    """A few entries are read together, many are not: the answer is the same."""
    calls_of_core = [
        ledger_entry(team="core", cost_nanos=10 + number, started_at_us=START_US + number)
        for number in range(3)
    ]
    parts = [
        each._replace(entry_id=f"{each.entry_id}p", part=1, cost_nanos=100, team="data")
        for each in calls_of_core
    ]
    others = [
        ledger_entry(team="core", part=2, call_id=f"c{number}", started_at_us=START_US + 2)
        for number in range(between)
    ]
    scope = store(ledger, [*calls_of_core, *parts, *others])
    page = calls(ledger, scope, CallsQuestion(filters=parse_filters(filters), limit=2))
    assert [(row.entry_id, row.cost_usd) for row in page.rows] == [
        (each.entry_id, usd(each.cost_nanos + 100))
        for each in reversed(calls_of_core[1:])
        if each.cost_nanos is not None
    ]
    assert page.next_cursor


def test_parts_and_corrections_are_in_their_attempts_amounts(ledger: Ledger) -> None:
    first = ledger_entry(cost_nanos=10, list_cost_nanos=None, saved_nanos=1, attempt=1)
    second = first._replace(entry_id="z2", attempt=2, cost_nanos=None)
    scope = store(
        ledger,
        [
            first,
            first._replace(entry_id="p", part=1, cost_nanos=5, list_cost_nanos=7, input_tokens=2),
            first._replace(
                entry_id="c", corrects=first.entry_id, cost_nanos=-3, started_at_us=START_US + 10**9
            ),
            first._replace(entry_id="old", call_id="other", started_at_us=START_US - 1),
            second,
        ],
    )
    rows = {row.entry_id: row for row in all_pages(ledger, scope, 2)}
    assert rows.keys() == {first.entry_id, "old", "z2"}
    row = rows[first.entry_id]
    assert row.cost_usd == Decimal("12E-9")
    assert row.list_cost_usd == Decimal("7E-9")
    assert row.tokens_in == 48 + 2 + 48
    assert row.unpriced == 0
    assert (rows["z2"].cost_usd, rows["z2"].unpriced, rows["z2"].attempt) == (None, 1, 2)
    assert rows["old"].cost_usd == Decimal("10E-9")


def test_a_row_says_what_is_needed(ledger: Ledger) -> None:
    entry = ledger_entry(
        started_at_us=START_US + 123_456, tags={"a": "b"}, cache_read_tokens=7, model_served=""
    )
    (row,) = all_pages(ledger, store(ledger, [entry]), 5)
    assert row.started_at_us == START_US + 123_456
    assert row.tags == {"a": "b"}
    assert row.model == "gpt-4.1"
    assert (row.tokens_in, row.tokens_cached, row.tokens_out) == (55, 7, 14)
    assert (row.user_name, row.tool, row.status, row.outcome) == (
        "alice@acme.com",
        "claude-code",
        200,
        "ok",
    )


def test_periods_filters_and_scopes_narrow_the_list(ledger: Ledger) -> None:
    entries = [
        ledger_entry(started_at_us=START_US, team="core"),
        ledger_entry(started_at_us=START_US, team="data", outcome="refused"),
        ledger_entry(started_at_us=START_US - 10**12, team="core"),
    ]
    scope = store(ledger, entries)
    period = period_between("2026-09-21", "2026-09-21", "UTC", START_US)
    recent = calls(ledger, scope, CallsQuestion(period))
    assert {row.entry_id for row in recent.rows} == {entry.entry_id for entry in entries[:2]}
    refused = all_pages(ledger, scope, 5, "outcome:refused")
    assert [row.entry_id for row in refused] == [entries[1].entry_id]
    core = Scope(scope.org, frozenset({"core"}))
    assert {row.team for row in all_pages(ledger, core, 1)} == {"core"}
    assert all_pages(ledger, Scope(scope.org, frozenset()), 5) == []
    assert all_pages(ledger, Scope(scope.org, None, "u_2"), 5) == []


def test_calls_can_be_followed_by_their_end(ledger: Ledger) -> None:
    entries = [
        ledger_entry(
            entry_id="long", started_at_us=START_US - 3_600_000_000, duration_ms=3_610_000
        ),
        ledger_entry(entry_id="early", started_at_us=START_US - 1_000_000, duration_ms=500),
        ledger_entry(entry_id="late", started_at_us=START_US, duration_ms=11_000),
    ]
    scope = store(ledger, entries)
    page = calls(ledger, scope, CallsQuestion(finished_after_us=START_US + 9_000_000))
    assert [row.entry_id for row in page.rows] == ["late", "long"]


@pytest.mark.parametrize(
    "cursor",
    ["x", "====", "é", "a" * 10_000, base64.urlsafe_b64encode(b"1 a' OR 1=1").decode(),
     base64.urlsafe_b64encode(b"99999999999999999999 a").decode(),
     base64.urlsafe_b64encode(b"12").decode()],
)  # fmt: skip
def test_a_cursor_that_we_did_not_make_is_refused(cursor: str) -> None:
    with pytest.raises(BadQuestion, match="cursor: not a cursor"):
        CallsQuestion(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(BadQuestion, match="limit: a number from 1"):
        CallsQuestion(limit=limit)
