"""Sums of the stretches between moments, and what of them has no price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    priced: Sequence[Mapping[str, Any]]
    unpriced: Sequence[Mapping[str, Any]]


def interval_sums(
    ledger: Ledger, selection: Selection, moments_us: Sequence[int], *, finely: bool = False
) -> IntervalSums:
    """Sum up what is selected, in one pass; ``finely`` allows finer sums.

    Single calls are only looked at where some cost is unknown, and entries do not stand for calls.
    """
    moments_us = tuple(moments_us)
    summed = selection.summed((), moments_us, finely=finely, daily=ledger.days_zone())
    values = summed.values() | zones.interval_values(moments_us, queries.BOUNDARY)
    rows = ledger.run(queries.by_interval(ledger, summed.shape(), len(moments_us)), values)
    sums = sums_of_rows(rows)
    if sums is not None:
        return sums
    by_call = replace(summed, daily="").shape()
    query = queries.unpriced_by_interval(ledger, by_call, len(moments_us))
    return IntervalSums(rows, ledger.run(query, values))


def sums_of_rows(rows: Sequence[Mapping[str, Any]]) -> IntervalSums | None:
    """Tell from rows by basis what has no price; None where single calls have to be looked at."""
    unpriced = [row for row in rows if row["is_open"]]
    if not all(map(_are_calls, unpriced)):
        return None
    return IntervalSums(rows, [_unpriced(row) for row in unpriced])


def _are_calls(row: Mapping[str, Any]) -> bool:
    """Say whether the entries without a price are the attempts without one.

    They are if each is an attempt itself, or takes one back: only further models of a call, and
    what adds to an entry without standing for it, make several entries of one attempt.
    """
    return bool(row["last_part"] == 0 and row["entries"] == row["unpriced"])


def _unpriced(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "interval_": row["interval_"],
        "calls": row["unpriced"],
        "tokens": row["tokens_in"] + row["tokens_out"],
    }
