"""Weeks, and which of them is due: always one that is over, once a week, in the zone's own time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.digests import (
    LATE_US,
    DigestSettings,
    Week,
    last_week,
    latest_due,
    week_named,
    week_of,
)

DAY_US = 86_400_000_000
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_a_week_is_written_as_iso_8601_does() -> None:
    week = week_named("2026-W47")
    assert (week.first_day, week.last_day) == (date(2026, 11, 16), date(2026, 11, 22))
    assert week.name == "2026-W47"
    assert week_of(date(2027, 1, 1)) == Week(2026, 53)  # the year of the week, not of the day


@pytest.mark.parametrize("text", ["", "2026-47", "2026-W00", "2025-W53", "2026-W5", "W47", "x"])
def test_what_is_no_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        week_named(text)


def test_monday_morning_sends_the_week_that_ended_that_night() -> None:
    chosen = DigestSettings(enabled=True, zone="Europe/Berlin")
    due = latest_due(chosen, at("2026-11-23T08:00+01:00"))
    assert (due.week.name, due.at_us) == ("2026-W47", at("2026-11-23T08:00+01:00"))
    before = latest_due(chosen, at("2026-11-23T08:00+01:00") - 1)
    assert before.week.name == "2026-W46"
    assert not before.is_open(at("2026-11-23T07:59+01:00"))
    assert due.is_open(due.at_us)
    assert due.is_open(due.at_us + LATE_US - 1)
    assert not due.is_open(due.at_us + LATE_US)


def test_a_day_at_the_end_of_the_week_sends_the_week_before() -> None:
    chosen = DigestSettings(enabled=True, weekday=4, minute=17 * 60, zone="UTC")
    assert latest_due(chosen, at("2026-11-27T17:00+00:00")).week.name == "2026-W47"
    assert latest_due(chosen, at("2026-11-27T16:59+00:00")).week.name == "2026-W46"


@settings(deadline=None, max_examples=40)
@given(
    st.integers(at("2026-01-01T00:00+00:00"), at("2028-01-01T00:00+00:00")),
    st.integers(0, 6),
    st.integers(0, 1_439),
    st.sampled_from(ZONES),
)
def test_what_is_due_is_over_and_comes_once_a_week(
    now_us: int, weekday: int, minute: int, zone: str
) -> None:
    chosen = DigestSettings(True, weekday, minute, zone)
    due = latest_due(chosen, now_us)
    assert due.at_us <= now_us
    assert now_us - due.at_us <= 7 * DAY_US + 2 * 3_600_000_000
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=due.at_us)
    assert last_week(zone, due.at_us).first_day >= due.week.first_day
    assert moment.date() >= due.week.last_day
    after = latest_due(chosen, due.at_us + 8 * DAY_US)
    assert after.week == week_of(due.week.first_day + timedelta(days=7))
