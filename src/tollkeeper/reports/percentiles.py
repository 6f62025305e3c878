"""Percentiles by nearest rank: the same value in every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.ports import Ledger
from tollkeeper.reports.measures import is_request
from tollkeeper.request_times import TIMED

if TYPE_CHECKING:
    import ibis.expr.types as ir

VALUE: Final = "value_"


def percentiles(
    ledger: Ledger,
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    column: str,
    percents: Sequence[int],
) -> ir.Table:
    """Give one row for each group: the group's columns, then ``p50``, ``p95``….

    The value at rank ceil(n * percent / 100) of the group's values in order. The table is of
    entries, of which the requests count, or of ``Ledger.timed``.
    """
    samples = table.select(**groups, **{VALUE: values(table, column)})
    samples = ledger.each_value(samples, VALUE)
    found = {f"p{percent}": ledger.nearest_rank(samples[VALUE], percent) for percent in percents}
    names = list(groups)
    return samples.group_by(names).agg(**found) if names else samples.agg(**found)


def values(table: ir.Table, column: str) -> ir.Value:
    """Give what ``Ledger.each_value`` opens: a column's values of the requests of each row."""
    if TIMED[column] in table.columns:
        return table[TIMED[column]]
    return is_request(table).ifelse(table[column], ibis.null())
