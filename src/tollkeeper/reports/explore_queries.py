"""The queries behind Explore, built once for each shape of a question.

Groups are columns ``group_0``…, the latest names of ids ``name_0``…. What is measured stands
beside it twice: ``<measure>_now`` and ``<measure>_before``, found in one pass over both periods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis
from ibis import _

from tollkeeper.domain.sums import SESSION_ALONE
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import NAMES, dimension
from tollkeeper.reports.many_groups import as_they_stand, put_together
from tollkeeper.reports.measured_groups import measured
from tollkeeper.reports.measures import MEASURES, summed
from tollkeeper.reports.percentiles import percentiles
from tollkeeper.reports.selection import selected
from tollkeeper.reports.usage_queries import GroupShape, group_columns

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
SPAN: Final = "span"
"""The slots of the two moments between both periods: the one before ends, this one begins."""

AMONG: Final = "among"
_BEFORE, _GAP, _NOW = 0, 1, 2
SPAN_COLUMN: Final = "span_"
_PLACE_COLUMN: Final = "place_"
_FIRST_TEXT: Final = "name_"
_NEEDED: Final = ("entries", "requests")
"""What the order of groups needs whatever it is, and whether one of them stands at all."""


class PivotShape(NamedTuple):
    """What is measured of which groups.

    ``measures`` are those that SQL adds up, ``metric`` is what is asked about, ``compared``
    tells that the selection spans the period before as well, with ``SPAN`` between them.
    ``sort`` is value, change, requests or name; ``limit`` is how many groups are kept.
    """

    groups: GroupShape
    measures: tuple[str, ...]
    metric: str
    compared: bool
    sort: str = "name"
    limit: int = 1


@lru_cache(_SHAPES_REMEMBERED)
def pivoted(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups in order, and in ``groups_`` how many there are in all."""
    table, groups = spanned(ledger, shape)
    return _first(_wide(table, groups, shape), shape)


