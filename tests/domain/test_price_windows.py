"""Hours, weekdays, holidays and days from which prices hold: the plan of any instant is its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.price_data import ModelRow, PriceRow
from tollkeeper.domain.price_windows import DAY_US, active_row, clock_us, instant_us
from tollkeeper.domain.rate_card import RateCard
from tollkeeper.domain.usage import Usage

ONE = Usage({"input": 1_000_000})
CALENDARS = {"here": frozenset({"2026-01-01", "2026-05-01", "2026-12-31"})}
START_US, END_US = instant_us("2025-12-25"), instant_us("2027-01-10")

clocks = st.builds(lambda h, m: f"{h:02d}:{m:02d}", st.integers(0, 23), st.integers(0, 59))
days = st.builds(
    lambda it: (datetime(2025, 12, 1, tzinfo=UTC) + timedelta(hours=it)).isoformat(),
    st.integers(0, 24 * 420),
)


@st.composite
def models(draw: st.DrawFn) -> ModelRow:
    rows: list[PriceRow] = [{"usd": {"input": "1"}}]
    for number in range(draw(st.integers(0, 6))):
        row: PriceRow = {"usd": {"input": str(number + 2)}}
        if draw(st.booleans()):
            row["since"] = draw(days)
        if draw(st.booleans()):
            row["daily"] = (draw(clocks), draw(clocks))
        if draw(st.booleans()):
            row["weekdays"] = sorted(draw(st.sets(st.integers(1, 7), min_size=1)))
        if draw(st.booleans()):
            row["holidays"] = "here"
        rows.append(row)
    return {"model": "m", "prices": rows}


@given(model=models(), at_us=st.integers(START_US, END_US), later=st.integers(0, 10**6))
def test_a_plan_holds_for_all_of_its_time_and_no_longer(
    model: ModelRow, at_us: int, later: int
) -> None:
    card = RateCard("m", model, calendars=CALENDARS)
    plan = card.plan_for(ONE, at_us)
    assert plan.since_us <= at_us < plan.until_us
    span = min(plan.until_us, END_US + DAY_US) - max(plan.since_us, START_US - DAY_US)
    inside = max(plan.since_us, START_US - DAY_US) + span * later // (10**6 + 1)
    for moment in (inside, max(plan.since_us, START_US - DAY_US), plan.until_us - 1):
        active = active_row(model["prices"], moment, CALENDARS)
        assert plan.price(ONE).nanos == int(active["usd"]["input"]) * 10**9


@given(model=models(), at_us=st.integers(START_US, END_US))
def test_the_last_open_row_decides(model: ModelRow, at_us: int) -> None:
    """The same, thought anew: with the calendar of the standard library."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)

    def holds(row: PriceRow) -> bool:
        if "since" in row and datetime.fromisoformat(row["since"]) > moment:
            return False
        if "weekdays" in row and moment.isoweekday() not in row["weekdays"]:
            return False
        if "holidays" in row and moment.date().isoformat() in CALENDARS["here"]:
            return False
        if "daily" not in row:
            return True
        start, end = (datetime.strptime(it, "%H:%M").time() for it in row["daily"])  # noqa: DTZ007
        if end < start:
            return moment.time() >= start or moment.time() < end
        return start <= moment.time() < end

    expected = [row for row in model["prices"] if holds(row)][-1]
    assert active_row(model["prices"], at_us, CALENDARS) == expected


@pytest.mark.parametrize(("text", "hours"), [("00:00", 0), ("01:30", 1.5), ("24:00", 24)])
def test_times_of_day(text: str, hours: float) -> None:
    assert clock_us(text) == hours * 3_600_000_000


def test_a_calendar_that_is_not_there_closes_nothing() -> None:
    rows: list[PriceRow] = [{"usd": {"input": "1"}}, {"holidays": "nowhere", "usd": {"input": "2"}}]
    assert active_row(rows, START_US, {})["usd"] == {"input": "2"}
