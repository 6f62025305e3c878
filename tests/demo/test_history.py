"""The made-up company's history: the same for a seed, true to the price book, with its stories."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from tollkeeper.demo.history import demo_company, demo_entries
from tollkeeper.demo.prices import price_book
from tollkeeper.demo.services import RUNAWAY
from tollkeeper.demo.stories import DAY_US, HOUR_US, Span
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.services.explanation import explanation_of

NOW_US = int(datetime(2026, 11, 25, 15, 30, tzinfo=UTC).timestamp()) * 1_000_000
ENTRIES = 9_000


@pytest.fixture(scope="module")
def entries() -> list[LedgerEntry]:
    return list(demo_entries(NOW_US, ENTRIES))


def _in(entries: list[LedgerEntry], span: Span) -> list[LedgerEntry]:
    return [it for it in entries if span.from_us <= it.started_at_us < span.until_us]


def test_there_are_as_many_as_asked_for_each_once_and_in_the_period(
    entries: list[LedgerEntry],
) -> None:
    assert len(entries) == ENTRIES
    assert len({it.entry_id for it in entries}) == ENTRIES
    days = Counter(it.started_at_us // DAY_US for it in entries)
    today = NOW_US // DAY_US
    assert min(days) == today - 89 and max(days) == today
    assert max(it.started_at_us for it in entries) < NOW_US
    working = [days[day] for day in days if datetime.fromtimestamp(day * 86_400, UTC).weekday() < 5]
    weekend = [days[day] for day in days if datetime.fromtimestamp(day * 86_400, UTC).weekday() > 4]
    assert sum(working) / len(working) > 2.5 * sum(weekend) / len(weekend)


def test_the_same_seed_gives_the_same_entries_and_another_one_others() -> None:
    first = list(demo_entries(NOW_US, 600, seed=3))
    assert first == list(demo_entries(NOW_US, 600, seed=3))
    assert first != list(demo_entries(NOW_US, 600, seed=4))


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 28, 0, 0, 5, tzinfo=UTC),
        datetime(2027, 1, 1, 0, 30, tzinfo=UTC),
        datetime(2027, 3, 1, 3, 0, tzinfo=UTC),
        datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_any_moment_has_its_ninety_days(now: datetime) -> None:
    now_us = int(now.timestamp()) * 1_000_000
    entries = list(demo_entries(now_us, 500))
    assert len(entries) == 500
    assert all(now_us - 90 * DAY_US <= it.started_at_us < now_us for it in entries)
    assert {it.key_id for it in entries if it.tool == "python-requests"} == {
        demo_company(now_us).leaked.key_id
    }


def test_every_cost_is_what_its_explanation_comes_to(entries: list[LedgerEntry]) -> None:
    book = price_book(demo_company(NOW_US).stories)
    explained = Counter[str]()
    estimated = [it for it in entries if it.basis == Basis.ESTIMATED]
    for entry in (*entries[::40], *estimated[:20]):
        if entry.cost_nanos is None:
            assert entry.unpriced_reason
        elif entry.basis in {Basis.MEASURED, Basis.ESTIMATED, Basis.FLAT_RATE}:
            lines = explanation_of(entry, book, lambda version: None).lines
            usd = sum(Fraction(it.price or 0) * it.count / it.per for it in lines)
            paid = entry.list_cost_nanos if entry.basis is Basis.FLAT_RATE else entry.cost_nanos
            assert round(usd * NANOS_PER_USD) == paid
            explained[entry.basis] += 1
    assert min(explained.values()) > 15


def test_all_that_can_be_known_of_a_cost_is_there(entries: list[LedgerEntry]) -> None:
    assert {it.basis for it in entries} >= {
        *(Basis.MEASURED, Basis.ESTIMATED, Basis.UNPRICED, Basis.FLAT_RATE, Basis.FREE),
    }
    assert {it.outcome for it in entries} >= {
        *(Outcome.OK, Outcome.DISCONNECTED, Outcome.REFUSED, Outcome.UPSTREAM_ERROR),
    }
    assert len({it.tags["feature"] for it in entries if "feature" in it.tags}) == 30
    assert len({it.end_customer for it in entries}) > 300
    assert {"claude-code", "codex", "kimi-code", "gemini-cli"} <= {it.tool for it in entries}


def test_a_key_runs_wild_on_a_tuesday(entries: list[LedgerEntry]) -> None:
    told = demo_company(NOW_US).stories.runaway
    assert datetime.fromtimestamp(told.from_us / 1e6, UTC).weekday() == 1
    keys = Counter(it.key_name for it in _in(entries, told))
    assert keys.most_common(1)[0][0] == RUNAWAY
    wild = [it for it in _in(entries, told) if it.key_name == RUNAWAY]
    same = Counter(it.input_tokens for it in wild).most_common(1)[0][1]
    assert same > 0.8 * len(wild)


def test_a_leaked_key_is_used_from_elsewhere_at_night(entries: list[LedgerEntry]) -> None:
    company = demo_company(NOW_US)
    key = [it for it in entries if it.key_id == company.leaked.key_id]
    stolen = [it for it in key if it.tool == "python-requests"]
    assert len(stolen) > 20
    assert stolen == _in(stolen, company.stories.leak)
    assert not [it for it in key if it.started_at_us >= company.stories.leak.until_us + HOUR_US]
    assert {it.tool for it in key} == {"claude-code", "python-requests"}


def test_support_stops_using_claude_code(entries: list[LedgerEntry]) -> None:
    stops = demo_company(NOW_US).stories.support_stops_day
    days = [
        it.started_at_us // DAY_US
        for it in entries
        if it.team == "Support" and it.tool == "claude-code"
    ]
    assert len(days) > 30
    assert max(days) <= stops


def test_most_calls_to_openai_fail_for_two_hours(entries: list[LedgerEntry]) -> None:
    told = demo_company(NOW_US).stories.outage
    asked = [it for it in _in(entries, told) if it.provider == "openai"]
    failed = [it for it in asked if it.outcome == Outcome.UPSTREAM_ERROR]
    assert asked
    assert len(failed) > 0.3 * len(asked)


def test_prices_change_within_the_period(entries: list[LedgerEntry]) -> None:
    told = demo_company(NOW_US).stories
    sonnet = [
        it
        for it in entries
        if it.model_served == "claude-haiku-5-5" and it.basis == Basis.MEASURED and it.cost_nanos
    ]
    before = [it for it in sonnet if it.started_at_us < told.discount_us]
    after = [it for it in sonnet if it.started_at_us >= told.discount_us]
    assert before and after
    assert all(it.cost_nanos == it.list_cost_nanos for it in before)
    assert all((it.cost_nanos or 0) < (it.list_cost_nanos or 0) for it in after)
    assert {"Anthropic contract" in it.price_key for it in after} == {True}
