"""Adoption counts people by week, and tells no group apart that is too small."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adoption_attack import attack, cohort_targets, targets, truth, value_of
from tollkeeper.domain.adoption import WEEKS, WEEKS_BEFORE, Member, Publication, Use, publish
from tollkeeper.domain.small_groups import hidden_blocks, is_safe, merged_parts

LAST = 100
FIRST = LAST - WEEKS + 1


def use(person: int, week: int, team: str = "core", **changes: object) -> Use:
    plain = Use(f"u{person}", week, team, 2, 3, 1, "codex")
    return plain._replace(**changes)


def people(count: int, team: str = "core", start: int = 0) -> list[Member]:
    return [Member(f"u{number}", team, 0) for number in range(start, start + count)]


def long_ago(count: int) -> dict[str, int]:
    return {f"u{number}": 1 for number in range(count)}


def test_seats_are_counted_in_the_team_of_the_end_of_the_week() -> None:
    before = [Member("mover", "core", 0), *people(20, "core"), *people(20, "apps", 20)]
    after = [
        Member("mover", "core", 0, LAST),
        Member("mover", "apps", LAST),
        *(each._replace(until_week=LAST) if each.user_id == "u0" else each for each in before[1:]),
    ]
    was, now = (publish((), {}, members, LAST, 5) for members in (before, after))
    assert now.weeks[:-1] == was.weeks[:-1]
    seats = {name: figures.people for name, figures in now.weeks[-1].teams.items()}
    assert seats == {"core": 19, "apps": 21}
    assert now.weeks[-1].company.people == 40


def test_it_counts_those_who_were_there() -> None:
    uses = [use(person, LAST, days=1 + person % 2) for person in range(12)]
    uses += [use(person, LAST - 1) for person in range(6, 18)]
    found = publish(uses, long_ago(30), people(30), LAST, 5).weeks[-1].company
    assert (found.people, found.active, found.monthly) == (30, 12, 18)
    assert (found.repeated, found.person_days, found.sessions) == (6, 18, 36)
    assert found.flow == {"retained": 6, "joined": 6, "lapsed": 6}


def test_a_few_are_not_told_apart_nor_are_the_few_who_are_left() -> None:
    for active in range(13):
        uses = [use(person, LAST) for person in range(active)]
        found = publish(uses, long_ago(12), people(12), LAST, 5).weeks[-1].company
        assert found.active == (active if 5 <= active <= 7 else None), active


def test_with_a_small_team_another_one_is_hidden() -> None:
    members = [*people(4, "small"), *people(20, "middle", 10), *people(40, "large", 40)]
    uses = [use(person, LAST, "small") for person in range(4)]
    uses += [use(person, LAST, "middle") for person in range(10, 20)]
    uses += [use(person, LAST, "large") for person in range(40, 60)]
    week = publish(uses, long_ago(99), members, LAST, 5).weeks[-1]
    assert week.company.active == 34
    assert {name: each.active for name, each in week.teams.items()} == {
        "large": 20,
        "middle": None,
        "small": None,
    }


def test_who_moves_stays_in_the_past_where_they_were() -> None:
    members = people(30, "new team")
    uses = [use(person, LAST - 1, "old team") for person in range(20)]
    uses += [use(person, LAST, "new team") for person in range(10)]
    uses += [use(person, LAST, "old team") for person in range(10, 15)]
    before, now = publish(uses, long_ago(30), members, LAST, 5).weeks[-2:]
    assert before.teams["old team"].active is None  # so are the ten others, who were not active
    assert {week.teams["new team"].people for week in (before, now)} == {30}  # whoever used what
    assert {week.teams["old team"].people for week in (before, now)} == {0}
    assert (before.company.active, now.company.active) == (20, 15)
    assert (now.teams["new team"].active, now.teams["old team"].active) == (10, 5)


def test_cohorts_count_who_came_again() -> None:
    first = {f"u{number}": LAST - 2 if number < 20 else 1 for number in range(80)}
    uses = [use(person, LAST - 2) for person in range(20)]
    uses += [use(person, week) for person in range(20, 40) for week in range(80, LAST + 1)]
    uses += [use(person, LAST - 3) for person in range(40, 46)]
    uses += [use(person, LAST - 1) for person in (*range(12), *range(50, 56))]
    uses += [use(person, LAST) for person in range(7)]
    found = publish(uses, first, people(80), LAST, 5)
    cohort = found.cohorts[-3]
    assert (cohort.week, cohort.size) == (LAST - 2, 20)
    assert cohort.active == (None, 7)  # nobody else lapsed in the week after: not told apart


def test_parts_are_put_together_until_they_are_large_enough() -> None:
    assert merged_parts({"a": 20, "b": 6, "c": 3}, 5) == {"a": 20, "other": 9}
    assert merged_parts({"a": 20, "b": 6, "c": 3, "d": 3}, 5) == {"a": 20, "b": 6, "other": 6}
    assert merged_parts({"a": 20, "c": 3}, 5) is None
    assert merged_parts({}, 5) is None


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_what_is_hidden_together_could_be_shown(counts: dict[str, tuple[int, int]]) -> None:
    def safe(names: object) -> bool:
        some = [counts[name] for name in names]  # type: ignore[attr-defined]  # any collection
        return is_safe((sum(it) for it in zip(*some, strict=True)), 5) if some else False

    hidden = hidden_blocks({name: sum(both) for name, both in counts.items()}, safe)
    if hidden is not None:
        assert not hidden or safe(hidden)
        assert all(safe((name,)) for name in counts if name not in hidden)
        assert safe(tuple(counts))


class Company:
    """A random company: teams of any size, people who use more or less."""

    def __init__(self, seed: int, group_min: int) -> None:
        dice = random.Random(seed)
        sizes = {f"t{n}": dice.choice((2, 4, 7, 11, 14, 20, 33)) for n in range(dice.randint(1, 4))}
        self.group_min = group_min
        if dice.random() < 0.3:  # large ones show cohorts
            sizes = {team: size * 5 for team, size in sizes.items()}
        self.teams = {
            f"{team}p{number}": team for team, size in sizes.items() for number in range(size)
        }
        self.first: dict[str, int] = {}
        self.uses = []
        eager = dice.choice((0.2, 0.5, 0.8))
        for person, team in self.teams.items():
            joined = dice.choice((1, 1, 1, LAST - 2, LAST - 1, LAST, LAST + 1))
            liking = min(0.98, max(0.02, dice.gauss(eager, 0.3)))
            for week in range(max(joined, FIRST - WEEKS_BEFORE), LAST + 1):
                if week == joined or dice.random() < liking:
                    one = Use(person, week, team, dice.randint(1, 3), 2, dice.randint(1, 3), "a")
                    self.uses.append(one)
            self.first[person] = joined
        self.dice = dice

    def publication(self) -> Publication:
        members = [Member(person, team, 0) for person, team in self.teams.items()]
        return publish(self.uses, self.first, members, LAST, self.group_min)


def require_nothing_derived(seed: int, group_min: int) -> None:
    company = Company(seed, group_min)
    found = company.publication()
    teams = sorted(set(company.teams.values()))
    weeks = [week.week for week in found.weeks][-5:]
    everything = [(week, team) for week in weeks for team in (None, *teams)]
    asked = everything
    if company.dice.random() < 0.3:  # some ask for less
        asked = company.dice.sample(everything, company.dice.randint(1, len(everything)))
    known = attack(found, teams, asked)
    counted = truth(company.uses, company.first, company.teams, weeks)
    for week in weeks[-2:]:
        for name, row in (*targets(teams, week), *cohort_targets(found, teams, week)):
            if known.knows(row):
                assert value_of(row, counted) >= group_min, f"{name} in {week}, seed {seed}"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((2, 3, 5)))
def test_nothing_about_too_few_follows_from_what_is_shown(seed: int, group_min: int) -> None:
    require_nothing_derived(seed, group_min)


@pytest.mark.long
def test_nothing_follows_in_ten_thousand_companies() -> None:
    for seed in range(10_000):
        require_nothing_derived(seed, (2, 3, 5)[seed % 3])


def test_the_attacker_finds_what_is_hidden_alone() -> None:
    members = [*people(4, "small"), *people(20, "middle", 10), *people(40, "large", 40)]
    uses = [use(person, LAST, "middle") for person in range(10, 20)]
    uses += [use(person, LAST, "large") for person in range(40, 60)]
    uses += [use(person, LAST, "small") for person in range(2)]
    found = publish(uses, long_ago(99), members, LAST, 5)
    teams = sorted(found.weeks[-1].teams)
    asked = [(LAST, team) for team in (None, *teams)]
    secret = {("small", LAST, state): 1 for state in ("new", "retained", "returning")}
    assert not attack(found, teams, asked).knows(secret)
    middle = replace(found.weeks[-1].teams["middle"], active=10)
    careless = replace(found.weeks[-1], teams=found.weeks[-1].teams | {"middle": middle})
    found = replace(found, weeks=(*found.weeks[:-1], careless))
    assert attack(found, teams, asked).knows(secret)