def of_many(shape: PivotShape) -> bool:
    """Tell whether groups are of single sessions, and in an order that needs no names of ids.

    These are so many that ``explore_sessions`` finds them in steps.
    """
    by_name = shape.sort == "name" and not NAMES.keys().isdisjoint(shape.groups.group_by)
    selection = shape.groups.selection
    return selection.finer and "session" in shape.groups.group_by and not by_name


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_several_rows(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups in order of sessions with several rows, and how many these are."""
    table, groups, spans = _by_session(ledger, shape, alone=False)
    return _first(put_together(table, groups, spans, _weighing(shape)), shape)


@lru_cache(_SHAPES_REMEMBERED)
def kept_of_single_rows(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups in order of sessions with one row."""
    table, groups, spans = _by_session(ledger, shape, alone=True)
    found = as_they_stand(table, groups, spans, _weighing(shape))
    return _in_order(found.filter(_stands(found)), shape)


@lru_cache(_SHAPES_REMEMBERED)
def counted_single_rows(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Count the groups of sessions with one row."""
    table, groups, spans = _by_session(ledger, shape, alone=True)
    found = as_they_stand(table, groups, spans, _NEEDED)
    return found.filter(_stands(found)).agg(groups_=_.count())


def _weighing(shape: PivotShape) -> tuple[str, ...]:
    """List the measures that put groups into their order, and tell which stand."""
    asked = (shape.metric,) if shape.sort in {"value", "change"} else ()
    return tuple(dict.fromkeys((*_NEEDED, *summed(asked))))


@lru_cache(_SHAPES_REMEMBERED)
def pivoted_among(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give what ``pivoted`` does of all groups that are of the sessions in the slot ``AMONG``."""
    table, groups = spanned(ledger, shape, among=True)
    return _wide(table, groups, shape)


def _by_session(
    ledger: Ledger, shape: PivotShape, *, alone: bool
) -> tuple[ir.Table, dict[str, ir.Value], dict[str, ir.Value]]:
    """Give sessions with one row, or those with more; their groups, and what is in each span."""
    table, groups = spanned(ledger, shape, alone=True)
    groups["alone_"] = table[SESSION_ALONE]
    table = table.mutate(**groups)
    table = table.filter(table.alone_ if alone else ~table.alone_)
    span = table[SPAN_COLUMN]
    names = [name for name in groups if name.startswith("group_")]
    found = {name: table[name] for name in names}
    return table, found, {"now": span == _NOW, "before": span == _BEFORE}


def _wide(table: ir.Table, groups: Mapping[str, ir.Value], shape: PivotShape) -> ir.Table:
    names = {
        f"{_FIRST_TEXT}{index}": NAMES[name]
        for index, name in enumerate(shape.groups.group_by)
        if name in NAMES
    }
    return _by_span(measured(table, groups, shape.measures, names), shape)


def spanned(
    ledger: Ledger, shape: PivotShape, *, alone: bool = False, among: bool = False
) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Give the entries of both periods, and the groups with the period that each is in.

    Where the selection is of sums, so are these; ``alone`` asks which sessions have one row.
    ``among`` leaves those of the sessions in the slot ``AMONG``.
    """
    table = selected(ledger, shape.groups.selection._replace(alone=alone))
    if among:
        table = bindings.among(table, "session_id", AMONG)
    span: ir.Value = ibis.literal(_NOW, "int64")
    if shape.compared:
        span = zones.interval(table.started_at, 2, SPAN)
        table = table.filter(span != _GAP)
        span = zones.interval(table.started_at, 2, SPAN)
    return table, {**group_columns(ledger, table, shape.groups), SPAN_COLUMN: span}


def _by_span(stage: ir.Table, shape: PivotShape) -> ir.Table:
    """Put what belongs to one group side by side: each cell is one row of the stage."""
    now, before = stage[SPAN_COLUMN] == _NOW, stage[SPAN_COLUMN] == _BEFORE
    found = {}
    for name in stage.columns:
        if name.startswith(_FIRST_TEXT):
            found[name] = ibis.coalesce(stage[name].max(where=now), stage[name].max(where=before))
        elif not name.startswith("group_") and name != SPAN_COLUMN:
            found[f"{name}_now"] = stage[name].max(where=now)
            found[f"{name}_before"] = stage[name].max(where=before)
    groups = [name for name in stage.columns if name.startswith("group_")]
    return stage.group_by(groups).agg(**found) if groups else stage.agg(**found)


def _first(wide: ir.Table, shape: PivotShape) -> ir.Table:
    """Sort, count and cut. A group of which corrections took everything back is none."""
    if not shape.groups.group_by:
        return wide
    wide = wide.filter(_stands(wide))
    if "groups_" not in wide.columns:
        wide = wide.mutate(groups_=wide.count().over(ibis.window()))
    return _in_order(wide, shape)


@lru_cache(_SHAPES_REMEMBERED)
def numbered(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups, each with its place in their order from 0 on as ``place_``."""
    table, groups = spanned(ledger, shape)
    wide = _wide(table, groups, shape._replace(measures=_weighing(shape)))
    wide, order = _ordered(wide.filter(_stands(wide)), shape)
    wide = wide.mutate(place_=ibis.row_number().over(order_by=order))
    return wide.filter(wide.place_ < shape.limit)


def _stands(wide: ir.Table) -> ir.BooleanValue:
    return (wide.entries_now.fill_null(0) != 0) | (wide.entries_before.fill_null(0) != 0)


def _in_order(wide: ir.Table, shape: PivotShape) -> ir.Table:
    wide, order = _ordered(wide, shape)
    return wide.order_by(order).limit(shape.limit)


def _ordered(wide: ir.Table, shape: PivotShape) -> tuple[ir.Table, list[ir.Value]]:
    wide = wide.mutate(**_sorted_by(wide, shape))
    names = [
        f"{_FIRST_TEXT}{index}"
        for index, name in enumerate(shape.groups.group_by)
        if name in NAMES and shape.sort == "name"
    ]
    names += [f"group_{index}" for index in range(len(shape.groups.group_by))]
    order = [ibis.asc(name, nulls_first=False) for name in names]
    if shape.sort != "name":
        weight = [ibis.desc("order_", nulls_first=False)]
        order = [*weight, ibis.desc("requests_now", nulls_first=False), *order]
    return wide, order


def _sorted_by(wide: ir.Table, shape: PivotShape) -> dict[str, ir.Value]:
    if shape.sort == "name":
        return {}
    if shape.sort == "requests":
        return {"order_": wide.requests_now}
    now = _weight(wide, shape.metric, "now")
    if shape.sort == "change":
        now = (now.fill_null(0) - _weight(wide, shape.metric, "before").fill_null(0)).abs()
    return {"order_": now}


def _weight(wide: ir.Table, metric: str, span: str) -> ir.NumericValue:
    """Give what a metric is sorted by; ratios as floating point, exact enough for an order."""
    above, below = MEASURES[metric].ratio
    if not above:
        return wide[f"{metric}_{span}"]
    parts = [wide[f"{name}_{span}"].cast("float64") for name in (above, below)]
    return parts[0] / parts[1].nullif(0)


@lru_cache(_SHAPES_REMEMBERED)
def pivoted_percentiles(ledger: Ledger, shape: PivotShape, of: PivotShape | None) -> ir.Table:
    """Give the percentile that ``shape.metric`` is of, for the groups that ``of`` keeps.

    Without ``of`` for all entries; the column is ``value_now`` and ``value_before``.
    """
    table, groups = spanned(ledger, shape)
    if of is not None:
        table = _within(table, groups, pivoted(ledger, of), inside=True)
        groups = {name: table[name] for name in groups}
    return _by_span(_percentile(ledger, table, groups, shape.metric), shape)


@lru_cache(_SHAPES_REMEMBERED)
def rest(ledger: Ledger, shape: PivotShape, of: PivotShape) -> ir.Table:
    """Give the measures of everything in no group that ``of`` keeps, as one row."""
    table, groups = spanned(ledger, shape)
    table = _within(table, groups, pivoted(ledger, of), inside=False)
    span = {SPAN_COLUMN: table[SPAN_COLUMN]}
    if MEASURES[shape.metric].percentile[0]:
        stage = _percentile(ledger, table, span, shape.metric)
    else:
        stage = measured(table, span, shape.measures, {})
    return _by_span(stage, shape)


def _within(
    table: ir.Table, groups: Mapping[str, ir.Value], first: ir.Table, *, inside: bool
) -> ir.Table:
    """Keep the entries of the first groups, or all others."""
    names = [name for name in groups if name.startswith("group_")]
    first = first.select(**{f"kept_{name}": first[name] for name in names})
    table = table.mutate(**groups)
    same = [table[name].identical_to(first[f"kept_{name}"]) for name in names]
    return table.semi_join(first, same) if inside else table.anti_join(first, same)


def _percentile(
    ledger: Ledger, table: ir.Table, groups: Mapping[str, ir.Value], metric: str
) -> ir.Table:
    column, rank = MEASURES[metric].percentile
    return percentiles(ledger, table, groups, column, (rank,)).rename(value=f"p{rank}")


@lru_cache(_SHAPES_REMEMBERED)
def by_step(
    ledger: Ledger,
    shape: GroupShape,
    measures: tuple[str, ...],
    metric: str,
    dimensions: tuple[str, ...],
    absent: tuple[tuple[bool, ...], ...],
) -> ir.Table:
    """Give the measures of each step of time for some groups, and for all others together.

    ``shape`` groups by the step alone. ``absent`` has for each group one flag for each of its
    keys: whether it is NULL, or the value of the slot ``part_<group>_<key>``. All that is in no
    group has the place after the last.
    """
    table = selected(ledger, shape.selection)
    place = _place(ledger, table, dimensions, absent)
    groups = {**group_columns(ledger, table, shape), _PLACE_COLUMN: place}
    if MEASURES[metric].percentile[0]:
        return _percentile(ledger, table, groups, metric)
    return measured(table, groups, measures, {})


def _place(
    ledger: Ledger,
    table: ir.Table,
    dimensions: Sequence[str],
    absent: Sequence[Sequence[bool]],
) -> ir.Value:
    values = [dimension(ledger, table, name) for name in dimensions]
    branches = []
    for index, flags in enumerate(absent):
        holds: ir.Value = ibis.literal(True)
        for place, (value, null) in enumerate(zip(values, flags, strict=True)):
            slot = bindings.text(f"part_{index}_{place}").cast(value.type())
            same = value.isnull() if null else value == slot
            holds = same if not place else holds & same
        branches.append((holds, ibis.literal(index, "int64")))
    others = ibis.literal(len(absent), "int64")
    return ibis.cases(*branches, else_=others) if branches else others
