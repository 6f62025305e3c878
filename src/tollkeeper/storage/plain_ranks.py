"""Percentiles as an engine has them that does the plain thing, grouping by grouping.

What ``Ledger.timed``, ``Ledger.each_value`` and ``Ledger.nearest_ranks`` mean, for engines that
keep nothing for them; what a faster way is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ibis

from tollkeeper.ports import NO_VALUES, Ledger
from tollkeeper.request_times import TIMED
from tollkeeper.storage.timed_columns import ROW

if TYPE_CHECKING:
    import ibis.expr.types as ir


def timed(entries: ir.Table) -> ir.Table:
    """Give each request as a row of its own."""
    requests = entries.filter((entries.requests == 1) & (entries.revision == 0))
    requests = requests.mutate(**{several: requests[one] for one, several in TIMED.items()})
    return requests.select(*(column.name for column in ROW))


def each_value(table: ir.Table, column: str) -> ir.Table:
    """Give the rows that have a value."""
    return table.filter(table[column].notnull())


def nearest_ranks(
    ledger: Ledger,
    table: ir.Table,
    column: str,
    cells: ir.Table,
    sets: Sequence[Sequence[str]],
    percent: int,
    values: Mapping[str, Any] = NO_VALUES,
) -> list[dict[str, Any]]:
    """Rank the values of each grouping by themselves."""
    names = [name for name in table.columns if name != column]
    keys = [name for name in cells.columns if name not in names]
    labels = cells.select(*keys, **{f"for_{name}": cells[name] for name in names})
    same = [table[name].identical_to(labels[f"for_{name}"]) for name in names]
    opened = ledger.each_value(table.join(labels, same).select(*keys, column), column)
    found: list[dict[str, Any]] = []
    for number, group_by in enumerate(sets):
        mine = opened.filter(*(opened[name].notnull() for name in group_by)) if group_by else opened
        rank = {"value": ledger.nearest_rank(mine[column], percent), "all_": mine.count()}
        ranked = mine.group_by(list(group_by)).agg(**rank) if group_by else mine.agg(**rank)
        ranked = ranked.filter(ranked.all_ > 0)
        columns: dict[str, ir.Value] = {"set_": ibis.literal(number, "int64")}
        for name in keys:
            kind = opened[name].type().copy(nullable=True)
            columns[name] = ranked[name].cast(kind) if name in group_by else ibis.null(kind)
        found += ledger.run(ranked.select(**columns, value=ranked.value), values)
    return found
