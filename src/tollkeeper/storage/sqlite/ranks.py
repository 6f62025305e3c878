"""Exact percentiles of several groupings from one reading, without sorting what is read.

Values are put together by their cell (whatever is in the same groups of all groupings). For each
grouping they are ordered by their groups, and of each group the value at the rank is looked for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis
import ibis.expr.operations as ops

from tollkeeper.storage.sqlite import value_columns
from tollkeeper.storage.sqlite.handle import written_aside
from tollkeeper.storage.sqlite.value_columns import Key, Values

if TYPE_CHECKING:
    import ibis.expr.types as ir

CELLS: Final = "ranked_cells"
_SHAPES_REMEMBERED: Final = 256


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


class Read(NamedTuple):
    """What was read of a column, by cell; ``asked`` is how: whether in wide numbers, and the
    values of slots."""

    asked: tuple[bool, Mapping[str, Any]]
    values: Values


class Labelled(NamedTuple):
    """Different labels, and for each cell the place of its own; None where it has none."""

    labels: list[Key]
    of_cell: list[int | None]


def labelled(cells: Sequence[Key], rows: Iterable[Key]) -> Labelled:
    """Give the cells their labels. A row has a cell's key, then its label."""
    width = len(next(iter(cells), ()))
    labels: dict[Key, int] = {}
    found = {row[:width]: labels.setdefault(row[width:], len(labels)) for row in rows}
    return Labelled(list(labels), [found.get(key) for key in cells])


def nearest_ranks(
    values: Values,
    of_cell: Sequence[int | None],
    labels: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    sets: Sequence[Sequence[str]],
    percent: int,
) -> Iterator[dict[str, Any]]:
    """Give the rows of ``Ledger.nearest_ranks``; ``of_cell`` has the place of each cell's label."""
    for number, group_by in enumerate(sets):
        groups: dict[Key, int] = {}
        of_label = []
        for label in labels:
            group = tuple(label[name] for name in group_by)
            none = None in group
            of_label.append(None if none else groups.setdefault(group, len(groups)))
        group_of = [None if place is None else of_label[place] for place in of_cell]
        found = value_columns.nearest_ranks(values, group_of, percent)
        for group, place in groups.items():
            if place not in found:
                continue
            of_group = dict(zip(group_by, group, strict=True))
            yield {
                "set_": number,
                **{name: of_group.get(name) for name in keys},
                "value": found[place],
            }
