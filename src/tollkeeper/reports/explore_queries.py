"""The queries behind Explore, built once for each shape of a question.

Groups are columns ``group_0``…, the latest names of ids ``name_0``…. What is measured stands
beside it twice: ``<measure>_now`` and ``<measure>_before``, found in one pass over both periods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings
from tollkeeper.reports.dimensions import NAMES, dimension
from tollkeeper.reports.explore_spans import (
    BEFORE,
    CALL,
    FIRST_TEXT,
    NOW,
    SPAN_COLUMN,
    PivotShape,
    StageShape,
    names_of,
    spanned,
    staged_now,
    time_column,
)
from tollkeeper.reports.measured_groups import measured, measured_again
from tollkeeper.reports.measures import MEASURES, summed
from tollkeeper.reports.percentiles import percentiles
from tollkeeper.reports.selection import selected
from tollkeeper.reports.usage_queries import GroupShape, group_columns

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
FIRST: Final = "explored_first"
NO_NAMES: Final[Mapping[str, str]] = {}
_PLACE_COLUMN: Final = "place_"
WEIGHTS: Final = 2
NEEDED: Final = ("entries", "requests")
"""What the order of groups needs whatever it is, and whether one of them stands at all."""


@lru_cache(_SHAPES_REMEMBERED)
def pivoted(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups in order, and in ``groups_`` how many there are in all."""
    table, groups = spanned(ledger, shape)
    return first_of(wide_of(table, groups, shape), shape)


