"""What each key spent, when it was last used, and with which tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.measures import known
from tollkeeper.reports.period import Period
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir


TOOLS_MAX: Final = 8
"""How many tools of a key are named at most."""


class KeyUse(NamedTuple):
    """``cost_usd`` and ``requests`` are of the period; None when no cost is known.

    ``last_used_us`` is when its newest call began, whatever became of that call.
    """

    cost_usd: Decimal | None
    requests: int
    unpriced: int
    last_used_us: int


UNUSED: Final = KeyUse(Decimal(0), 0, 0, 0)


def use_document(use: KeyUse, tools: Sequence[str]) -> dict[str, Any]:
    """Give the use of a key as data: money as a decimal string, the last use in UTC."""
    return {
        "cost_usd": None if use.cost_usd is None else f"{use.cost_usd:.9f}",
        "requests": use.requests,
        "unpriced": use.unpriced,
        "last_used_at": second_text(use.last_used_us or None),
        "tools": list(tools),
    }


def key_uses(ledger: Ledger, scope: Scope, period: Period) -> Mapping[str, KeyUse]:
    """Give the use of every key that was ever used, by its id."""
    bounds_us, daily = (period.start_us, period.end_us), ledger.days_zone()
    selection = Selection(scope).summed(("key",), bounds_us, daily=daily)
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


def key_tools(ledger: Ledger, scope: Scope, period: Period) -> Mapping[str, tuple[str, ...]]:
    """Give the tools that each key was used with in a period, the busiest first, by its id."""
    bounds_us, daily = (period.start_us, period.end_us), ledger.days_zone()
    selection = Selection(scope).summed(("key", "tool"), bounds_us, daily=daily)
    values = selection.values() | {
        "start": zones.moment_of(period.start_us),
        "end": zones.moment_of(period.end_us),
    }
    rows = sorted(
        ledger.run(_tools(ledger, selection.shape()), values),
        key=lambda row: (-int(row["requests"] or 0), str(row["tool"])),
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(str(row["key_id"]), []).append(str(row["tool"]))
    return {key_id: tuple(tools[:TOOLS_MAX]) for key_id, tools in found.items()}


@lru_cache(32)
def _tools(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    everything = selected(ledger, shape)
    table = everything.filter(
        (everything.key_id != "")
        & (everything.tool != "")
        & (everything.started_at >= bindings.moment("start"))
        & (everything.started_at < bindings.moment("end"))
    )
    return table.group_by("key_id", "tool").agg(requests=table.requests.sum())


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
        last_used=table.last_at.max(),
    )
