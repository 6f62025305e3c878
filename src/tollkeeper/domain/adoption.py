"""Whether a company takes to its tools: who used them in which week, counted, never named.

Everything that anybody is shown is a part of one publication, made for the whole company at
once: of whole weeks, in one time zone, by team and in total. Nobody can ask for another one, so
there are no two answers that differ by a person (see ``docs/decisions``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from tollkeeper.domain.small_groups import hidden_blocks, is_safe, merged_parts

GROUP_MIN: Final = 5
"""How many people a group has at least, if nothing else is configured."""

WEEKS: Final = 12
MONTH_WEEKS: Final = 4
WEEKS_BEFORE: Final = MONTH_WEEKS
"""How many weeks before the first one must be known."""

DAYS_IN_WEEK: Final = 7

NEW: Final = "new"
RETAINED: Final = "retained"
RETURNING: Final = "returning"
LAPSED: Final = "lapsed"
JOINED: Final = "joined"
KEPT: Final = "kept"
FLOWS: Final = (NEW, RETAINED, RETURNING, LAPSED, JOINED, KEPT)

_FLOW_LEVELS: Final[Sequence[Mapping[str, str]]] = (
    {NEW: NEW, RETAINED: RETAINED, RETURNING: RETURNING, LAPSED: LAPSED},
    # Who lapsed and who was active a week ago tell who was retained: here they may not.
    {NEW: NEW, RETAINED: KEPT, RETURNING: KEPT},
    {NEW: JOINED, RETAINED: RETAINED, RETURNING: JOINED, LAPSED: LAPSED},
)
_TOOL_LEVELS: Final[Sequence[Mapping[str, str]]] = (
    {"1": "1", "2": "2", "3+": "3+"},
    {"1": "1", "2": "2+", "3+": "2+"},
)
_REST: Final = ""
_MONTH: Final = "month"


class Use(NamedTuple):
    """What one person did in one week. ``week`` counts weeks, from any beginning.

    ``team`` is that of the last call. ``days`` and ``tools`` count those with a call at least,
    ``main_tool`` is the one with the most calls.
    """

    user_id: str
    week: int
    team: str
    days: int
    sessions: int
    tools: int
    main_tool: str


class Member(NamedTuple):
    """Somebody who had a seat at the end of some weeks: an account that was active, in one team.

    From ``from_week`` on and before ``until_week``, None while it lasts. Of one person there may
    be several, of which no two hold the same week.
    """

    user_id: str
    team: str
    from_week: int
    until_week: int | None = None

    def had_seat(self, week: int) -> bool:
        """Tell whether this one counts in a week."""
        return self.from_week <= week and (self.until_week is None or week < self.until_week)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a team, or of all, in a week. None: hidden.

    ``people`` had a seat at the end of the week, in the team of then: whether they use it
    does not change the number. ``active`` in this week, ``monthly`` in the four weeks that end
    with it, ``repeated`` on two days or more are people, too; of a team those who were in it at
    their last call. ``person_days`` and ``sessions`` are sums over the active.
    ``flow`` counts people by ``FLOWS``, as finely as the company's numbers allow; ``tools`` by
    how many tools they used.
    """

    people: int
    active: int | None = None
    monthly: int | None = None
    repeated: int | None = None
    person_days: int | None = None
    sessions: int | None = None
    flow: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Week:
    """One week of the publication. ``main_tools`` counts the company's active people."""

    week: int
    company: Figures
    teams: Mapping[str, Figures]
    main_tools: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cohort:
    """People whose first call was in the same week. ``active`` is for each week after it.

    ``size`` is None where it is hidden, and so is everything else then.
    """

    week: int
    size: int | None
    active: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """All that may be known of a company's adoption, the oldest week first."""

    group_min: int
    weeks: tuple[Week, ...]
    cohorts: tuple[Cohort, ...]


def publish(
    uses: Iterable[Use],
    first_weeks: Mapping[str, int],
    members: Iterable[Member],
    last_week: int,
    group_min: int,
) -> Publication:
    """Count, and hide what is about too few.

    ``uses`` has one for each person and week, from ``WEEKS + WEEKS_BEFORE`` weeks up to
    ``last_week``; ``first_weeks`` says in which week each person's first call of all was.
    """
    past = _Past(uses, first_weeks, members)
    weeks: list[Week] = []
    standings = []
    before = _Counting(past, last_week - WEEKS, group_min).hidden_active()
    for number in range(last_week - WEEKS + 1, last_week + 1):
        counting = _Counting(past, number, group_min)
        week, before = counting.week_shown(before)
        weeks.append(week)
        standings.append(counting)
    return Publication(group_min, tuple(weeks), _cohorts(past, standings, weeks, group_min))


