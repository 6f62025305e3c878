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
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis
import ibis.expr.operations as ops

from tollkeeper.storage.sqlite.handle import written_aside

if TYPE_CHECKING:
    import ibis.expr.types as ir

CELLS: Final = "ranked_cells"
_SHAPES_REMEMBERED: Final = 256

Key = tuple[Any, ...]
Values = Sequence[int]
Cells = defaultdict[Key, bytearray]


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
    with written_aside(connection):
        connection.execute(f"DROP TABLE IF EXISTS temp.{CELLS}")
        connection.execute(f"CREATE TEMP TABLE {CELLS} ({columns})")
        slots = ", ".join("?" * len(names))
        connection.executemany(
            f"INSERT INTO temp.{CELLS} VALUES ({slots})",  # noqa: S608 - a name of ours
            cells,
        )


class Numbers(NamedTuple):
    """What the numbers in one column stand for: values of ``names``, alike for some of them."""

    names: tuple[str, ...]
    values: Mapping[int, Key]


class Read(NamedTuple):
    """What was read of a column, by cell; ``asked`` is how: whether in wide numbers, and the
    values of slots."""

    asked: tuple[bool, Mapping[str, Any]]
    cells: Cells


def add_by_cell(
    cells: Cells,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    numbers: Sequence[Numbers],
    others: Sequence[str],
) -> None:
    """Add the values of rows to those of their cells, whose keys are values of ``names``.

    A row has a number for each of ``numbers``, what it is in ``others``, and last its values as
    a BLOB.
    """
    found: defaultdict[Key, bytearray] = defaultdict(bytearray)
    if not numbers:
        for row in rows:
            found[tuple(row[:-1])] += row[-1]
    elif len(numbers) == 1:
        alike = numbers[0].values
        for row in rows:
            found[alike[row[0]], row[1:-1]] += row[-1]
    else:
        one, other = numbers[0].values, numbers[1].values
        for row in rows:
            found[one[row[0]], other[row[1]], row[2:-1]] += row[-1]
    given = [name for each in numbers for name in each.names] + list(others)
    order = [given.index(name) for name in names]
    for key, values in found.items():
        parts = tuple(chain.from_iterable(key)) if numbers else key
        cells[tuple(parts[place] for place in order)] += values


def alike(cells: Mapping[Key, bytearray], rows: Iterable[Key]) -> dict[Key, bytearray]:
    """Put together the cells that are labelled alike. A row has a cell's key, then its label."""
    found: defaultdict[Key, bytearray] = defaultdict(bytearray)
    width = len(next(iter(cells), ()))
    for row in rows:
        values = cells.get(row[:width])
        if values is not None:
            found[row[width:]] += values
    return found


def nearest_ranks(
    labelled: Iterable[tuple[bytearray, Mapping[str, Any]]],
    keys: Sequence[str],
    sets: Sequence[Sequence[str]],
    percent: int,
) -> Iterator[dict[str, Any]]:
    """Give the rows of ``Ledger.nearest_ranks``, of the values with each label."""
    known = [(sorted(array("q", bytes(values))), label) for values, label in labelled]
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
