"""Percentiles in two passes are those by nearest rank, whatever the values and the groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import duckdb
import ibis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledgers import open_duckdb
from tollkeeper.storage import plain_ranks
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

INT64_MAX: Final = 2**63 - 1
SETS: Final = ((), ("team",), ("team", "day"), ("day",))
TABLE: Final = "ranked_rows"
Cell = tuple[str | None, int | None]
Rows = list[tuple[Cell, list[int] | None]]

# Close ones fall into one bucket, those about 2**62 into one whose root is no whole number.
VALUES = st.integers(0, 20) | st.integers(0, INT64_MAX) | st.integers(2**62 - 3, 2**62 + 3)
CELLS = st.tuples(st.sampled_from(["core", "", None]), st.sampled_from([1, 2, None]))
ROWS = st.lists(st.tuples(CELLS, st.none() | st.lists(VALUES, max_size=6)), max_size=12)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbLedger]:
    folder = tmp_path_factory.mktemp("ranks")
    with duckdb.connect(str(folder / "ledger.duckdb")) as connection:
        connection.execute(f"CREATE TABLE {TABLE} (g VARCHAR, k BIGINT, many BIGINT[], one BIGINT)")
    opened = open_duckdb(folder)
    yield opened
    opened.close()


@settings(max_examples=10, deadline=None)
@given(ROWS, st.sampled_from([1, 50, 95, 99, 100]))
@example([], 50)
@example([(("core", 1), [INT64_MAX])], 95)
@example([(("core", 1), [7] * 20), (("core", 2), [7] * 20)], 95)
def test_two_passes_find_the_nearest_ranks(ledger: DuckDbLedger, rows: Rows, percent: int) -> None:
    keep(ledger, rows)
    columns = {"g": "string", "k": "int64", "many": "array<int64>", "one": "int64"}
    table = ibis.table(columns, name=TABLE)
    lists, singles = table.drop("one"), table.drop("many")
    wanted = recounted(rows, percent)
    for given_rows, column in ((lists, "many"), (singles.filter(singles.one.notnull()), "one")):
        cells = given_rows.drop(column).distinct()
        cells = cells.mutate(team=cells.g, day=cells.k)
        mine = wanted if column == "many" else recounted(firsts(rows), percent)
        asked = (given_rows, column, cells, SETS, percent)
        assert found(ledger.nearest_ranks(*asked)) == mine
        assert found(plain_ranks.nearest_ranks(ledger, *asked)) == mine


@settings(max_examples=8, deadline=None)
@given(ROWS, st.sampled_from([1, 50, 95, 100]))
@example([(("core", 1), [INT64_MAX, 2**62]), (("core", 2), [2**62 + 1])], 50)
def test_cells_may_be_known_by_a_number_in_each_row(
    ledger: DuckDbLedger, rows: Rows, percent: int
) -> None:
    """These are counted without being looked for."""
    numbered: Rows = [((None if day == 1 else "core", day), many) for (_, day), many in rows if day]
    keep(ledger, numbered)
    table = ibis.table({"k": "!int64", "many": "array<int64>"}, name=TABLE)
    cells = table.select("k").distinct()
    cells = cells.mutate(team=(cells.k == 1).ifelse(None, "core"), day=cells.k.cast("int64"))
    rows_found = ledger.nearest_ranks(table, "many", cells, SETS, percent)
    assert found(rows_found) == recounted(numbered, percent)


def keep(ledger: DuckDbLedger, rows: Rows) -> None:
    with ledger._handle.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a name of ours
        for (team, day), values in rows:
            first = values[0] if values else None
            row = [team, day, values, first]
            cursor.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", row)  # noqa: S608


def firsts(rows: Rows) -> Rows:
    return [(cell, values[:1]) for cell, values in rows if values]


def found(rows: list[dict[str, Any]]) -> Mapping[tuple[object, ...], int]:
    return {(row["set_"], row["team"], row["day"]): row["value"] for row in rows}


def recounted(rows: Rows, percent: int) -> Mapping[tuple[object, ...], int]:
    """Sort the values of each group, and take the one at the rank."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for (team, day), values in rows:
        named = {"team": team, "day": day}
        for number, names in enumerate(SETS):
            if all(named[name] is not None for name in names):
                place = number, *(named[name] if name in names else None for name in named)
                groups.setdefault(place, []).extend(values or ())
    return {
        place: sorted(values)[-(-len(values) * percent // 100) - 1]
        for place, values in groups.items()
        if values
    }
