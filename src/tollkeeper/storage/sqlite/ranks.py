"""Exact percentiles of several groupings from one reading, without sorting all that is read.

Rows are put together by their cell (whatever is in the same groups of all groupings) as they come,
and each cell's values are sorted once. A rank within the cells of a group is then found by halving
the values that it can be: how many of a sorted list are no larger is known in a few steps.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.operations as ops

if TYPE_CHECKING:
    import ibis.expr.types as ir

CELLS: Final = "ranked_cells"
_SHAPES_REMEMBERED: Final = 256

Key = tuple[Any, ...]
Values = Sequence[int]


@lru_cache(_SHAPES_REMEMBERED)
def of_known_cells(cells: ir.Table, names: tuple[str, ...]) -> ir.Table:
    """Take the cells from the temporary table ``CELLS``, where they would be looked for anew."""
    found = {
        node: ibis.table(node.schema, name=CELLS).op()
        for node in cells.op().find(ops.Distinct)
        if tuple(node.schema) == names
    }
    known: ir.Table = cells.op().replace(found).to_expr()
    return known


def keep_cells(connection: sqlite3.Connection, names: Sequence[str], cells: Iterable[Key]) -> None:
    """Make that table, for the rest of a snapshot."""
    columns = ", ".join(f'"{name}"' for name in names)
    connection.execute("PRAGMA query_only = OFF")  # nor would it let a temporary table be made
    try:
        connection.execute(f"DROP TABLE IF EXISTS temp.{CELLS}")
        connection.execute(f"CREATE TEMP TABLE {CELLS} ({columns})")
        slots = ", ".join("?" * len(names))
        connection.executemany(
            f"INSERT INTO temp.{CELLS} VALUES ({slots})",  # noqa: S608 - a name of ours
            cells,
        )
    finally:
        connection.execute("PRAGMA query_only = ON")


def by_cell(rows: Iterable[Sequence[Any]]) -> dict[Key, list[int]]:
    """Sort the values of each cell. A row has the cell's key, and last its values as a BLOB."""
    found: defaultdict[Key, bytearray] = defaultdict(bytearray)
    for *key, values in rows:
        if values is not None:
            found[tuple(key)] += values
    return {key: sorted(array("q", bytes(values))) for key, values in found.items()}


def nearest_ranks(
    cells: Mapping[Key, Values],
    labels: Iterable[tuple[Key, Mapping[str, Any]]],
    keys: Sequence[str],
    sets: Sequence[Sequence[str]],
    percent: int,
) -> Iterator[dict[str, Any]]:
    """Give the rows of ``Ledger.nearest_ranks``: cells' values, and what each cell is labelled."""
    known = [(cells[cell], label) for cell, label in labels if cell in cells]
    for number, group_by in enumerate(sets):
        groups: defaultdict[Key, list[Values]] = defaultdict(list)
        for values, label in known:
            group = tuple(label[name] for name in group_by)
            if None not in group:
                groups[group].append(values)
        for group, several in groups.items():
            of_group = dict(zip(group_by, group, strict=True))
            yield {
                "set_": number,
                **{name: of_group.get(name) for name in keys},
                "value": nearest_rank(several, percent),
            }


def nearest_rank(several: Sequence[Values], percent: int) -> int:
    """Give the value at rank ceil(n * percent / 100) of all n values of sorted lists."""
    rank = max(1, -(-sum(map(len, several)) * percent // 100))
    low, high = min(each[0] for each in several), max(each[-1] for each in several)
    while low < high:
        middle = (low + high) // 2
        if sum(bisect_right(each, middle) for each in several) >= rank:
            high = middle
        else:
            low = middle + 1
    return low
