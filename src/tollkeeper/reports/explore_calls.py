"""The first groups by single call, in steps: there are millions.

Calls with one entry and those with several are ordered by themselves, and counted: of the former
there are as many as entries, without those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tollkeeper.ledger_sums import ENTRY_NUMBER
from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_call_queries as queries
from tollkeeper.reports.explore_session_queries import (
    SHOWN,
    ShownShape,
    begins_now,
    many_column,
    placed_shown,
    rows_shown,
)
from tollkeeper.reports.explore_sessions import (
    NOTHING_APART,
    SPARE,
    FirstSessions,
    Row,
    likely,
    weights,
)
from tollkeeper.reports.explore_spans import AMONG, PivotShape
from tollkeeper.reports.usage_queries import GroupShape


def first_calls(
    ledger: Ledger,
    shape: PivotShape,
    times: GroupShape | None,
    values: Mapping[str, object],
    entries: int,
) -> FirstSessions:
    """Give the rows that ``pivoted`` gives, where groups are of calls that are kept apart.

    ``entries`` is how many there are in both periods, as they stand.
    """
    several = ledger.run(queries.kept_of_several(ledger, shape), values)
    (counted,) = ledger.run(queries.counted_of_several(ledger, shape), values)
    singles = entries - counted["entries"]
    single: list[Row] = []
    if begins_now(shape) and singles >= shape.limit:
        single = _single(ledger, shape, values, now=True)
    if len(single) < min(shape.limit, singles):
        single = _single(ledger, shape, values, now=False)
    first = likely([*several, *single], shape.limit)
    call = many_column(shape)
    values = {
        **values,
        AMONG: list({row[call] for row in first if call in row}),
        queries.NUMBERS: [row[ENTRY_NUMBER] for row in first if call not in row],
    }
    shown = ShownShape(shape._replace(limit=1), times, by_text=True, or_none=False)
    ledger.set_aside(SHOWN, rows_shown(ledger, shown), values)
    groups = singles + (several[0]["groups_"] if several else 0)
    rows = ledger.run(placed_shown(ledger, shown, shape.limit), values)
    rows.sort(key=lambda row: row["place_"])
    return FirstSessions([row | {"groups_": groups} for row in rows], NOTHING_APART, shown)


def _single(
    ledger: Ledger, shape: PivotShape, values: Mapping[str, object], *, now: bool
) -> list[Row]:
    """Give the first groups of calls with one entry, or more of them: numbers and weights."""
    read = shape._replace(limit=shape.limit + SPARE)
    sure: list[Row] = []
    unknown: tuple[bool, ...] = ()
    slots: dict[str, Any] = {}
    if shape.sort != "name" and ledger.hashes_texts():  # whoever reads rows has the texts as well
        found = sorted(ledger.run(queries.first_by_weight(ledger, read, now), values), key=weights)
        single = _only_ones(found)
        if len(found) < read.limit:
            return single  # all that there are
        least = found[-1]
        sure = [row for row in single if weights(row) < weights(least)]
        if len(sure) >= shape.limit:
            return sure
        last = [least[name] for name in queries.WEIGHED_BY]
        unknown = tuple(weight is None for weight in last)
        slots = {
            f"{queries.WEIGHT}_{index}": _text(weight)
            for index, weight in enumerate(last)
            if weight is not None
        }
    found = ledger.run(queries.first_by_text(ledger, read, now, unknown), {**values, **slots})
    sure += _only_ones(found)
    if len(sure) >= shape.limit or (not unknown and len(found) < read.limit):
        return sure
    # More of the first ones than are spared have several entries.
    return [*ledger.run(queries.first_of_single(ledger, shape, now), values)]


def _only_ones(found: Sequence[Row]) -> list[Row]:
    return [row for row in found if not row[queries.OF_SEVERAL]]


def _text(weight: object) -> str:
    return f"{weight:f}" if isinstance(weight, Decimal) else repr(weight)
