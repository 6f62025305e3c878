"""Steps of time within a period: hours, days, weeks or months as a clock on the wall has them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from tollkeeper.reports import zones
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion

STEPS_MAX: Final = 400
_HOURS_UP_TO_DAYS: Final = 2
_DAYS_UP_TO_DAYS: Final = 100
_WEEKS_UP_TO_DAYS: Final = 400
_QUARTER_S: Final = 900  # offsets of zones are whole quarters of an hour, so hours begin at one


class Step(NamedTuple):
    """One step, cut to its period. ``key`` is what the ledger's queries give for it."""

    key: int
    start_us: int
    end_us: int


def usual_grain(period: Period) -> str:
    """Choose steps so that a chart of them can be read."""
    days = len(period.days())
    if days <= _HOURS_UP_TO_DAYS:
        return "hour"
    if days <= _DAYS_UP_TO_DAYS:
        return "day"
    return "week" if days <= _WEEKS_UP_TO_DAYS else "month"


def steps_of(period: Period, grain: str) -> tuple[Step, ...]:
    """List the steps that have a part in the period. Raises BadQuestion for too many."""
    length_s = {"hour": zones.HOUR_S, "day": zones.DAY_S}.get(grain, 7 * zones.DAY_S)
    if (period.end_us - period.start_us) // 1_000_000 // length_s > STEPS_MAX:
        raise BadQuestion("grain", f"at most {STEPS_MAX} steps fit into a chart; take longer ones")
    starts = {"hour": _hours, "day": _days, "week": _weeks, "month": _months}[grain](period)
    ends = [*(start_us for _, start_us in starts[1:]), period.end_us]
    return tuple(
        Step(key, max(start_us, period.start_us), min(end_us, period.end_us))
        for (key, start_us), end_us in zip(starts, ends, strict=True)
    )


def _hours(period: Period) -> list[tuple[int, int]]:
    found = period.offsets()
    first_s, end_s = period.start_us // 1_000_000, -(-period.end_us // 1_000_000)
    starts_s: dict[int, int] = {}
    for second in (first_s, *range(first_s // _QUARTER_S * _QUARTER_S, end_s, _QUARTER_S)):
        second = max(second, first_s)
        offset_s, since_s = found.first_s, None
        for change in found.changes:
            if second >= change.at_s:
                offset_s, since_s = change.offset_s, change.at_s
        key = (second + offset_s) // zones.HOUR_S * zones.HOUR_S - offset_s
        # An hour that begins before the clocks are changed to it begins with the change.
        starts_s.setdefault(key, key if since_s is None else max(key, since_s))
    return [(key, start_s * 1_000_000) for key, start_s in starts_s.items()]


def _days(period: Period) -> list[tuple[int, int]]:
    return [(zones.number_of(day), zones.day_start(day, period.zone_info)) for day in period.days()]


def _weeks(period: Period) -> list[tuple[int, int]]:
    monday = period.first_day - timedelta(days=period.first_day.weekday())
    found = []
    while monday <= period.last_day:
        found.append((zones.number_of(monday), zones.day_start(monday, period.zone_info)))
        monday += timedelta(days=7)
    return found


def _months(period: Period) -> list[tuple[int, int]]:
    return [(index, start_us) for index, (_, start_us) in enumerate(period.month_starts())]