class _Past:
    """The uses, found by week and person."""

    def __init__(
        self, uses: Iterable[Use], first_weeks: Mapping[str, int], members: Iterable[Member]
    ) -> None:
        self.first_weeks = first_weeks
        self.members = tuple(members)
        self.by_week: dict[int, dict[str, Use]] = defaultdict(dict)
        self.teams: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for use in sorted(uses, key=lambda each: each.week):
            self.by_week[use.week][use.user_id] = use
            self.teams[use.user_id].append((use.week, use.team))

    def people(self, week: int) -> dict[str, str]:
        """Give the people of a week and their teams, those of their last call up to then."""
        found = {each.user_id: each.team for each in self.members if each.had_seat(week)}
        for number in range(week - MONTH_WEEKS + 1, week + 1):
            found |= dict.fromkeys(self.by_week.get(number, {}), "")
        return {user_id: self._team(user_id, week, team) for user_id, team in found.items()}

    def _team(self, user_id: str, week: int, otherwise: str) -> str:
        for number, team in reversed(self.teams.get(user_id, ())):
            if number <= week:
                return team
        return otherwise


class _Counting:
    """One week's people in their blocks, and what may be shown of them."""

    def __init__(self, past: _Past, week: int, group_min: int) -> None:
        self.week, self.group_min = week, group_min
        self.uses = past.by_week.get(week, {})
        self.last = past.by_week.get(week - 1, {})
        self.people = past.people(week)
        self.first_weeks = past.first_weeks
        self.seats = Counter(each.team for each in past.members if each.had_seat(week))
        self.monthly = frozenset[str]().union(
            *(past.by_week.get(week - back, ()) for back in range(MONTH_WEEKS))
        )
        self.blocks: dict[str, list[str]] = defaultdict(list)
        for user_id, team in self.people.items():
            self.blocks[team].append(user_id)
        self.sizes = {name: len(members) for name, members in self.blocks.items()}
        self.tallies = {name: self._tally(members) for name, members in self.blocks.items()}

    def hidden_active(self) -> frozenset[str] | None:
        """Say of which blocks the active people are hidden; None: of all, and the total."""
        return hidden_blocks(self.sizes, lambda names: self._safe(names, ("active",)))

    def week_shown(
        self, hidden_before: frozenset[str] | None
    ) -> tuple[Week, frozenset[str] | None]:
        """Give what may be shown, and of which blocks the active are hidden.

        ``hidden_before`` is the same of the week before: who stayed and who lapsed adds up to
        those who were active then, so where these are hidden the flow is.
        """
        hidden = self.hidden_active()
        if hidden is None:
            teams = {name: Figures(self.seats[name]) for name in self.names()}
            return Week(self.week, Figures(self.seats.total()), teams, {}), None
        monthly = hidden_blocks(self.sizes, self._safe_month)
        repeated = hidden_blocks(
            self.sizes, lambda names: self._safe(names, ("repeated", "once")), hidden
        )
        levels = _FLOW_LEVELS if hidden_before is not None else ()
        flow, flow_hidden = self._level(levels, hidden | (hidden_before or frozenset()))
        tools, tools_hidden = self._level(_TOOL_LEVELS, hidden)

        def figures(names: Collection[str], name: str | None) -> Figures:
            tally = self._sum(names)

            def shown(key: str, where: frozenset[str] | None) -> int | None:
                return None if where is None or name in where else tally[key]

            return Figures(
                people=self.seats.total() if name is None else self.seats[name],
                active=shown("active", hidden),
                monthly=shown(_MONTH, monthly),
                repeated=shown("repeated", repeated),
                person_days=shown("days", repeated),
                sessions=shown("sessions", repeated),
                flow=_grouped(tally, flow) if _is_shown(name, flow_hidden) else {},
                tools=_grouped(tally, tools) if _is_shown(name, tools_hidden) else {},
            )

        mains = Counter(use.main_tool for use in self.uses.values())
        return (
            Week(
                self.week,
                figures(tuple(self.blocks), None),
                {
                    name: figures((name,), name) if name in self.blocks else Figures(seats)
                    for name, seats in self.names().items()
                },
                merged_parts(mains, self.group_min) or {},
            ),
            hidden,
        )

    def names(self) -> dict[str, int]:
        """Give the teams with a seat or somebody counted, by name, and their seats."""
        return {name: self.seats[name] for name in sorted({*self.seats, *self.blocks})}

    def state(self, user_id: str) -> str:
        """Say how a person's week compares with the one before."""
        if user_id not in self.uses:
            return LAPSED if user_id in self.last else _REST
        if self.first_weeks.get(user_id) == self.week:
            return NEW
        return RETAINED if user_id in self.last else RETURNING

    def _tally(self, members: Sequence[str]) -> Counter[str]:
        found = Counter(self.state(user_id) for user_id in members)
        for user_id in members:
            use = self.uses.get(user_id)
            if user_id in self.monthly:
                found[_MONTH] += 1
                recent = self.first_weeks.get(user_id, 0) > self.week - MONTH_WEEKS
                found["month_new" if recent else "month_old"] += 1
            if use is not None:
                found["active"] += 1
                found["repeated" if use.days > 1 else "once"] += 1
                found[str(use.tools) if use.tools < 3 else "3+"] += 1
                found["days"] += use.days
                found["sessions"] += use.sessions
        return found

    def _sum(self, names: Collection[str]) -> Counter[str]:
        return sum((self.tallies[name] for name in names), Counter[str]())

    def _safe(self, names: Collection[str], keys: Collection[str]) -> bool:
        """Tell whether groups may be told apart from each other and from who is left over."""
        tally = self._sum(names)
        return self._apart(names, [tally[key] for key in keys])

    def _safe_month(self, names: Collection[str]) -> bool:
        """Four weeks' new people, if all are shown, tell who of the month is not new."""
        tally = self._sum(names)
        old_follows = tally["month_new"] >= MONTH_WEEKS * self.group_min
        return self._safe(names, (_MONTH,)) and (
            not old_follows or tally["month_old"] >= self.group_min
        )

    def _level(
        self, levels: Sequence[Mapping[str, str]], hidden: frozenset[str]
    ) -> tuple[Mapping[str, str], frozenset[str] | None]:
        """Give the finest level that the company's numbers allow, and what it hides."""
        for level in levels:
            found = hidden_blocks(self.sizes, partial(self._safe_level, level), hidden)
            if found is not None:
                return level, found
        return {}, None

    def _safe_level(self, level: Mapping[str, str], names: Collection[str]) -> bool:
        return self._apart(names, _grouped(self._sum(names), level).values())

    def _apart(self, names: Collection[str], counts: Collection[int]) -> bool:
        rest = sum(self.sizes[name] for name in names) - sum(counts)
        return is_safe((*counts, rest), self.group_min)


