"""Where a month will end, from real entries: by local days, within scope, and what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger_entries import ledger_entry
from ledgers import store
from tollkeeper.domain.access import Scope
from tollkeeper.domain.forecast import HISTORY_DAYS, State
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.forecast import MonthForecast, forecast
from tollkeeper.reports.forecast_answers import forecast_document, headline, how
from tollkeeper.reports.parameters import forecast_question
from tollkeeper.reports.questions import BadQuestion

USD = 10**9


def moment(text: str, zone: str) -> int:
    return zones.instant_of(datetime.fromisoformat(text), zones.zone_info(zone))


def daily(zone: str, now: str, days: int, **changes: Any) -> list[LedgerEntry]:
    """One dollar a day at 00:30 and another at 23:30 by the clock on the wall, until now."""
    now_us = moment(now, zone)
    today = datetime.fromisoformat(now).date()
    return [
        ledger_entry(started_at_us=at_us, cost_nanos=USD, **changes)
        for back in range(days + 1)
        for clock in ("00:30", "23:30")
        for at_us in (moment(f"{today - timedelta(days=back)}T{clock}", zone),)
        if at_us < now_us
    ]


def ask(ledger: Ledger, scope: Scope, zone: str, now: str, filters: str = "") -> MonthForecast:
    return forecast(ledger, scope, zone, parse_filters(filters), moment(now, zone))


@pytest.mark.parametrize(
    ("zone", "now", "end"),
    [
        ("America/New_York", "2026-11-14T12:00", 60),  # one of its days has 25 hours
        ("Europe/Berlin", "2026-10-24T23:45", 62),  # one that is left has 25
        ("Europe/Berlin", "2026-03-28T12:00", 62),  # one that is left has 23
        ("Asia/Kathmandu", "2026-02-28T12:00", 56),  # the last day
        ("UTC", "2026-12-31T23:59", 62),
        ("Pacific/Auckland", "2026-04-01T12:00", 60),  # the first
    ],
)
def test_days_are_those_of_the_zone(ledger: Ledger, zone: str, now: str, end: int) -> None:
    found = ask(ledger, store(ledger, daily(zone, now, 100)), zone, now)
    assert found.state is State.KNOWN
    assert found.end_usd == found.low_usd == found.high_usd == end
    day = int(now[8:10])
    assert found.so_far_usd == 2 * day - (now[11:] < "23:30")
    assert found.history_days == 100


def test_scope_and_filters_hold_and_so_does_the_window(ledger: Ledger) -> None:
    now = "2026-11-20T12:00"
    scope = store(
        ledger,
        daily("UTC", now, HISTORY_DAYS + 5, team="core")
        + daily("UTC", now, 5, team="other", user_id="u_2"),
    )
    assert ask(ledger, scope, "UTC", now, "team:core").end_usd == 60
    assert ask(ledger, scope, "UTC", now, "team:core").history_days == HISTORY_DAYS
    new = ask(ledger, scope, "UTC", now, "team:other")
    assert (new.state, new.end_usd) == (State.NOT_ENOUGH_HISTORY, None)
    assert new.so_far_usd == 11
    assert (new.history_days, new.needed_days) == (5, 14)
    assert headline(new) == "no forecast: not enough history"
    assert next(iter(how(new))).endswith("before a forecast; 5 are there.")
    alone = Scope(scope.org, user_id="u_2")
    assert ask(ledger, alone, "UTC", now).so_far_usd == 11
    assert ask(ledger, Scope("nobody"), "UTC", now).state is State.NOT_ENOUGH_HISTORY


def test_what_is_estimated_and_what_has_no_price_is_named(ledger: Ledger) -> None:
    now = "2026-11-20T12:00"
    entries = daily("UTC", now, 60)
    entries += daily("UTC", now, 2, basis=Basis.ESTIMATED)
    unpriced: dict[str, Any] = {"cost_nanos": None, "basis": Basis.UNPRICED}
    entries += [entry._replace(**unpriced) for entry in daily("UTC", now, 30)]
    found = ask(ledger, store(ledger, entries), "UTC", now)
    assert found.estimated_usd == 5
    assert (found.unpriced, found.unpriced_before) == (39, 22)
    text = " ".join(how(found))
    assert "$5.00 of this month so far was estimated" in text
    assert "39 entries of this month and 22 of the weeks before have no price" in text
    document = forecast_document(found)
    assert document["so_far_usd"] == "44.000000000"
    assert Decimal(document["low_usd"]) <= Decimal(document["end_usd"])
    only_unpriced = [entry._replace(**unpriced) for entry in daily("UTC", now, 30)]
    unknown = ask(ledger, store(ledger, only_unpriced), "UTC", now)
    assert (unknown.state, unknown.so_far_usd) == (State.NOTHING_SPENT, None)


@pytest.mark.parametrize(
    ("now", "rest"), [("12:00", 90), ("12:05", 60), ("12:15", 0), ("11:59", 90), ("12:01:30", 81)]
)
def test_of_the_quarter_hour_that_runs_the_part_counts_that_has_passed(
    ledger: Ledger, now: str, rest: int
) -> None:
    days = range(1, 31)
    entries = [
        ledger_entry(started_at_us=moment(f"2026-06-{day:02d}T{clock}", "UTC"), cost_nanos=cost)
        for day in days
        for clock, cost in (("08:00", 10 * USD), ("12:07", 90 * USD))
    ]
    found = ask(ledger, store(ledger, entries), "UTC", f"2026-07-01T{now}")
    assert found.days[0].usd == rest


@pytest.mark.parametrize(
    "asked", [{"tz": "Mars"}, {"filter": "colour:red"}, {"period": "30d"}, {"tz": "../etc"}]
)
def test_what_cannot_be_asked_is_told(asked: dict[str, str]) -> None:
    with pytest.raises(BadQuestion):
        forecast_question(asked)
