"""Percentiles from one reading are those by nearest rank, whatever the values and the groups."""

from __future__ import annotations

from array import array
from collections import defaultdict
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollkeeper.storage.sqlite import ranks

INT64_MAX: Final = 2**63 - 1
SETS: Final = ((), ("team",), ("team", "day"), ("day",))
Cell = tuple[str | None, int | None]
Rows = list[tuple[Cell, list[int]]]

ROWS_OF_NUMBERS: Final = ((1, 7, 4, 10), (2, 7, 4, 20), (3, 8, 4, 30), (1, 7, 5, 40))
VALUES = st.integers(0, 20) | st.integers(0, INT64_MAX) | st.integers(2**62 - 3, 2**62 + 3)
CELLS = st.tuples(st.sampled_from(["core", "", None]), st.sampled_from([1, 2, None]))
ROWS = st.lists(st.tuples(CELLS, st.lists(VALUES, max_size=6)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([1, 50, 95, 99, 100]))
@example([], 50)
@example([(("core", 1), [INT64_MAX])], 95)
@example([(("core", 1), [7] * 20), (("core", 2), [7] * 20)], 95)
def test_one_reading_finds_the_nearest_ranks(rows: Rows, percent: int) -> None:
    listed = [(*cell, array("q", values).tobytes()) for cell, values in rows if values]
    cells: ranks.Cells = defaultdict(bytearray)
    ranks.add_by_cell(cells, ("team", "day"), listed, (), ("team", "day"))
    alike = ranks.alike(cells, [(*cell, *cell) for cell in {it[0] for it in rows}])
    labelled = [
        (values, dict(zip(("team", "day"), cell, strict=True))) for cell, values in alike.items()
    ]
    found = ranks.nearest_ranks(labelled, ("team", "day"), SETS, percent)
    answer = {(row["set_"], row["team"], row["day"]): row["value"] for row in found}
    assert answer == recounted(rows, percent)


def test_numbers_stand_for_what_cells_are_of() -> None:
    of_kind = ranks.Numbers(
        ("team", "tool"), {1: ("core", "cli"), 2: ("core", "cli"), 3: ("", "ide")}
    )
    of_label = ranks.Numbers(("customer",), {7: ("Ada",), 8: (None,)})
    rows = [
        (kind, label, day, array("q", [value]).tobytes())
        for kind, label, day, value in ROWS_OF_NUMBERS
    ]
    cells: ranks.Cells = defaultdict(bytearray)
    names = ("day", "customer", "team", "tool")
    ranks.add_by_cell(cells, names, rows, (of_kind, of_label), ("day",))
    of_one = [(row[0], *row[2:]) for row in rows]
    ranks.add_by_cell(cells, ("day", "team", "tool"), of_one, (of_kind,), ("day",))
    assert {key: array("q", bytes(values)).tolist() for key, values in cells.items()} == {
        (4, "Ada", "core", "cli"): [10, 20],
        (4, None, "", "ide"): [30],
        (5, "Ada", "core", "cli"): [40],
        (4, "core", "cli"): [10, 20],
        (4, "", "ide"): [30],
        (5, "core", "cli"): [40],
    }


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
