"""The queries behind the usage report, built once for each shape of a question."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.dimensions import HOUR_OF_DAY, NAMES, TIMES, WEEKDAY, dimension
from tollkeeper.reports.measured_groups import measured
from tollkeeper.reports.percentiles import percentiles
from tollkeeper.reports.period import Period
from tollkeeper.reports.selection import SelectionShape, selected
from tollkeeper.reports.unpriced import unpriced_calls

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
_MONTH_SLOT: Final = "month"


class GroupShape(NamedTuple):
    """Which groups are made. ``changes`` and ``months`` count the slots that times need."""

    selection: SelectionShape
    group_by: tuple[str, ...]
    changes: int
    months: int


class Order(NamedTuple):
    """Sort by one column of the result."""

    column: str
    descending: bool


class Kept(NamedTuple):
    """The first groups in an order: what ``grouped`` gives for it."""

    measures: tuple[str, ...]
    order: tuple[Order, ...]
    limit: int


def group_shape(selection: SelectionShape, group_by: tuple[str, ...], period: Period) -> GroupShape:
    """Give the shape of a grouping; only what the asked times need is part of it."""
    zoned = any(name in TIMES and name != "month" for name in group_by)
    return GroupShape(
        selection,
        group_by,
        changes=len(period.offsets().changes) if zoned else 0,
        months=len(period.month_starts()) - 1 if "month" in group_by else 0,
    )


def time_values(period: Period) -> dict[str, object]:
    """Give the values for the slots of all times (spare ones are ignored)."""
    inner = tuple(start_us for _, start_us in period.month_starts()[1:])
    return {
        **zones.offset_values(period.offsets()),
        **zones.interval_values(inner, _MONTH_SLOT),
    }


@lru_cache(_SHAPES_REMEMBERED)
def grouped(
    ledger: Ledger,
    shape: GroupShape,
    measures: tuple[str, ...],
    order: tuple[Order, ...] = (),
    limit: int | None = None,
    *,
    emptied: bool = False,
) -> ir.Table:
    """Give the measures of each group.

    Groups are columns ``group_0``…, the latest name of an id is ``name_0``…. A group of which
    corrections have taken everything back is none, unless ``emptied`` ones are wanted.
    """
    table = selected(ledger, shape.selection)
    groups = group_columns(ledger, table, shape)
    names = {
        f"name_{index}": NAMES[name] for index, name in enumerate(shape.group_by) if name in NAMES
    }
    answer = measured(table, groups, measures, names)
    if not groups:
        return answer
    if not emptied:
        answer = answer.filter(answer.entries != 0)
    if order:
        answer = answer.order_by(
            [
                ibis.desc(each.column, nulls_first=False)
                if each.descending
                else ibis.asc(each.column, nulls_first=False)
                for each in order
            ]
        )
    return answer if limit is None else answer.limit(limit)


@lru_cache(_SHAPES_REMEMBERED)
def unpriced(ledger: Ledger, selection: SelectionShape) -> ir.Table:
    """Count the calls of which some cost is unknown, and their tokens."""
    return unpriced_calls(selected(ledger, selection))


@lru_cache(_SHAPES_REMEMBERED)
def ranked(
    ledger: Ledger,
    shape: GroupShape,
    column: str,
    percents: tuple[int, ...],
    kept: Kept | None = None,
    kept_of: SelectionShape | None = None,
) -> ir.Table:
    """Give percentiles of a column over the requests of each group, or of each that is kept.

    ``kept_of`` is what these groups are found in.
    """
    table = selected(ledger, shape.selection)
    groups = group_columns(ledger, table, shape)
    if kept is not None:
        table = table.mutate(**groups)
        first = grouped(ledger, shape._replace(selection=kept_of or shape.selection), *kept)
        first = first.select(**{f"kept_{name}": first[name] for name in groups})
        same = [table[name].identical_to(first[f"kept_{name}"]) for name in groups]
        table = table.semi_join(first, same)
        groups = {name: table[name] for name in groups}
    return percentiles(ledger, table, groups, column, percents)


def group_columns(ledger: Ledger, table: ir.Table, shape: GroupShape) -> dict[str, ir.Value]:
    """Give the expressions of the groups."""
    return {
        f"group_{index}": _group(ledger, table, name, shape)
        for index, name in enumerate(shape.group_by)
    }


def _group(ledger: Ledger, table: ir.Table, name: str, shape: GroupShape) -> ir.Value:
    match name:
        case "hour":
            return zones.local_hour(table.started_at, shape.changes)
        case "day":
            return zones.local_day(table.started_at, shape.changes)
        case "week":
            return zones.local_week(table.started_at, shape.changes)
        case "month":
            return zones.interval(table.started_at, shape.months, _MONTH_SLOT)
        case _ if name == WEEKDAY:
            return zones.local_weekday(table.started_at, shape.changes)
        case _ if name == HOUR_OF_DAY:
            return zones.local_hour_of_day(table.started_at, shape.changes)
        case _:
            return dimension(ledger, table, name)
