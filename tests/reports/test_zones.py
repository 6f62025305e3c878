"""Time zones: what is computed here equals what zoneinfo says of every single moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_entries import ledger_entry
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.steps import steps_of

NAMES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kathmandu",  # +05:45
    "Pacific/Apia",  # skipped 30 December 2011
    "Africa/Casablanca",  # off summer time during Ramadan
    "America/Havana",  # goes back at 01:00 to 00:00
    "America/Asuncion",  # goes forward at 00:00
    "Australia/Lord_Howe",  # half an hour
    "America/St_Johns",  # changed at 00:01 until 2011
]
names = st.sampled_from(NAMES)
START_US = zones.epoch_us_of(datetime(2009, 1, 1, tzinfo=UTC))
END_US = zones.epoch_us_of(datetime(2035, 1, 1, tzinfo=UTC))
moments = st.integers(START_US, END_US)


@given(names, moments, st.integers(0, 900 * 86_400))
@settings(deadline=None)
def test_offsets_are_those_of_zoneinfo_on_either_side_of_every_change(
    name: str, start_us: int, length_s: int
) -> None:
    start_s = start_us // 1_000_000
    found = zones.offsets(name, start_s, start_s + length_s)
    zone = ZoneInfo(name)

    def truth(second: int) -> int:
        shift = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
        assert shift is not None
        return int(shift.total_seconds())

    offset = found.first_s
    assert offset == truth(start_s)
    bounds = [start_s, *(change.at_s for change in found.changes), start_s + length_s]
    assert bounds == sorted(bounds)
    for change in found.changes:
        assert truth(change.at_s - 1) == offset
        assert truth(change.at_s) == change.offset_s != offset
        offset = change.offset_s
    assert truth(start_s + length_s) == offset
    for second in range(start_s, start_s + length_s, 40_000):  # nothing was missed in between
        expected = [found.first_s, *(c.offset_s for c in found.changes if c.at_s <= second)]
        assert truth(second) == expected[-1]


@given(names, st.dates(date(2009, 1, 1), date(2034, 12, 31)))
def test_a_day_starts_with_the_first_moment_that_bears_its_date(name: str, day: date) -> None:
    zone = ZoneInfo(name)
    start = zones.moment_of(zones.day_start(day, zone))
    local = start.astimezone(zone).date()
    before = (start - timedelta(microseconds=1)).astimezone(zone).date()
    assert before < day
    assert local == day or (name, day) == ("Pacific/Apia", date(2011, 12, 30))  # no such day


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Kathmandu", date(2026, 3, 8), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("America/Asuncion", date(2023, 10, 1), 23),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_days_have_as_many_hours_as_they_have(name: str, day: date, hours: float) -> None:
    zone = ZoneInfo(name)
    length_us = zones.day_start(day + timedelta(days=1), zone) - zones.day_start(day, zone)
    assert length_us == hours * 3_600_000_000


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "America",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe/Berlin'; DROP TABLE entries; --",
        "Europe/Berlin\n",
        "Europe/Berlin\x00",
        "Ürümqi",
        "A" * 500,
        "EST5EDT,M3.2.0,M11.1.0",
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadQuestion, match="tz: not an IANA time zone") as caught:
        zones.zone_info(name)
    assert "DROP" not in str(caught.value)


# --------------------------------------------------------------------- in the engine


def near_changes(name: str) -> list[int]:
    """Moments on and around every change of offset and many midnights."""
    changes = zones.offsets(name, START_US // 1_000_000, END_US // 1_000_000).changes
    seconds = [change.at_s for change in changes]
    seconds += [
        zones.day_start(date(2026, month, 1), ZoneInfo(name)) // 1_000_000 for month in range(1, 13)
    ]
    offsets_us = (-3_600_000_000, -1, 0, 1, 3_599_999_999, 3_600_000_000)
    return [second * 1_000_000 + offset for second in seconds for offset in offsets_us]


@pytest.mark.parametrize("name", NAMES)
def test_days_weeks_and_hours_in_sql_equal_a_recount(ledger: Ledger, name: str) -> None:
    zone = ZoneInfo(name)
    entries = [ledger_entry(started_at_us=at_us, org=name) for at_us in near_changes(name)]
    ledger.append(entries, Position(name, 1))
    found = zones.offsets(name, START_US // 1_000_000 - 90_000, END_US // 1_000_000 + 90_000)
    table = ledger.entries()
    table = table.filter(table.org == bindings.text("org"))
    changes = len(found.changes)
    asked = table.select(
        "started_at",
        day=zones.local_day(table.started_at, changes),
        week=zones.local_week(table.started_at, changes),
        hour=zones.local_hour(table.started_at, changes),
    )
    rows = ledger.run(asked, {"org": name, **zones.offset_values(found)})
    assert len(rows) == len(entries)
    for row in rows:
        local = row["started_at"].astimezone(zone)
        assert zones.day_of(row["day"]) == local.date()
        assert zones.day_of(row["week"]) == local.date() - timedelta(days=local.weekday())
        start = zones.moment_of(row["hour"] * 1_000_000)
        into_hour = timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        assert row["started_at"] - start == into_hour


def test_the_hour_that_comes_twice_stays_two(ledger: Ledger) -> None:
    zone = ZoneInfo("America/New_York")
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 in summer time
    texts = [
        zones.hour_text(int((first + timedelta(hours=later)).timestamp()) - 1_800, zone)
        for later in (0, 1)
    ]
    assert texts == ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"]


@pytest.mark.parametrize(
    ("change", "before", "after", "begins"),
    [
        # Half past three in the afternoon, UTC: two o'clock becomes half past two ...
        ("2026-10-03T15:30", "01:00:00+10:30", "02:00:00+11:00", "02:30:00+11:00"),
        # ... and in April half past one.
        ("2026-04-04T15:00", "01:00:00+11:00", "01:00:00+10:30", "01:30:00+10:30"),
    ],
)
def test_hours_that_half_an_hour_is_taken_from_are_told_apart(
    change: str, before: str, after: str, begins: str
) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    at_us = zones.epoch_us_of(datetime.fromisoformat(change).replace(tzinfo=UTC))
    hour_us = 3_600_000_000
    period = Period("custom", str(zone), at_us - hour_us, at_us + hour_us, at_us + hour_us)
    steps = steps_of(period, "hour")
    place = next(place for place, step in enumerate(steps) if step.start_us == at_us)
    texts = [zones.hour_text(steps[each].key, zone)[11:] for each in (place - 1, place)]
    assert texts == [before, after]
    assert zones.local_time(at_us, zone).isoformat()[11:] == begins
    assert [step.start_us for step in steps[1:]] == [step.end_us for step in steps[:-1]]
