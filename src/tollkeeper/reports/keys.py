"""What each key spent, and when it was last used."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.measures import known
from tollkeeper.reports.period import Period
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir


class KeyUse(NamedTuple):
    """``cost_usd`` and ``requests`` are of the period; None when no cost is known.

    ``last_used_us`` is when its newest call began, whatever became of that call.
    """

    cost_usd: Decimal | None
    requests: int
    unpriced: int
    last_used_us: int


def key_uses(ledger: Ledger, scope: Scope, period: Period) -> Mapping[str, KeyUse]:
    """Give the use of every key that was ever used, by its id."""
    selection = Selection(scope)
    values = selection.values() | {
        "start": zones.moment_of(period.start_us),
        "end": zones.moment_of(period.end_us),
    }
    return {
        row["key_id"]: KeyUse(
            known("cost_usd", row["cost"], row["entries"]),  # type: ignore[arg-type]
            int(row["requests"] or 0),
            int(row["unpriced"] or 0),
            zones.epoch_us_of(row["last_used"]),
        )
        for row in ledger.run(_uses(ledger, selection.shape()), values)
    }


@lru_cache(32)
def _uses(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    everything = selected(ledger, shape)
    table = everything.filter(everything.key_id != "")
    within = (table.started_at >= bindings.moment("start")) & (
        table.started_at < bindings.moment("end")
    )
    return table.group_by("key_id").agg(
        entries=table.sign.sum(where=within),
        cost=table.cost_usd.sum(where=within),
        requests=table.requests.sum(where=within),
        unpriced=table.unpriced.sum(where=within),
        last_used=table.started_at.max(),
    )
