"""How far off the forecast of a month's end is, asked on every day of past months.

    .venv/bin/python tests/forecast_errors.py

Companies like the made-up one live for eight months each: their calls are drawn from its people,
tools, models and prices, with its week and a day in forty on which something ran wild. One stays
as it is, one grows as the made-up one does, one twice as fast; each in a small and a larger
edition. On each day at 14:00 the forecast is asked with what was known then, and held against
what the month came to.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Final, NamedTuple

from demo_entries import more_entries
from ledger_entries import START_US
from tollkeeper.domain.forecast import HISTORY_DAYS, Day, State, forecast_of

FIRST: Final = date(2026, 3, 1)
DAYS: Final = 245
LEARNED_DAYS: Final = 61
CLOCK_PART: Final = 0.62  # of a working day's calls have come by 14:00
GROWTHS: Final[Mapping[str, float]] = {"steady": 0.0, "growing": 0.6, "growing fast": 1.2}
CALLS_A_DAY: Final[Mapping[str, int]] = {"small": 15, "larger": 150}
SPANS: Final = ((1, 5), (6, 10), (11, 15), (16, 20), (21, 25), (26, 31))
_WEEKDAYS: Final = (1.0, 1.05, 1.1, 1.0, 0.85, 0.22, 0.18)
_WILD: Final = (40, 1.7)


class Asked(NamedTuple):
    """One forecast, and what became of it. ``missed`` is a part of what the month came to."""

    day: date
    state: State
    missed: float
    is_within: bool
    width: float


def company(seed: int, growth: float, calls_a_day: int) -> list[Day]:
    """Live through some months of a company."""
    dice = random.Random(seed)
    pool = _costs(seed)
    days = []
    for number in range(DAYS):
        weekday = (FIRST + timedelta(days=number)).weekday()
        level = _WEEKDAYS[weekday] * (1 - growth / 2 + growth * number / DAYS)
        wild = _WILD[1] if number % _WILD[0] == _WILD[0] // 2 else 1
        calls = round(calls_a_day * level * wild * dice.uniform(0.8, 1.2))
        costs = dice.choices(pool, k=calls)
        early = sum(cost for cost in costs if dice.random() < CLOCK_PART)
        days.append(Day(weekday, sum(costs), early))
    return days


def _costs(seed: int) -> list[int]:
    """Give what each of some thousand calls of the made-up company cost."""
    costs: Counter[str] = Counter()
    for entry in more_entries(START_US, 3_000, seed):
        costs[entry.call_id] += entry.cost_nanos or 0
    return list(costs.values())


def asked(days: Sequence[Day]) -> Iterator[Asked]:
    """Ask on each day of the months that are whole, once enough was learned."""
    dates = [FIRST + timedelta(days=number) for number in range(len(days))]
    for place in range(LEARNED_DAYS, len(days)):
        today = dates[place]
        of_month = [
            number
            for number, day in enumerate(dates)
            if day.timetuple()[:2] == today.timetuple()[:2]
        ]
        if dates[of_month[-1]] == dates[-1]:
            return
        past = days[max(0, place - HISTORY_DAYS) : place]
        so_far = sum(days[number].cost_nanos for number in of_month if number < place)
        so_far += days[place].early_nanos
        told = forecast_of(past, days[place], so_far, of_month[-1] - place)
        came = sum(days[number].cost_nanos for number in of_month)
        if (
            told.end_nanos is not None
            and told.low_nanos is not None
            and told.high_nanos is not None
        ):
            yield Asked(
                today,
                told.state,
                abs(told.end_nanos - came) / came,
                told.low_nanos <= came <= told.high_nanos,
                (told.high_nanos - told.low_nanos) / came,
            )


def rounds(seeds: Sequence[int]) -> dict[str, list[Asked]]:
    """Ask in every company; give the answers by how it grows."""
    return {
        name: [
            each
            for seed in seeds
            for calls in CALLS_A_DAY.values()
            for each in asked(company(seed, growth, calls))
        ]
        for name, growth in GROWTHS.items()
    }


def table(found: Mapping[str, Sequence[Asked]]) -> str:
    """Write the errors by day of the month: median error, and how often the band held."""
    head = "| day of the month | " + " | ".join(
        f"{name}: off | range held | width" for name in found
    )
    lines = [head + " |", "|---" * (1 + 3 * len(found)) + "|"]
    for first, last in (*SPANS, (1, 31)):
        cells = []
        for some in found.values():
            these = [each for each in some if first <= each.day.day <= last]
            held = sum(each.is_within for each in these) / len(these)
            off, width = median(e.missed for e in these), median(e.width for e in these)
            cells.append(f"{off:.1%} | {held:.0%} | {width:.0%}")
        name = "all" if (first, last) == (1, 31) else f"{first} to {last}"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(rounds(range(1, 6))))
