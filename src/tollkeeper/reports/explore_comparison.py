"""The sums of a period and of the one before it, from a stage that has Explore's groups as well.

Where filters ask for finer sums, what percentiles stand beside (these sums, and which groups come
first) would be two readings of the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tollkeeper.ports import Ledger
from tollkeeper.reports.comparison import MEASURES, Comparison, sums_of
from tollkeeper.reports.explore_spans import (
    BEFORE,
    NOW,
    SPAN_COLUMN,
    STAGE,
    PivotShape,
    StageShape,
    stage_rows,
    staged,
)
from tollkeeper.reports.interval_sums import sums_of_rows
from tollkeeper.reports.period import Period

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 256


def set_aside(ledger: Ledger, pivot: PivotShape, slots: Mapping[str, object]) -> StageShape:
    """Set a stage aside that has the groups of ``pivot``, and what ``compared_in`` adds up."""
    pivot = pivot._replace(measures=MEASURES, metric="", sort="name", limit=1)
    stage = StageShape(pivot, None, by_basis=True)
    ledger.set_aside(STAGE, stage_rows(ledger, stage), slots)
    return stage


def compared_in(ledger: Ledger, stage: StageShape, period: Period) -> Comparison | None:
    """Compare a period with the one before it, both as the stage has them.

    None where what has no price has to be looked up call by call.
    """
    found = sums_of_rows(ledger.run(_by_basis(ledger, stage)))
    if found is None:
        return None
    now, before = (
        sums_of(*([row for row in rows if row["interval_"] == span] for rows in found))
        for span in (NOW, BEFORE)
    )
    return Comparison(period, period.previous(), now=now, before=before)


@lru_cache(_SHAPES_REMEMBERED)
def _by_basis(ledger: Ledger, stage: StageShape) -> ir.Table:
    """Add all groups up: rows as ``sums_of_rows`` takes them, ``interval_`` is the period."""
    table = staged(ledger, stage)
    sums = {name: table[name].sum() for name in MEASURES}
    return table.group_by(
        interval_=table[SPAN_COLUMN], basis=table.basis, is_open=table.is_open
    ).agg(**sums, last_part=table.last_part.max())