@lru_cache(_SHAPES_REMEMBERED)
def placed(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give what ``pivoted`` does, with each group's place in the order as ``place_``."""
    return with_places(pivoted(ledger, shape), shape)


def with_places(first: ir.Table, shape: PivotShape) -> ir.Table:
    """Give the first groups their places in the order, from 0 on, as ``place_``."""
    return first.mutate(place_=ibis.row_number().over(order_by=_order(shape)))


@lru_cache(_SHAPES_REMEMBERED)
def first_staged(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the table that ``placed`` is set aside as, in order."""
    return ibis.table(placed(ledger, shape).schema(), name=FIRST).order_by("place_")


def of_many(shape: PivotShape) -> bool:
    """Tell whether groups are of single sessions or calls, in an order that needs no names of ids.

    These are so many that ``explore_sessions`` finds them in steps.
    """
    by_name = shape.sort == "name" and not NAMES.keys().isdisjoint(shape.groups.group_by)
    groups, finer = shape.groups.group_by, shape.groups.selection.finer
    return (CALL in groups or (finer and "session" in groups)) and not by_name


def weighing(shape: PivotShape) -> tuple[str, ...]:
    """List the measures that put groups into their order, and tell which stand."""
    asked = (shape.metric,) if shape.sort in {"value", "change"} else ()
    return tuple(dict.fromkeys((*NEEDED, *summed(asked))))


def weighed(shape: PivotShape) -> dict[str, tuple[str, ...]]:
    """List what is needed of each span: only a change is sorted by what was before."""
    now = weighing(shape)
    return {"now": now, "before": now if shape.sort == "change" else NEEDED[:1]}


def wide_of(table: ir.Table, groups: Mapping[str, ir.Value], shape: PivotShape) -> ir.Table:
    """Give what is measured of each group, now and before side by side."""
    return by_span(_measured(table, groups, shape.measures, shape.stage, names_of(shape)))


def _measured(
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    measures: tuple[str, ...],
    stage: StageShape | None,
    names: Mapping[str, str] = NO_NAMES,
) -> ir.Table:
    return (measured if stage is None else measured_again)(table, groups, measures, names)


def by_span(stage: ir.Table) -> ir.Table:
    """Put what belongs to one group side by side: each cell is one row of the stage."""
    now, before = stage[SPAN_COLUMN] == NOW, stage[SPAN_COLUMN] == BEFORE
    found = {}
    for name in stage.columns:
        if name.startswith(FIRST_TEXT):
            found[name] = ibis.coalesce(stage[name].max(where=now), stage[name].max(where=before))
        elif not name.startswith("group_") and name != SPAN_COLUMN:
            found[f"{name}_now"] = stage[name].max(where=now)
            found[f"{name}_before"] = stage[name].max(where=before)
    groups = [name for name in stage.columns if name.startswith("group_")]
    return stage.group_by(groups).agg(**found) if groups else stage.agg(**found)


def first_of(wide: ir.Table, shape: PivotShape) -> ir.Table:
    """Sort, count and cut. A group of which corrections took everything back is none."""
    if not shape.groups.group_by:
        return wide
    wide = wide.filter(stands(wide))
    if "groups_" not in wide.columns:
        wide = wide.mutate(groups_=wide.count().over(ibis.window()))
    return in_order(wide, shape)


@lru_cache(_SHAPES_REMEMBERED)
def numbered(ledger: Ledger, shape: PivotShape) -> ir.Table:
    """Give the first groups, each with its place in their order from 0 on as ``place_``."""
    table, groups = spanned(ledger, shape)
    wide = wide_of(table, groups, shape._replace(measures=weighing(shape)))
    wide, order = ordered(wide.filter(stands(wide)), shape)
    wide = wide.mutate(place_=ibis.row_number().over(order_by=order))
    return wide.filter(wide.place_ < shape.limit)


def stands(wide: ir.Table) -> ir.BooleanValue:
    """Tell whether corrections have left something of a group."""
    return (wide.entries_now.fill_null(0) != 0) | (wide.entries_before.fill_null(0) != 0)


def in_order(wide: ir.Table, shape: PivotShape) -> ir.Table:
    """Give the first groups."""
    wide, order = ordered(wide, shape)
    return wide.order_by(order).limit(shape.limit)


def ordered(wide: ir.Table, shape: PivotShape) -> tuple[ir.Table, list[ir.Value]]:
    """Give groups with what puts them into their order, and that order.

    Its first ``WEIGHTS`` are by how much a group weighs, unless it is by name; all others by texts.
    """
    return wide.mutate(**_sorted_by(wide, shape)), _order(shape)


def _order(shape: PivotShape) -> list[ir.Value]:
    names = list(names_of(shape)) if shape.sort == "name" else []
    names += [f"group_{index}" for index in range(len(shape.groups.group_by))]
    order = [ibis.asc(name, nulls_first=False) for name in names]
    if shape.sort != "name":
        weight = [ibis.desc("order_", nulls_first=False)]
        order = [*weight, ibis.desc("requests_now", nulls_first=False), *order]
    return order


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
    return by_span(_percentile(ledger, table, groups, shape.metric))


@lru_cache(_SHAPES_REMEMBERED)
def rest(ledger: Ledger, shape: PivotShape, of: PivotShape) -> ir.Table:
    """Give the measures of everything in no group that ``of`` keeps, as one row."""
    table, groups = spanned(ledger, shape)
    first = pivoted(ledger, of) if of.stage is None else first_staged(ledger, of)
    table = _within(table, groups, first, inside=False)
    span = {SPAN_COLUMN: table[SPAN_COLUMN]}
    if MEASURES[shape.metric].percentile[0]:
        stage = _percentile(ledger, table, span, shape.metric)
    else:
        stage = _measured(table, span, shape.measures, shape.stage)
    return by_span(stage)


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
    stage: StageShape | None = None,
) -> ir.Table:
    """Give the measures of each step of time for some groups, and for all others together.

    ``shape`` groups by the step alone. ``absent`` has for each group one flag for each of its
    keys: whether it is NULL, or the value of the slot ``part_<group>_<key>``. All that is in no
    group has the place after the last. ``stage`` is set where its rows are read.
    """
    if stage is not None:
        table = staged_now(ledger, stage)
        values = [table[f"group_{index}"] for index in range(len(dimensions))]
        groups = {"group_0": table[time_column(0)], _PLACE_COLUMN: place_of(values, absent)}
        return measured_again(table, groups, measures, {})
    table = selected(ledger, shape.selection)
    place = place_of([dimension(ledger, table, name) for name in dimensions], absent)
    groups = {**group_columns(ledger, table, shape), _PLACE_COLUMN: place}
    if MEASURES[metric].percentile[0]:
        return _percentile(ledger, table, groups, metric)
    return measured(table, groups, measures, {})


def place_of(values: Sequence[ir.Value], absent: Sequence[Sequence[bool]]) -> ir.Value:
    """Give the place of each row's group: one after the last for those that are none of them."""
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
