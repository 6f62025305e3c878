"""The queries behind the overview, built once for each shape of a question."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.comparison import MEASURES
from tollkeeper.reports.dimensions import NAMES, dimension
from tollkeeper.reports.measures import aggregates
from tollkeeper.reports.selection import SelectionShape, latest, selected
from tollkeeper.reports.unpriced import unpriced_calls

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 128
BOUNDARY: Final = "boundary"


@lru_cache(_SHAPES_REMEMBERED)
def by_interval(ledger: Ledger, shape: SelectionShape, boundaries: int) -> ir.Table:
    """Give all measures by ``interval_`` (between the boundaries), ``basis`` and ``is_open``.

    Several periods that overlap are answered by one pass over the entries: each of them is
    a run of intervals. What ``is_open`` has no price; ``last_part`` is the highest number of a
    part. (As a group: as a condition of sums, each of these would be planned by itself.)
    """
    table = selected(ledger, shape)
    place = zones.interval(table.started_at, boundaries, BOUNDARY)
    is_open = table.cost_usd.isnull()  # of a row of sums as well: those alike are, or none is
    return table.group_by(interval_=place, basis=table.basis, is_open=is_open).agg(
        **aggregates(table, MEASURES), last_part=table.part.max()
    )


@lru_cache(_SHAPES_REMEMBERED)
def unpriced_by_interval(ledger: Ledger, shape: SelectionShape, boundaries: int) -> ir.Table:
    """Count the calls of each interval of which some cost is unknown, and their tokens."""
    table = selected(ledger, shape)
    return unpriced_calls(table, interval_=zones.interval(table.started_at, boundaries, BOUNDARY))


@lru_cache(_SHAPES_REMEMBERED)
def by_part(ledger: Ledger, shape: SelectionShape, name: str, limit: int) -> ir.Table:
    """Give each value of a dimension with its cost now and before, dearest first.

    The selection spans both periods; ``now_start`` begins the one and ``before_until`` ends
    what has elapsed of the other. ``groups_`` counts the values, whatever the limit. One of which
    corrections took everything back is none.
    """
    table = selected(ledger, shape)
    now = table.started_at >= bindings.moment("now_start")
    table = table.filter(now | (table.started_at < bindings.moment("before_until")))
    now = table.started_at >= bindings.moment("now_start")
    found = {
        "entries": table.sign.sum(),
        "cost": table.cost_usd.sum(),
        "requests": table.requests.sum(),
        "unpriced": table.unpriced.sum(),
    }
    if name in NAMES:
        found["name"] = latest(table, NAMES[name])
    spans = table.group_by(part=dimension(ledger, table, name), now_=now).agg(**found)
    parts = _side_by_side(spans)
    stands = (parts.entries.fill_null(0) != 0) | (parts.entries_before.fill_null(0) != 0)
    parts = parts.filter(stands)
    parts = parts.mutate(groups_=parts.count().over(ibis.window()))
    return parts.order_by(
        ibis.desc("cost", nulls_first=False),
        ibis.desc("cost_before", nulls_first=False),
        ibis.desc("requests"),
        ibis.asc("part", nulls_first=False),
    ).limit(limit)


def _side_by_side(spans: ir.Table) -> ir.Table:
    """Put what each value has of both periods into one row: two rows a value are few, so that
    each entry was added up once, and not asked of every sum whether it belongs there."""
    now = spans.now_
    found = {
        "entries": spans.entries.max(where=now),
        "entries_before": spans.entries.max(where=~now),
        "cost": spans.cost.max(where=now),
        "cost_before": spans.cost.max(where=~now),
        "requests": spans.requests.max(where=now),
        "unpriced": spans.unpriced.max(where=now),
    }
    if "name" in spans.columns:
        found["name"] = ibis.coalesce(spans.name.max(where=now), spans.name.max(where=~now))
    return spans.group_by("part").agg(**found)


@lru_cache(_SHAPES_REMEMBERED)
def by_day(
    ledger: Ledger, shape: SelectionShape, name: str, changes: int, absent: tuple[bool, ...]
) -> ir.Table:
    """Give the cost of each local day for some values of a dimension, and for all others.

    ``absent`` has one flag for each of these values: whether it is NULL, or the value of
    the slot ``part_<index>``. All other values have the index after the last.
    """
    table = selected(ledger, shape)
    value = dimension(ledger, table, name)
    branches = [
        (
            value.isnull() if null else value == bindings.text(f"part_{index}").cast(value.type()),
            ibis.literal(index, "int64"),
        )
        for index, null in enumerate(absent)
    ]
    place = ibis.literal(len(absent), "int64")
    if branches:
        place = ibis.cases(*branches, else_=place)
    day = zones.local_day(table.started_at, changes)
    return table.group_by(day=day, index_=place).agg(cost=table.cost_usd.sum())
