"""What Explore reads: the rows of a period and of the one before, with their groups.

Most questions are answered by one query. Where each of several would read as many finer sums, and
for sessions or customers set as many bits, the rows are put together first: in a stage, which has
the groups of the question, the steps of time and what its measures are made of. All else follows
from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import NAMES
from tollkeeper.reports.measured_groups import in_stages
from tollkeeper.reports.selection import selected
from tollkeeper.reports.usage_queries import GroupShape, group_columns

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256
SPAN: Final = "span"
"""The slots of the two moments between both periods: the one before ends, this one begins."""

AMONG: Final = "among"
BEFORE, GAP, NOW = 0, 1, 2
SPAN_COLUMN: Final = "span_"
FIRST_TEXT: Final = "name_"
STAGE: Final = "explored"
CALL: Final = "call"


class PivotShape(NamedTuple):
    """What is measured of which groups.

    ``measures`` are those that SQL adds up, ``metric`` is what is asked about, ``compared``
    tells that the selection spans the period before as well, with ``SPAN`` between them.
    ``sort`` is value, change, requests or name; ``limit`` is how many groups are kept.
    ``stage`` is set where the rows to read are what ``stage_rows`` gives for it.
    """

    groups: GroupShape
    measures: tuple[str, ...]
    metric: str
    compared: bool
    sort: str = "name"
    limit: int = 1
    stage: StageShape | None = None


class StageShape(NamedTuple):
    """What a stage keeps apart: the groups of ``pivot``, and of this period the ``times``.

    ``times`` groups by steps; None where none are shown. Weekdays with hours would be too many.
    ``by_basis`` keeps apart what ``explore_comparison`` needs.
    """

    pivot: PivotShape
    times: GroupShape | None
    by_basis: bool = False


def names_of(shape: PivotShape) -> dict[str, str]:
    """Give the columns of names, and those of entries that they are found in."""
    return {
        f"{FIRST_TEXT}{index}": NAMES[name]
        for index, name in enumerate(shape.groups.group_by)
        if name in NAMES
    }


@lru_cache(_SHAPES_REMEMBERED)
def stage_rows(ledger: Ledger, shape: StageShape) -> ir.Table:
    """Give the rows of a stage, with the times as ``time_0``… (NULL in the period before)."""
    counts = "sessions" in shape.pivot.measures
    table, groups = spanned(ledger, shape.pivot, alone=counts)
    groups = timed(ledger, table, groups, shape.times)
    further = {}
    if shape.by_basis:
        groups |= {"basis": table.basis, "is_open": table.cost_usd.isnull()}
        further = {"last_part": table.part.max()}
    return in_stages(table, groups, shape.pivot.measures, names_of(shape.pivot), **further)


def timed(
    ledger: Ledger, table: ir.Table, groups: Mapping[str, ir.Value], times: GroupShape | None
) -> dict[str, ir.Value]:
    """Add the times of this period to what ``spanned`` gave, as ``time_0``…."""
    now = groups[SPAN_COLUMN] == NOW
    found = dict(groups)
    for index, time in enumerate(group_columns(ledger, table, times).values() if times else ()):
        found[time_column(index)] = now.ifelse(time, None)
    return found


@lru_cache(_SHAPES_REMEMBERED)
def staged(ledger: Ledger, shape: StageShape) -> ir.Table:
    """Give the table that ``stage_rows`` is set aside as."""
    return ibis.table(stage_rows(ledger, shape).schema(), name=STAGE)


def staged_now(ledger: Ledger, shape: StageShape) -> ir.Table:
    """Give what it has of this period."""
    table = staged(ledger, shape)
    return table.filter(table[SPAN_COLUMN] == NOW)


def time_column(index: int) -> str:
    """Name the column of a stage's time."""
    return f"time_{index}"


def spanned(
    ledger: Ledger,
    shape: PivotShape,
    *,
    alone: bool = False,
    among: str = "",
    none: bool = False,
    now: bool = False,
) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Give the entries of both periods, and the groups with the period that each is in.

    Where the selection is of sums, so are these; ``alone`` asks which sessions have one row.
    ``among`` names a column of sessions and leaves those in the slot ``AMONG``, or those with
    ``none``. ``now`` leaves this period alone.
    """
    if shape.stage is not None:
        table = staged(ledger, shape.stage)
        names = [f"group_{index}" for index in range(len(shape.groups.group_by))]
        return table, {name: table[name] for name in (*names, SPAN_COLUMN)}
    table = selected(ledger, shape.groups.selection._replace(alone=alone))
    if among:
        mine = table[among]
        table = table.filter(mine.isnull()) if none else bindings.among(table, among, AMONG)
    return in_spans(ledger, shape, table, now=now)


def in_spans(
    ledger: Ledger, shape: PivotShape, table: ir.Table, *, now: bool = False
) -> tuple[ir.Table, dict[str, ir.Value]]:
    """Give those of selected entries that are in one of both periods, as ``spanned`` does."""
    span: ir.Value = ibis.literal(NOW, "int64")
    if shape.compared and now:
        table = table.filter(table.started_at >= bindings.moment(f"{SPAN}_1"))
    elif shape.compared:
        span = zones.interval(table.started_at, 2, SPAN)
        table = table.filter(span != GAP)
        span = zones.interval(table.started_at, 2, SPAN)
    return table, {**group_columns(ledger, table, shape.groups), SPAN_COLUMN: span}
