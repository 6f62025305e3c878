"""Reads finer sums by the numbers that stand for what their entries have alike.

What is asked of a kind of entries, or of a label, is asked of ``kinds`` and ``labels`` once for
each of these, and not for each row of sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis.expr.operations as ops

from tollkeeper.storage.sqlite.finer_parts import finer_part, moved, number_of
from tollkeeper.storage.sqlite.partial_sums import parts_of

if TYPE_CHECKING:
    import ibis.expr.types as ir


class Meaning(NamedTuple):
    """What numbers stand for: a query of ``number`` and some columns, which ``names`` lists."""

    query: ir.Table
    names: tuple[str, ...]


class NumberedPart(NamedTuple):
    """A part of a table. The query gives a number for each of ``meanings``, then the columns
    ``others``, last the values."""

    query: ir.Table
    meanings: tuple[Meaning, ...]
    others: tuple[str, ...]


def numbered_parts(table: ir.Table, column: str) -> Iterator[NumberedPart]:
    """Give the parts of a table, of which those of finer sums are read by numbers.

    Together they have its rows, but for those where ``column`` is NULL.
    """
    for part in parts_of(table.op()):
        yield _numbered(part, column) or _plain(part.to_expr(), column)


def _plain(part: ir.Table, column: str) -> NumberedPart:
    others = tuple(name for name in part.columns if name != column)
    rows = part.filter(part[column].notnull()).select(*others, column)
    return NumberedPart(rows, (), others)


def _numbered(part: Any, column: str) -> NumberedPart | None:
    """Give a part that is read from finer sums; None for any other."""
    finer = finer_part(part)
    if finer is None or not isinstance(part, ops.Project):
        return None
    values = {name: finer.value(value) for name, value in part.values.items()}
    of_tables = finer.by_table({name: values[name] for name in values if name != column})
    numbered = {name for names in of_tables.values() for name in names}
    others = tuple(name for name in values if name != column and name not in numbered)
    asked = {number_of(table): finer.number(table) for table in of_tables}
    asked |= {name: values[name] for name in (*others, column)}
    kept = ops.Filter(finer.chain, (*finer.predicates, ops.NotNull(asked[column])))
    rows = ops.Project(kept, {name: moved(v, finer.chain, kept) for name, v in asked.items()})
    meanings = [
        Meaning(
            finer.meaning(table, {name: values[name] for name in names}).to_expr(), tuple(names)
        )
        for table, names in of_tables.items()
    ]
    return NumberedPart(rows.to_expr(), tuple(meanings), others)
