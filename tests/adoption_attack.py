"""An attacker on adoption: takes every number that is shown, and solves for what is not.

Unknown are, for each team and week, how many people are in each of the states that the figures
are made of. Whatever is shown is an equation; so is what everybody knows, such as that who was
active last week stayed or lapsed. A group's figure is found out when the equations say it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from tollkeeper.domain.adoption import MONTH_WEEKS, Figures, Publication, Use

PRIME: Final = 2_147_483_647
STATES: Final = ("new", "retained", "returning", "lapsed", "rest")
ACTIVE: Final = ("new", "retained", "returning")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "joined": ("new", "returning"),
    "kept": ("retained", "returning"),
    **{name: (name,) for name in STATES},
}
Unknown = tuple[str, int, str]
Row = dict[Unknown, int]


class Attack:
    """Equations in echelon form, over the numbers modulo a large prime."""

    def __init__(self) -> None:
        self.rows: dict[Unknown, Row] = {}

    def learn(self, row: Row) -> None:
        left = self._reduced(row)
        if left:
            pivot = min(left)
            factor = pow(left[pivot], -1, PRIME)
            self.rows[pivot] = {key: value * factor % PRIME for key, value in left.items()}

    def knows(self, row: Row) -> bool:
        return not self._reduced(row)

    def _reduced(self, row: Row) -> Row:
        left = {key: value % PRIME for key, value in row.items() if value % PRIME}
        done: Row = {}
        while left:
            pivot = min(left)
            value = left.pop(pivot)
            if pivot not in self.rows:
                done[pivot] = value
                continue
            for key, other in self.rows[pivot].items():
                if key != pivot:
                    rest = (left.get(key, 0) - value * other) % PRIME
                    if rest:
                        left[key] = rest
                    else:
                        left.pop(key, None)
        return done


def added(rows: Iterable[Row], sign: int = 1) -> Row:
    found: Counter[Unknown] = Counter()
    for row in rows:
        for key, value in row.items():
            found[key] += sign * value
    return dict(found)


def people_in(team: str, week: int, states: Iterable[str]) -> Row:
    return {(team, week, state): 1 for state in states}


def attack(
    shown: Publication, teams: Sequence[str], asked: Sequence[tuple[int, str | None]]
) -> Attack:
    """Learn everything that the asked (week, team or None for all) show, and what is known."""
    found = Attack()
    numbers = [week.week for week in shown.weeks]
    for team in teams:
        for week in numbers[1:]:
            stayed = people_in(team, week, ("retained", "lapsed"))
            was = people_in(team, week - 1, ACTIVE)
            found.learn(added([stayed, added([was], -1)]))
        for week in numbers[MONTH_WEEKS - 1 :]:
            new = [people_in(team, week - back, ("new",)) for back in range(MONTH_WEEKS)]
            parts = [*new, people_in(team, week, ("month_old",))]
            found.learn(added([people_in(team, week, ("monthly",)), added(parts, -1)]))
    by_number = {week.week: week for week in shown.weeks}
    for number, team in asked:
        week = by_number[number]
        figures = week.company if team is None else week.teams[team]
        among = teams if team is None else [team]
        for row in equations(figures, number, among):
            found.learn(row)
    if any(team is None for _, team in asked):
        for cohort in shown.cohorts:
            if cohort.size is not None:
                found.learn(added(people_in(team, cohort.week, ("new",)) for team in teams))
            for week, active in enumerate(cohort.active, start=cohort.week + 1):
                if active is not None:
                    found.learn(came_again(cohort.week, week))
    return found


def came_again(cohort: int, week: int) -> Row:
    return {("", week, f"cohort {cohort:04}"): 1}


def cohort_targets(
    shown: Publication, teams: Sequence[str], week: int
) -> Iterator[tuple[str, Row]]:
    """Give what cohorts could tell: who came again, who did not, and who is of none of them."""

    def total(when: int, *states: str) -> Row:
        return added(people_in(team, when, states) for team in teams)

    cells = []
    for cohort in shown.cohorts:
        if cohort.week >= week:
            continue
        cell = came_again(cohort.week, week)
        away = added([total(cohort.week, "new"), added([cell], -1)])
        cells.append(cell)
        yield f"cohort {cohort.week}", cell
        yield f"away of cohort {cohort.week}", away
        if cohort.active[week - cohort.week - 1] is not None:
            if cohort.week == week - 1:
                yield "retained of older", added([total(week, "retained"), added([cell], -1)])
                yield "lapsed of older", added([total(week, "lapsed"), added([away], -1)])
        else:
            cells.pop()
    for active in (("retained", "returning"), ACTIVE):
        yield f"{active} of none", added([total(week, *active), added(cells, -1)])


def equations(figures: Figures, week: int, teams: Sequence[str]) -> Iterator[Row]:
    def total(states: Iterable[str]) -> Row:
        return added(people_in(team, week, states) for team in teams)

    yield total(STATES)  # how many people there are is no secret
    if figures.active is not None:
        yield total(ACTIVE)
    if figures.monthly is not None:
        yield total(("monthly",))
    if figures.repeated is not None:
        yield total(("repeated",))
    if figures.person_days is not None:
        yield total(("days",))
    for name in figures.flow:
        yield total(GROUPS[name])
    if figures.tools:
        yield total(("one tool",))
        if "2" in figures.tools:
            yield total(("two tools",))


def targets(teams: Sequence[str], week: int) -> Iterator[tuple[str, Row]]:
    """Give what must not be found out where it is about too few: any teams, any group."""
    for count in range(1, len(teams) + 1):
        for some in combinations(teams, count):
            for name, states in {
                **GROUPS,
                "active": ACTIVE,
                "inactive": ("lapsed", "rest"),
                "monthly": ("monthly",),
                "month_old": ("month_old",),
                "repeated": ("repeated",),
                "one tool": ("one tool",),
                "two tools": ("two tools",),
            }.items():
                yield f"{name} of {some}", added(people_in(team, week, states) for team in some)
            for less in ("repeated", "one tool"):
                row = added(people_in(team, week, ACTIVE) for team in some)
                taken = added(people_in(team, week, (less,)) for team in some)
                yield f"active but {less} of {some}", added([row, added([taken], -1)])
            everybody = added(people_in(team, week, STATES) for team in some)
            month = added(people_in(team, week, ("monthly",)) for team in some)
            yield f"away in the month of {some}", added([everybody, added([month], -1)])


def truth(
    uses: Iterable[Use],
    first_weeks: Mapping[str, int],
    teams: Mapping[str, str],
    weeks: Sequence[int],
) -> Counter[Unknown]:
    """Count every unknown, from what really happened. ``teams`` has each person's team."""
    by_week: dict[int, dict[str, Use]] = {}
    for use in uses:
        by_week.setdefault(use.week, {})[use.user_id] = use
    found: Counter[Unknown] = Counter()
    for week in weeks:
        now, before = by_week.get(week, {}), by_week.get(week - 1, {})
        for person, team in teams.items():
            use = now.get(person)
            if use is None:
                state = "lapsed" if person in before else "rest"
            elif first_weeks[person] == week:
                state = "new"
            else:
                state = "retained" if person in before else "returning"
            found[team, week, state] += 1
            if use is not None:
                found[team, week, "repeated"] += use.days > 1
                found[team, week, "days"] += use.days
                found[team, week, "one tool"] += use.tools == 1
                found[team, week, "two tools"] += use.tools == 2
            if any(person in by_week.get(week - back, ()) for back in range(MONTH_WEEKS)):
                found[team, week, "monthly"] += 1
                found[team, week, "month_old"] += first_weeks[person] <= week - MONTH_WEEKS
        for person in now:
            found["", week, f"cohort {first_weeks[person]:04}"] += 1
    return found


def value_of(row: Row, counted: Mapping[Unknown, int]) -> int:
    return sum(value * counted.get(key, 0) for key, value in row.items())
