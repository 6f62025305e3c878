"""Periods: their bounds, what comes before them, and how far they have come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.reports import zones
from tollkeeper.reports.period import Period, period_between, period_named
from tollkeeper.reports.questions import BadQuestion

BERLIN = "Europe/Berlin"
ZONES = ["UTC", "America/New_York", BERLIN, "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"]
FIRST_WALL_TIME = datetime.fromisoformat("1990-01-01")
LAST_WALL_TIME = datetime.fromisoformat("2100-01-01")
NAMES = ["today", "yesterday", "week", "month", "last_month", "year", "7d", "30d", "90d", "24h"]


def at(text: str, zone: str = BERLIN) -> int:
    return zones.epoch_us_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def bounds(period: Period) -> tuple[str, str]:
    return tuple(  # type: ignore[return-value]
        f"{zones.local_time(moment, period.zone_info):%Y-%m-%d %H:%M}"
        for moment in (period.start_us, period.end_us)
    )


NOW = at("2026-11-18T15:30:00")


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("today", "2026-11-18 00:00", "2026-11-19 00:00"),
        ("yesterday", "2026-11-17 00:00", "2026-11-18 00:00"),
        ("week", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("month", "2026-11-01 00:00", "2026-12-01 00:00"),
        ("last_month", "2026-10-01 00:00", "2026-11-01 00:00"),
        ("year", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("1d", "2026-11-18 00:00", "2026-11-19 00:00"),
        ("7d", "2026-11-12 00:00", "2026-11-19 00:00"),
        ("30d", "2026-10-20 00:00", "2026-11-19 00:00"),
        ("90d", "2026-08-21 00:00", "2026-11-19 00:00"),
        ("24h", "2026-11-17 15:30", "2026-11-18 15:30"),
    ],
)
def test_named_periods(name: str, start: str, end: str) -> None:
    period = period_named(name, BERLIN, NOW)
    assert bounds(period) == (start, end)
    assert period.until_us == min(NOW, period.end_us)
    assert period.complete == (end <= "2026-11-18 15:30")


@pytest.mark.parametrize(
    ("name", "start", "until"),
    [
        ("today", "2026-11-17 00:00", "2026-11-17 15:30"),
        ("yesterday", "2026-11-16 00:00", "2026-11-17 00:00"),
        ("week", "2026-11-09 00:00", "2026-11-11 15:30"),
        ("month", "2026-10-01 00:00", "2026-10-18 15:30"),  # summer time in between
        ("last_month", "2026-09-01 00:00", "2026-10-01 00:00"),
        ("year", "2025-01-01 00:00", "2025-11-18 15:30"),
        ("30d", "2026-09-20 00:00", "2026-10-19 15:30"),
        ("24h", "2026-11-16 15:30", "2026-11-17 15:30"),
    ],
)
def test_the_period_before_has_elapsed_to_the_same_point(name: str, start: str, until: str) -> None:
    period = period_named(name, BERLIN, NOW)
    before = period.previous()
    assert before.end_us == period.start_us
    shown = [
        f"{zones.local_time(moment, before.zone_info):%Y-%m-%d %H:%M}"
        for moment in (before.start_us, before.until_us)
    ]
    assert shown == [start, until]


def test_a_month_that_is_too_short_has_elapsed_completely() -> None:
    march = period_named("month", BERLIN, at("2026-03-31T10:00:00"))
    february = march.previous()
    assert february.until_us == february.end_us == at("2026-03-01T00:00:00")


def test_a_time_that_the_clocks_skipped_counts_as_the_moment_of_the_change() -> None:
    today = period_named("today", BERLIN, at("2026-03-30T02:30:00"))
    assert today.previous().until_us == at("2026-03-29T03:00:00")


@given(st.sampled_from(NAMES), st.sampled_from(ZONES), st.integers(10**15, 2 * 10**15))
def test_periods_hold_together(name: str, zone: str, now_us: int) -> None:
    period = period_named(name, zone, now_us)
    before = period.previous()
    assert before.start_us < before.until_us <= before.end_us == period.start_us
    assert period.start_us <= period.until_us <= period.end_us
    assert period.complete or period.until_us == now_us
    assert period.complete == before.complete or not period.complete
    days = period.days()
    assert days[0] == period.first_day
    assert days[-1] == period.last_day
    assert len(days) == (days[-1] - days[0]).days + 1
    months = period.month_starts()
    assert [month for month, _ in months] == sorted({f"{day:%Y-%m}" for day in days})
    assert all(zones.local_time(start, ZoneInfo(zone)).day == 1 for _, start in months)


def test_days_with_the_change_of_clocks_are_days() -> None:
    period = period_between("2026-10-24", "2026-10-26", BERLIN, NOW)
    assert period.days() == (date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26))
    assert period.end_us - period.start_us == 73 * 3_600_000_000
    assert [change.offset_s for change in period.offsets().changes] == [3_600]


@pytest.mark.parametrize(
    ("start", "end", "expected", "before"),
    [
        ("2026-11-01", "2026-11-07", ("2026-11-01 00:00", "2026-11-08 00:00"), "2026-10-25 00:00"),
        ("2026-11-18", "2026-11-18", ("2026-11-18 00:00", "2026-11-19 00:00"), "2026-11-17 00:00"),
        ("2026-09-01", "2026-10-31", ("2026-09-01 00:00", "2026-11-01 00:00"), "2026-07-01 00:00"),
        (
            "2026-11-01T10:00:00",
            "2026-11-01T11:30:00",
            ("2026-11-01 10:00", "2026-11-01 11:30"),
            "2026-11-01 08:30",
        ),
        (
            "2026-11-01T09:00:00Z",
            "2026-11-02",
            ("2026-11-01 10:00", "2026-11-03 00:00"),
            "2026-10-30 20:00",
        ),
        ("2026-11-16", None, ("2026-11-16 00:00", "2026-11-19 00:00"), "2026-11-13 00:00"),
    ],
)
def test_chosen_bounds(start: str, end: str | None, expected: tuple[str, str], before: str) -> None:
    period = period_between(start, end, BERLIN, NOW)
    assert bounds(period) == expected
    assert bounds(period.previous()) == (before, expected[0])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-02", "2026-11-01"),
        ("2026-11-01T10:00:00", "2026-11-01T10:00:00"),
        ("2001-01-01", "2026-01-01"),
        ("yesterday", None),
        ("2026-13-01", None),
        ("1066-10-14", None),
        ("2026-11-01'; DROP TABLE entries", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("2026-11-01", "9999-12-31"),
        ("2027-11-01", None),
    ],
)
def test_bounds_that_make_no_period_are_refused(start: str, end: str | None) -> None:
    with pytest.raises(BadQuestion) as caught:
        period_between(start, end, BERLIN, NOW)
    assert caught.value.parameter in {"from", "to"}
    assert "DROP" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "0d", "-1d", "99999d", "30D", "30", "month ", "d", "1e3d"])
def test_names_of_no_period_are_refused(name: str) -> None:
    with pytest.raises(BadQuestion, match="period: "):
        period_named(name, BERLIN, NOW)


@given(st.datetimes(FIRST_WALL_TIME, LAST_WALL_TIME), st.sampled_from(ZONES))
def test_a_wall_time_is_reached_at_its_instant_and_not_before(wall: datetime, zone: str) -> None:
    info = ZoneInfo(zone)
    instant = zones.moment_of(zones.instant_of(wall, info))
    assert instant.astimezone(info).replace(tzinfo=None) >= wall
    before = (instant - timedelta(microseconds=1)).astimezone(info).replace(tzinfo=None)
    assert before < wall
    assert instant.tzinfo is UTC
