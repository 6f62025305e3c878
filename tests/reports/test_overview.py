"""The first page's figures equal a recount, whatever is filtered and whichever way it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
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
from tollkeeper.domain.ledger import Basis, LedgerEntry, is_attempt
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.comparison import MEASURES, NOTHING, Change, Sums
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.overview import (
    SERIES,
    Overview,
    OverviewQuestion,
    overview,
)
from tollkeeper.reports.period import period_between, period_named
from tollkeeper.reports.questions import BadQuestion

BERLIN = "Europe/Berlin"
NOW_US = zones.instant_of(datetime.fromisoformat("2026-11-18T15:30"), zones.zone_info(BERLIN))
DAY_US = 86_400_000_000


def page(
    ledger: Ledger, scope: Scope, *, by: str = "model", filters: str = "", name: str = "30d"
) -> Overview:
    period = period_named(name, BERLIN, NOW_US)
    return overview(ledger, scope, OverviewQuestion(period, by, parse_filters(filters)), NOW_US)


def started(entries: Sequence[LedgerEntry], start_us: int, end_us: int) -> list[LedgerEntry]:
    return [entry for entry in entries if start_us <= entry.started_at_us < end_us]


def check_sums(found: Sums, entries: Sequence[LedgerEntry]) -> None:
    expected = recount.measures(entries)
    assert {name: getattr(found, name) for name in MEASURES} == {
        name: expected[name] for name in MEASURES
    }
    assert found.cost_per_request_usd == expected["cost_per_request_usd"]
    assert found.error_rate == expected["error_rate"]
    assert found.cached_share == expected["cached_share"]
    assert sum(share.requests for share in found.by_basis.values()) == found.requests
    assert sum(share.tokens for share in found.by_basis.values()) == expected["tokens"]
    assert (found.unpriced_calls, found.unpriced_tokens) == recount.unpriced_calls(entries)
    for basis in Basis:
        members = [entry for entry in entries if entry.basis == basis]
        counted = recount.measures(members)
        share = found.by_basis.get(basis, NOTHING)
        assert (share.requests, share.entries) == (counted["requests"], counted["entries"])
        if counted["entries"]:
            assert share.cost_usd == counted["cost_usd"]


sometime = st.integers(NOW_US - 70 * DAY_US, NOW_US) | st.sampled_from(
    [
        period_named(name, BERLIN, NOW_US).previous().until_us - before
        for name in ("month", "30d", "7d", "today")
        for before in (0, 1)
    ]
)


@settings(max_examples=80, deadline=None)
@given(
    corrected_entries(sometime),
    st.sampled_from(["7d", "30d", "month", "24h"]),
    st.sampled_from(["model", "team", "user", "tag:feature", "streamed", "status"]),
)
def test_every_figure_equals_a_recount(
    ledger: Ledger, entries: list[LedgerEntry], name: str, by: str
) -> None:
    found = page(ledger, store(ledger, entries), by=by, name=name)
    for compared in (found.month, found.stretch, found.today):
        period, before = compared.period, compared.previous
        check_sums(compared.now, started(entries, period.start_us, period.end_us))
        check_sums(compared.before, started(entries, before.start_us, before.until_us))
    period, before = found.stretch.period, found.stretch.previous
    now = started(entries, period.start_us, period.end_us)
    earlier = started(entries, before.start_us, before.until_us)
    zone = period.zone_info
    check_parts(found, recount.grouped(now, [by], zone), recount.grouped(earlier, [by], zone))
    check_days(found, recount.grouped(now, [by, "day"], zone))
    assert found.has_entries == any(is_attempt(entry) for entry in entries)


def check_parts(found: Overview, now: Any, earlier: Any) -> None:
    parts = {(part.key,): part for part in found.parts}
    assert parts.keys() == now.keys() | earlier.keys()
    for key, part in parts.items():
        expected = Change(
            now[key]["cost_usd"] if key in now else Decimal(0),
            earlier[key]["cost_usd"] if key in earlier else Decimal(0),
        )
        assert part.change == expected
        assert part.requests == (now[key]["requests"] if key in now else 0)
        assert part.unpriced == (now[key]["unpriced"] if key in now else 0)
    costs = [part.change.now for part in found.parts]
    known = [cost for cost in costs if cost is not None]
    assert known == sorted(known, reverse=True)
    amounts = [abs(part.change.amount or 0) for part in found.parts]
    moved = sorted((amount for amount in amounts if amount), reverse=True)
    assert [abs(part.change.amount or 0) for part in found.movers] == moved[:5]


def check_days(found: Overview, by_day: Any) -> None:
    assert found.days == found.stretch.period.days()
    for part in found.parts[:SERIES]:
        expected = [
            by_day[part.key, day.isoformat()]["cost_usd"]
            if (part.key, day.isoformat()) in by_day
            else Decimal(0)
            for day in found.days
        ]
        assert list(part.by_day) == expected
    assert all(part.by_day == () for part in found.parts[SERIES:])


# --------------------------------------------------------------------- by example


def test_the_chart_adds_up_and_the_rest_is_other(ledger: Ledger) -> None:
    entries = [
        ledger_entry(
            started_at_us=NOW_US - day * DAY_US,
            model_served=f"model-{number}",
            cost_nanos=(number + 1) * 10**9,
        )
        for number in range(9)
        for day in range(3)
    ]
    found = page(ledger, store(ledger, entries))
    assert [part.name for part in found.parts] == [f"model-{number}" for number in range(8, -1, -1)]
    assert found.other is not None
    assert found.other.change.now == Decimal(3 * (1 + 2 + 3))
    assert found.other.requests == 9
    total = found.stretch.now.cost_usd
    assert total == Decimal(135)
    charted = [*found.parts[:SERIES], found.other]
    assert sum(cost or 0 for part in charted for cost in part.by_day) == total
    assert sum(part.share or 0 for part in charted) == 1
    assert found.partial_day == len(found.days) - 1
    assert found.days[-1] == date(2026, 11, 18)


def test_month_to_date_is_compared_with_the_same_point_of_the_month_before(
    ledger: Ledger,
) -> None:
    before = period_named("month", BERLIN, NOW_US).previous()
    entries = [
        ledger_entry(started_at_us=NOW_US - DAY_US, cost_nanos=30 * 10**9),
        ledger_entry(started_at_us=before.until_us - 1, cost_nanos=20 * 10**9),
        ledger_entry(started_at_us=before.until_us, cost_nanos=50 * 10**9),
    ]
    found = page(ledger, store(ledger, entries))
    assert found.month.change == Change(Decimal(30), Decimal(20))
    assert found.month.change.ratio == Decimal("0.5")
    assert found.month.change.amount == Decimal(10)


def test_what_is_unknown_stays_unknown(ledger: Ledger) -> None:
    entries = [ledger_entry(started_at_us=NOW_US - 1, cost_nanos=None, basis=Basis.UNPRICED)]
    found = page(ledger, store(ledger, entries))
    assert found.month.now.cost_usd is None
    assert found.month.change.amount is None
    assert found.month.change.ratio is None
    assert found.month.now.share(Basis.UNPRICED) == 1
    (part,) = found.parts
    assert part.change.now is None
    assert part.share is None
    assert part.by_day[-1] is None
    assert part.by_day[0] == Decimal(0)


@pytest.mark.parametrize("others", [{"part": 1}, {"corrects": "earlier"}, {"attempt": 2}])
def test_calls_without_a_price_are_counted_once_each(
    ledger: Ledger, others: dict[str, Any]
) -> None:
    """Entries stand for calls, but not those of further models, nor those that only add."""
    entries = [
        ledger_entry(started_at_us=NOW_US - before, cost_nanos=None, basis=Basis.UNPRICED)
        for before in (1, 1_000_000, 3 * DAY_US)
    ]
    of_the_last = entries[-1]._replace(entry_id=f"{entries[-1].entry_id}x", **others)
    found = page(ledger, store(ledger, [*entries, of_the_last]))
    check_sums(found.stretch.now, [*entries, of_the_last])
    assert found.stretch.now.unpriced_calls == (4 if "attempt" in others else 3)
    assert found.today.now.unpriced_calls == 2


def test_an_empty_installation_says_so(ledger: Ledger) -> None:
    found = page(ledger, Scope("nobody"))
    assert not found.has_entries
    assert found.month.now.cost_usd == Decimal(0)
    assert found.month.now.share(Basis.ESTIMATED) is None
    assert (found.parts, found.other, found.movers, found.recent_calls) == ((), None, (), ())


def test_filters_that_nothing_passes_are_told_from_that(ledger: Ledger) -> None:
    scope = store(ledger, [ledger_entry(started_at_us=NOW_US - 200 * DAY_US)])
    assert page(ledger, scope).has_entries
    found = page(ledger, scope, filters="team:nobody")
    assert found.has_entries
    assert found.recent_calls == ()


def test_only_what_the_scope_allows_is_shown(ledger: Ledger) -> None:
    entries = [
        ledger_entry(started_at_us=NOW_US - 1, team="core"),
        ledger_entry(started_at_us=NOW_US - 1, team="data"),
    ]
    org = store(ledger, entries).org
    found = page(ledger, Scope(org, frozenset({"data"})), by="team")
    assert [part.name for part in found.parts] == ["data"]
    assert [row.team for row in found.recent_calls] == ["data"]
    assert found.month.now.requests == 1


def test_people_are_named(ledger: Ledger) -> None:
    scope = store(ledger, [ledger_entry(started_at_us=NOW_US - 1)])
    (part,) = page(ledger, scope, by="user").parts
    assert (part.key, part.name) == ("u_1", "alice@acme.com")


def test_more_days_than_a_chart_holds_are_refused() -> None:
    period = period_between("2024-01-01", "2026-01-01", BERLIN, NOW_US)
    with pytest.raises(BadQuestion, match="at most 400 days"):
        OverviewQuestion(period)
    with pytest.raises(BadQuestion, match="no dimension"):
        OverviewQuestion(period_named("30d", BERLIN, NOW_US), "cost; DROP TABLE entries")