def _grouped(tally: Mapping[str, int], level: Mapping[str, str]) -> dict[str, int]:
    found = dict.fromkeys(level.values(), 0)
    for key, name in level.items():
        found[name] += tally.get(key, 0)
    return found


def _is_shown(name: str | None, hidden: frozenset[str] | None) -> bool:
    return hidden is not None and name not in hidden


def _cohorts(
    past: _Past, standings: Sequence[_Counting], weeks: Sequence[Week], group_min: int
) -> tuple[Cohort, ...]:
    """Count who of each week's new people came again.

    In each week the cohorts that are shown, and everybody else, are told apart: all of these
    groups must be large enough. So must be what the flow of the week and the people who were
    new in the week before say together.
    """
    arrived: dict[int, set[str]] = defaultdict(set)
    for user_id, first in past.first_weeks.items():
        arrived[first].add(user_id)
    sizes = {each.week: each.company.flow.get(NEW) for each in weeks}
    cells: dict[tuple[int, int], int] = {}
    for counting, week in zip(standings, weeks, strict=True):
        if week.company.active is None:
            continue
        at = {
            first: (arrived[first] & counting.people.keys(), arrived[first] & counting.uses.keys())
            for first, size in sizes.items()
            if size is not None and first < week.week
        }
        shown = _shown_cohorts(counting, at, group_min)
        cells |= {(first, week.week): len(at[first][1]) for first in shown}
    last = weeks[-1].week
    return tuple(
        Cohort(
            each.week,
            sizes[each.week],
            tuple(cells.get((each.week, later)) for later in range(each.week + 1, last + 1)),
        )
        for each in weeks
    )


def _shown_cohorts(
    counting: _Counting, at: Mapping[int, tuple[set[str], set[str]]], group_min: int
) -> set[int]:
    """Say of which cohorts the active people may be shown in a week."""
    states = Counter(counting.state(user_id) for user_id in counting.people)

    def safe(first: int) -> bool:
        people, active = at[first]
        counts = [len(active), len(people) - len(active)]
        if first == counting.week - 1:  # these are among the retained, or the lapsed
            counts += [states[RETAINED] - counts[0], states[LAPSED] - counts[1]]
        return is_safe(counts, group_min)

    shown = {first for first in at if safe(first)}
    while shown:
        active = len(counting.uses) - sum(len(at[first][1]) for first in shown)
        away = len(counting.people) - sum(len(at[first][0]) for first in shown) - active
        if is_safe((active, away, active - states[NEW]), group_min):
            break
        shown.remove(min(shown, key=lambda first: (len(at[first][0]), first)))
    return shown
