"""Sums of the stretches between moments, and what of them has no price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tollkeeper.ports import Ledger
from tollkeeper.reports import overview_queries as queries
from tollkeeper.reports import zones
from tollkeeper.reports.selection import Selection


class IntervalSums(NamedTuple):
    """Rows with ``interval_``: 0 before the first moment, then 1, and so on.

    ``priced`` has every one of ``comparison.MEASURES`` by ``basis`` as well, ``unpriced`` has
    ``calls`` and their ``tokens``; both are what ``comparison.sums_of`` takes.
    """

    priced: Sequence[dict[str, Any]]
    unpriced: Sequence[dict[str, Any]]


def interval_sums(
    ledger: Ledger, selection: Selection, moments_us: Sequence[int], *, finely: bool = False
) -> IntervalSums:
    """Sum up what is selected, in one pass; ``finely`` allows finer sums."""
    moments_us = tuple(moments_us)
    summed = selection.summed((), moments_us, finely=finely, daily=ledger.days_zone())
    values = summed.values() | zones.interval_values(moments_us, queries.BOUNDARY)
    rows = ledger.run(queries.by_interval(ledger, summed.shape(), len(moments_us)), values)
    if not any(row["unpriced"] for row in rows):
        return IntervalSums(rows, ())  # which is usual, and spares to look at single calls
    by_call = replace(summed, daily="").shape()
    query = queries.unpriced_by_interval(ledger, by_call, len(moments_us))
    return IntervalSums(rows, ledger.run(query, values))
