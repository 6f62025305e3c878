"""Percentiles by nearest rank: one expression, the same value in every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir


def percentiles(
    table: ir.Table, groups: Mapping[str, ir.Value], column: str, percents: Sequence[int]
) -> ir.Table:
    """Give one row for each group: the group's columns, then ``p50``, ``p95``….

    The value at rank ceil(n * percent / 100) of the group's values in order.
    """
    samples = table.filter(table[column].notnull()).select(**groups, value_=column)
    names = list(groups)
    ranked = samples.mutate(
        rank_=ibis.row_number().over(group_by=names, order_by=samples.value_) + 1,
        count_=samples.value_.count().over(group_by=names),
    )
    found = {}
    for percent in percents:
        at_or_above = ranked.rank_ * 100 >= ranked.count_ * percent
        first = (ranked.rank_ - 1) * 100 < ranked.count_ * percent
        found[f"p{percent}"] = ranked.value_.max(where=at_or_above & first)
    return ranked.group_by(names).agg(**found) if names else ranked.agg(**found)
