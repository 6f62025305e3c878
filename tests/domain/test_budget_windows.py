"""Windows of budgets: every instant lies in exactly one, whatever clocks and calendars do."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.domain.budget_windows import (
    ENDLESS,
    FOREVER,
    HOUR_US,
    LATEST_US,
    Window,
    WindowKind,
    WindowRule,
)

ZONES = sorted(
    zone
    for zone in zoneinfo.available_timezones()
    if zone not in {"localtime", "Factory", "posixrules"}
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = datetime(1990, 1, 1, tzinfo=UTC)
LAST = datetime(2040, 12, 31, tzinfo=UTC)
HOUR_S = 3600


def us(*moment: int, zone: str = "UTC") -> int:
    whole = datetime(*moment, tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC)  # type: ignore[arg-type,misc]
    return (whole - EPOCH) // timedelta(microseconds=1)


# ------------------------------------------------------------ an independent computation
#
# The zone's clock is walked through hour by hour, its jumps are found to the second, and a
# day begins when the latest date that was ever shown becomes a later one.


@cache
def offsets(zone: str, year: int) -> list[tuple[int, int]]:
    """Give (second of the epoch, offset) from the beginning of a year to the end of the next."""
    info = zoneinfo.ZoneInfo(zone)

    def offset(second: int) -> int:
        shift = datetime.fromtimestamp(second, info).utcoffset()
        assert shift is not None
        return round(shift.total_seconds())

    first = int(datetime(year - 1, 12, 1, tzinfo=UTC).timestamp())
    last = int(datetime(year + 2, 2, 1, tzinfo=UTC).timestamp())
    found = [(first, offset(first))]
    for hour in range(first, last, 6 * HOUR_S):
        ahead = hour + 6 * HOUR_S
        at = hour
        while offset(ahead) != offset(at):
            low, high = at, ahead
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if offset(middle) != offset(at) else (middle, high)
            found.append((high, offset(high)))
            at = high
    return found


@cache
def beginnings(zone: str, year: int) -> dict[date, int]:
    """Give the first second of every date around a year, by walking from jump to jump."""
    steps = offsets(zone, year)
    last = int(datetime(year + 2, 2, 1, tzinfo=UTC).timestamp())
    begun: dict[date, int] = {}
    latest = (steps[0][0] + steps[0][1]) // 86_400  # it began before the walk did
    for index, (start, offset) in enumerate(steps):
        end = steps[index + 1][0] if index + 1 < len(steps) else last
        for day in range((start + offset) // 86_400, (end - 1 + offset) // 86_400 + 1):
            if day > latest:
                for skipped in range(latest + 1, day + 1):
                    begun[date(1970, 1, 1) + timedelta(days=skipped)] = max(
                        start, day * 86_400 - offset
                    )
                latest = day
    return begun


def expected(rule: WindowRule, at_us: int) -> Window:
    """Look for the window among the days that begin one, in a list of all of them."""
    if rule.kind in ENDLESS:
        return FOREVER
    if rule.kind is WindowKind.HOUR:
        return Window(at_us // HOUR_US * HOUR_US, at_us // HOUR_US * HOUR_US + HOUR_US)
    year = datetime.fromtimestamp(at_us // 10**6, UTC).year
    starts: set[int] = set()
    for around in (year - 2, year, year + 2):
        days = beginnings(rule.zone, around)
        starts |= {second for day, second in days.items() if begins(rule, day)}
    ordered = sorted(starts)
    at_s = at_us // 10**6
    start = max(second for second in ordered if second <= at_s)
    end = min(second for second in ordered if second > at_s)
    return Window(start * 10**6, end * 10**6)


def begins(rule: WindowRule, day: date) -> bool:
    if rule.kind is WindowKind.DAY:
        return True
    if rule.kind is WindowKind.WEEK:
        return day.isoweekday() == rule.first_weekday
    is_last = (day + timedelta(days=1)).day == 1
    if not (day.day == rule.first_day or (is_last and day.day < rule.first_day)):
        return False
    months = {WindowKind.MONTH: 1, WindowKind.QUARTER: 3, WindowKind.YEAR: 12}[rule.kind]
    return (day.month - rule.first_month) % months == 0


RULES = st.builds(
    WindowRule,
    st.sampled_from(WindowKind),
    st.sampled_from(ZONES),
    st.integers(1, 7),
    st.integers(1, 12),
    st.integers(1, 31),
)
INSTANTS = st.integers(
    (FIRST - EPOCH) // timedelta(microseconds=1), (LAST - EPOCH) // timedelta(microseconds=1)
)


@settings(max_examples=250, deadline=None)
@given(RULES, INSTANTS)
@example(WindowRule(WindowKind.DAY, "America/St_Johns"), us(2006, 10, 29, 3, 0))
@example(WindowRule(WindowKind.DAY, "Pacific/Apia"), us(2011, 12, 30, 10))
@example(WindowRule(WindowKind.DAY, "Pacific/Kwajalein"), us(1993, 8, 21, 12))
@example(WindowRule(WindowKind.DAY, "America/Havana"), us(2023, 11, 5, 4, 30))
@example(WindowRule(WindowKind.WEEK, "Asia/Beirut", first_weekday=7), us(2021, 3, 27, 22))
def test_windows_are_those_of_a_walk_through_the_calendar(rule: WindowRule, at_us: int) -> None:
    assert rule.problem() == ""
    assert rule.around(at_us) == expected(rule, at_us)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None)
@given(RULES, INSTANTS)
def test_many_windows_are_those_of_a_walk_through_the_calendar(
    rule: WindowRule, at_us: int
) -> None:
    assert rule.around(at_us) == expected(rule, at_us)


@settings(max_examples=500, deadline=None)
@given(RULES, INSTANTS)
def test_windows_part_time(rule: WindowRule, at_us: int) -> None:
    window = rule.around(at_us)
    assert window.start_us <= at_us < window.end_us
    assert rule.around(window.start_us) == window
    assert rule.around(window.end_us - 1) == window
    if rule.kind in ENDLESS:
        assert rule.before(window) is None
        return
    assert rule.around(window.end_us).start_us == window.end_us
    before = rule.before(window)
    assert before is not None
    assert before.end_us == window.start_us


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("Europe/Berlin", (2026, 10, 26), 24),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("America/Sao_Paulo", (2018, 11, 4), 23),  # its midnight does not exist
        ("America/Havana", (2023, 11, 5), 25),  # its midnight comes twice
        ("Pacific/Apia", (2011, 12, 29), 24),  # the day after it does not exist
        ("Asia/Kathmandu", (2026, 1, 1), 24),
    ],
)
def test_days_are_as_long_as_their_clocks_say(
    zone: str, day: tuple[int, int, int], hours: float
) -> None:
    window = WindowRule(WindowKind.DAY, zone).around(us(*day, 12, zone=zone))
    assert (window.end_us - window.start_us) / HOUR_US == hours


def test_a_midnight_that_is_left_out_begins_the_day_at_the_jump() -> None:
    rule = WindowRule(WindowKind.DAY, "America/Sao_Paulo")
    assert rule.around(us(2018, 11, 4, 12)).start_us == us(2018, 11, 4, 3)


def test_an_hour_that_shows_yesterday_again_stays_in_the_new_day() -> None:
    # In 2006 clocks in St John's went back from 00:01 to 23:01 of the day before.
    rule = WindowRule(WindowKind.DAY, "America/St_Johns")
    start_us = us(2006, 10, 29, 2, 30)
    assert rule.around(start_us).start_us == start_us
    assert rule.around(start_us + 30 * 60 * 10**6).start_us == start_us
    assert rule.around(start_us - 1).end_us == start_us


@pytest.mark.parametrize(
    ("first_day", "at", "start", "end"),
    [
        (31, (2026, 2, 10), (2026, 1, 31), (2026, 2, 28)),
        (31, (2026, 3, 10), (2026, 2, 28), (2026, 3, 31)),
        (30, (2024, 2, 29), (2024, 2, 29), (2024, 3, 30)),
        (29, (2023, 2, 28), (2023, 2, 28), (2023, 3, 29)),
        (1, (2026, 12, 31), (2026, 12, 1), (2027, 1, 1)),
    ],
)
def test_months_begin_on_the_last_day_where_they_are_too_short(
    first_day: int, at: tuple[int, ...], start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    rule = WindowRule(WindowKind.MONTH, first_day=first_day)
    assert rule.around(us(*at)) == Window(us(*start), us(*end))


def test_a_fiscal_year_and_its_quarters_begin_in_their_month() -> None:
    year = WindowRule(WindowKind.YEAR, first_month=4)
    assert year.around(us(2026, 3, 31)) == Window(us(2025, 4, 1), us(2026, 4, 1))
    quarter = WindowRule(WindowKind.QUARTER, first_month=2)
    assert quarter.around(us(2026, 1, 31)) == Window(us(2025, 11, 1), us(2026, 2, 1))


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        (WindowRule(WindowKind.DAY, "Europe/Berlim"), "time zone"),
        (WindowRule(WindowKind.DAY, "../etc/passwd"), "time zone"),
        (WindowRule(WindowKind.DAY, "Europe"), "time zone"),
        (WindowRule(WindowKind.DAY, ""), "time zone"),
        (WindowRule(WindowKind.DAY, "localtime"), "time zone"),
        (WindowRule(WindowKind.DAY, "A" * 10_000), "time zone"),
        (WindowRule("fortnight"), "fortnight"),  # type: ignore[arg-type]
        (WindowRule(WindowKind.WEEK, first_weekday=0), "Monday"),
        (WindowRule(WindowKind.YEAR, first_month=13), "1 to 12"),
        (WindowRule(WindowKind.MONTH, first_day=32), "1 to 31"),
    ],
)
def test_a_rule_that_cannot_be_used_says_why(rule: WindowRule, word: str) -> None:
    assert word in rule.problem()


@pytest.mark.parametrize("at_us", [-1, LATEST_US, 10**30])
def test_a_moment_of_no_calendar_is_refused(at_us: int) -> None:
    with pytest.raises(ValueError, match="no moment"):
        WindowRule(WindowKind.DAY).around(at_us)


@pytest.mark.parametrize("kind", WindowKind)
def test_the_ends_of_the_calendar_have_windows(kind: WindowKind) -> None:
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        for at_us in (0, LATEST_US - 1):
            window = WindowRule(kind, zone).around(at_us)
            assert window.start_us <= at_us < window.end_us
