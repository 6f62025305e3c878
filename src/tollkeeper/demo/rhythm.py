"""When the made-up company works: hours, weekdays, holidays, growth, and the planted stories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final, NamedTuple

from tollkeeper.demo.company import DAYS, Company
from tollkeeper.demo.stories import HOLIDAYS, HOUR_US, Span, weekday

_EPOCH: Final = date(1970, 1, 1)
_NIGHT: Final = range(1, 5)

# By hour of the day, UTC.
_AT_DESKS: Final = (0, 0, 0, 0, 0, 0, 2, 8, 15, 18, 18, 15, 10, 15, 18, 17, 13, 7, 3, 2, 1, 1, 0, 0)
_AT_CUSTOMERS: Final = (3, 2, 2, 2, 3, 4, 6, 10, 14, 16, 16, 15, 14, 15, 16, 15, 13, 11, 9, 7, 6)
_EVENING: Final = (5, 4, 3)
_BY_HOUR: Final = (*_AT_CUSTOMERS, *_EVENING)
# By day of the week, Monday first.
_DESK_DAYS: Final = (1.0, 1.06, 1.08, 1.0, 0.82, 0.05, 0.04)
_CUSTOMER_DAYS: Final = (1.0, 1.02, 1.03, 1.0, 0.95, 0.38, 0.30)
_HOLIDAY: Final = 0.15


class Lane(NamedTuple):
    """One kind of work: which share of all calls it is, and how they lie in time.

    ``weight`` gives how much of it happens in an hour, which begins at a time on a day.
    """

    name: str
    share: float
    weight: Callable[[int, int], float]


def lanes(company: Company) -> tuple[Lane, ...]:
    """Give the kinds of work; shares add up to 1."""
    first, told = company.first_day, company.stories

    def growth(day: int) -> float:
        return 0.75 + 0.5 * (day - first) / DAYS

    def desks(day: int, hour: int) -> float:
        return _AT_DESKS[hour] * growth(day) * _part(day, _DESK_DAYS)

    def customers(day: int, hour: int) -> float:
        return _BY_HOUR[hour] * growth(day) * _part(day, _CUSTOMER_DAYS)

    def nights(day: int, hour: int) -> float:
        return growth(day) if hour in _NIGHT else 0.0

    def during(span: Span) -> Callable[[int, int], float]:
        return lambda day, hour: float(span.from_us <= (day * 24 + hour) * HOUR_US < span.until_us)

    return (
        Lane("agents", 0.340, desks),
        Lane("services", 0.587, customers),
        Lane("nightly", 0.050, nights),
        Lane("runaway", 0.015, during(told.runaway)),
        Lane("leak", 0.004, during(told.leak)),
        Lane("refused", 0.004, during(told.refused)),
    )


def is_holiday(day: int) -> bool:
    """Tell whether nobody works on a day since 1970."""
    at = _EPOCH + timedelta(days=day)
    return (at.month, at.day) in HOLIDAYS


def _part(day: int, by_weekday: tuple[float, ...]) -> float:
    return by_weekday[weekday(day)] * (_HOLIDAY if is_holiday(day) else 1.0)


class Hour(NamedTuple):
    """One hour: which part of all calls each lane makes in it."""

    from_us: int
    until_us: int
    lanes: Mapping[str, float]


def hours(company: Company, now_us: int) -> list[Hour]:
    """Lay out the period up to now: 90 days by hours, the last of them cut off."""
    kinds = lanes(company)
    found: list[tuple[int, int, dict[str, float]]] = []
    sums = dict.fromkeys([lane.name for lane in kinds], 0.0)
    for day in range(company.first_day, company.today + 1):
        for hour in range(24):
            from_us = (day * 24 + hour) * HOUR_US
            until_us = min(from_us + HOUR_US, now_us)
            if until_us <= from_us:
                continue
            part = (until_us - from_us) / HOUR_US
            weights = {each.name: each.weight(day, hour) * part for each in kinds}
            for name, weight in weights.items():
                sums[name] += weight
            found.append((from_us, until_us, weights))
    shares = {lane.name: lane.share / sums[lane.name] for lane in kinds}
    return [
        Hour(from_us, until_us, {name: weight * shares[name] for name, weight in weights.items()})
        for from_us, until_us, weights in found
    ]
