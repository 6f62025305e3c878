"""The queries behind the first groups by single call.

Nearly every call has one entry, which is a group as it stands. Which come first of these is asked
of all entries, without looking at which calls have several (``Ledger.calls_apart``): only of the
first ones it is told. They are found by their weights, without a text; of those that weigh as
much as the last one the texts are asked for by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.ledger_sums import ENTRY_NUMBER
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings
from tollkeeper.reports.explore_queries import WEIGHTS, first_of, ordered, weighed
from tollkeeper.reports.explore_spans import (
    AMONG,
    BEFORE,
    CALL,
    NOW,
    SPAN_COLUMN,
    PivotShape,
    in_spans,
)
from tollkeeper.reports.many_groups import as_they_stand, put_together
from tollkeeper.reports.selection import conditions

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
NUMBERS: Final = "numbers"
"""The slot of the numbers of entries that are shown, each the only one of its call. All other calls
are in ``AMONG``."""

OF_SEVERAL: Final = "of_several_"
"""The column that tells that an entry is not the only one of its call."""

WEIGHT: Final = "weight"
WEIGHED_BY: Final = ("order_", "requests_now")
"""The columns of weights, and the slots ``weight_0``… of those of the last group that is sure."""


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_several(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups in order of calls with several entries, and how many these are."""
    table, groups = _selected(ledger, shape, ledger.calls_apart().several)
    found = put_together(table, groups, _spans(table), weighed(shape), one_session=False)
    return first_of(found, shape)


@lru_cache(_SHAPES_REMEMBERED)
def counted_of_several(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Count these entries, as they stand."""
    table, _groups = _selected(ledger, shape, ledger.calls_apart().several)
    return table.agg(entries=table.sign.sum().fill_null(0))


@lru_cache(_SHAPES_REMEMBERED)
def first_by_weight(ledger: Ledger, shape: PivotShape, now: bool) -> ir.Table:
    """Give the entries that weigh most, and which are of calls with several; in no order.

    ``now``: of those of this period.
    """
    found, order = _each(ledger, shape, now)
    return _told_apart(ledger, found, order[:WEIGHTS], shape)


@lru_cache(_SHAPES_REMEMBERED)
def first_by_text(
    ledger: Ledger, shape: PivotShape, now: bool, unknown: tuple[bool, ...]
) -> ir.Table:
    """Give the same by texts, of those that weigh as much as the slots say.

    ``unknown`` has for each weight whether it is NULL. Without it all are ordered, by weight first.
    """
    found, order = _each(ledger, shape, now)
    for index, (name, null) in enumerate(zip(WEIGHED_BY, unknown, strict=False)):
        weight = found[name]
        slot = bindings.text(f"{WEIGHT}_{index}").cast(weight.type())
        found = found.filter(weight.isnull() if null else weight == slot)
    after_call = len(shape.groups.group_by) - 1 - shape.groups.group_by.index(CALL)
    texts = order[WEIGHTS if unknown else 0 : len(order) - after_call]  # no two are of one call
    return _told_apart(ledger, found, texts, shape)


@lru_cache(_SHAPES_REMEMBERED)
def first_of_single(ledger: Ledger, shape: PivotShape, now: bool) -> ir.Table:
    """Give the first groups in order of calls with one entry."""
    found, order = _each(ledger, shape, now)
    found = found.filter(found[ENTRY_NUMBER].notin(ledger.calls_apart().several[ENTRY_NUMBER]))
    return _told_apart(ledger, found, order, shape)


def calls_among(ledger: Ledger, shape: PivotShape) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Give the entries of the calls that the slots name, as ``explore_spans.spanned`` does."""
    every, several = ledger.calls_apart()
    single = bindings.among(every, ENTRY_NUMBER, NUMBERS)
    several = bindings.among(several, "call_id", AMONG)
    together = single.union(several.select(*single.columns), distinct=False)
    return in_spans(
        ledger, shape, together.filter(*conditions(ledger, together, shape.groups.selection))
    )


def _each(ledger: Ledger, shape: PivotShape, now: bool) -> tuple[ir.Table, list[ir.Value]]:
    """Give every entry as a group, with its number and weights, and their order."""
    table, groups = _selected(ledger, shape, ledger.calls_apart().every, now=now)
    spans = {"now": ibis.literal(True)} if now else _spans(table)
    groups[ENTRY_NUMBER] = table[ENTRY_NUMBER]
    return ordered(as_they_stand(table, groups, spans, weighed(shape)), shape)


def _told_apart(
    ledger: Ledger, found: ir.Table, order: Sequence[ir.Value], shape: PivotShape
) -> ir.Table:
    """Give the numbers and weights of the first ones, and which are of calls with several."""
    first = found.order_by(order).limit(shape.limit)
    weights = [name for name in WEIGHED_BY if name in first.columns]
    several = ledger.calls_apart().several[ENTRY_NUMBER]
    number = first[ENTRY_NUMBER]
    return first.select(ENTRY_NUMBER, *weights, **{OF_SEVERAL: number.isin(several)})


def _selected(
    ledger: Ledger, shape: PivotShape, table: ir.Table, *, now: bool = False
) -> tuple[ir.Table, dict[str, ir.Value]]:
    table = table.filter(*conditions(ledger, table, shape.groups.selection))
    table, groups = in_spans(ledger, shape, table, now=now)
    table = table.mutate(**groups)
    return table, {name: table[name] for name in groups if name != SPAN_COLUMN}


def _spans(table: ir.Table) -> dict[str, ir.Value]:
    span = table[SPAN_COLUMN]
    return {"now": span == NOW, "before": span == BEFORE}
