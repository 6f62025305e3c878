"""Percentiles by nearest rank: the same value in every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tollkeeper.ports import Ledger

if TYPE_CHECKING:
    import ibis.expr.types as ir


def percentiles(
    ledger: Ledger,
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    column: str,
    percents: Sequence[int],
) -> ir.Table:
    """Give one row for each group: the group's columns, then ``p50``, ``p95``….

    The value at rank ceil(n * percent / 100) of the group's values in order.
    """
    samples = table.filter(table[column].notnull()).select(**groups, value_=column)
    found = {f"p{percent}": ledger.nearest_rank(samples.value_, percent) for percent in percents}
    names = list(groups)
    return samples.group_by(names).agg(**found) if names else samples.agg(**found)
