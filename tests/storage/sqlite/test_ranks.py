"""Percentiles from one reading are those by nearest rank, whatever the values and the groups."""

from __future__ import annotations

from array import array
from typing import Final

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.storage.sqlite import ranks, value_columns
from tollkeeper.storage.sqlite.value_columns import NO_NUMBER, Column, Values

INT64_MAX: Final = 2**63 - 1
KEYS: Final = ("team", "day")
SETS: Final = ((), ("team",), ("team", "day"), ("day",))
Cell = tuple[str | None, int | None]
Rows = list[tuple[Cell, list[int]]]

VALUES = st.integers(0, 20) | st.integers(0, INT64_MAX) | st.integers(2**62 - 3, 2**62 + 3)
CELLS = st.tuples(st.sampled_from(["core", "", None]), st.sampled_from([1, 2, None]))
ROWS = st.lists(st.tuples(CELLS, st.lists(VALUES, max_size=6)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([1, 50, 95, 99, 100]))
@example([], 50)
@example([(("core", 1), [INT64_MAX])], 95)
@example([(("core", 1), [7] * 20), (("core", 2), [7] * 20)], 95)
def test_one_reading_finds_the_nearest_ranks(rows: Rows, percent: int) -> None:
    half = len(rows) // 2
    parts = [in_rows(rows[:half]), in_lists([row for row in rows[half:] if row[1]])]
    values = value_columns.together(parts)
    known = [(*cell, *cell) for cell in {it[0] for it in rows}]
    labels, of_cell = ranks.labelled(values.cells, known if values.cells else ())
    named = [dict(zip(KEYS, label, strict=True)) for label in labels]
    found = ranks.nearest_ranks(values, of_cell, named, KEYS, SETS, percent)
    answer = {(row["set_"], row["team"], row["day"]): row["value"] for row in found}
    assert answer == recounted(rows, percent)


def in_rows(rows: Rows) -> Values:
    """Read values row by row."""
    given_ = [(*cell, array("q", values).tobytes()) for cell, values in rows if values]
    return value_columns.of_rows(given_, ("team", "day"), KEYS)


def in_lists(rows: Rows) -> Values:
    """Read the same as lists: teams are known by numbers, days are numbers."""
    teams = ("core", "", None)
    number = {team: place for place, team in enumerate(teams, 1)}
    columns = [
        Column(("day",), numbers([cell[1] for cell, _ in rows])),
        Column(
            *(("team",), numbers([number[cell[0]] for cell, _ in rows])),
            {place: (team,) for team, place in number.items()},
        ),
    ]
    lists = [array("q", values).tobytes() for _, values in rows]
    sizes = pa.array([len(each) for each in lists], pa.int64())
    return value_columns.of_lists(columns, KEYS, b"".join(lists), sizes)


def numbers(found: list[int | None]) -> object:
    return pa.array([NO_NUMBER if each is None else each for each in found], pa.int64())


def test_numbers_that_stand_for_the_same_are_one_cell() -> None:
    found, lists = value_columns.listed_numbers(["1,2,-3", "1"])
    assert found.to_pylist() == [1, 2, -3, 1]
    assert value_columns.repeated((7, 8), lists).to_pylist() == [7, 7, 7, 8]
    alike = {1: ("core", "cli"), 2: ("core", "cli"), -3: ("", "ide")}
    lists_of = array("q", (10, 20, 30, 40, 50)).tobytes()
    values = value_columns.of_lists(
        [Column(("team", "tool"), found, alike)],
        ("tool", "team"),
        lists_of,
        pa.array([8, 16, 8, 8], pa.int64()),
    )
    assert values.cells == [("cli", "core"), ("ide", "")]
    assert values.places.to_pylist() == [0, 0, 0, 1, 0]
    assert values.values.to_pylist() == [10, 20, 30, 40, 50]


def test_lists_that_have_lost_something_are_not_read() -> None:
    sizes = pa.array([16], pa.int64())
    with pytest.raises(ValueError, match="lists of values"):
        value_columns.of_lists([], (), bytes(8), sizes)


def recounted(rows: Rows, percent: int) -> dict[tuple[object, ...], int]:
    """Sort the values of each group, and take the one at the rank."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for (team, day), values in rows:
        named = {"team": team, "day": day}
        for number, names in enumerate(SETS):
            if all(named[name] is not None for name in names):
                place = number, *(named[name] if name in names else None for name in named)
                groups.setdefault(place, []).extend(values)
    return {
        place: sorted(values)[-(-len(values) * percent // 100) - 1]
        for place, values in groups.items()
        if values
    }
