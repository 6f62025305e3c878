"""Seat value: each flat-rate plan's last whole month, from the entries that it covered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.money import nanos_of_usd
from tollkeeper.domain.seat_plans import SeatPlan, plan_of
from tollkeeper.domain.seat_value import SeatValue, seat_value
from tollkeeper.ports import Ledger
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import period_named
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 8
PERIOD: Final = "last_month"


def seat_values(
    ledger: Ledger, org: str, plans: Sequence[SeatPlan], zone: str, group_min: int, now_us: int
) -> tuple[SeatValue, ...]:
    """Give every plan's value in the last calendar month; use without a list price is left out.

    It is a month of the calendar, as seats are paid by it, and so no stretch that the figures
    of adoption count as well.
    """
    if not plans:
        return ()
    period = period_named(PERIOD, zone, now_us)
    flat = (Filter("basis", (Basis.FLAT_RATE.value,)),)
    selection = Selection(Scope(org), period.start_us, period.end_us, flat)
    used: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in ledger.run(_by_person(ledger, selection.shape()), selection.values()):
        plan = plan_of(plans, row["provider"], row["team"], vendor_login=True)
        if plan is not None and row["requests"] > 0:
            used[plan.name][row["user"]] += nanos_of_usd(row["value"] or Decimal(0))
    return tuple(seat_value(plan, used[plan.name].values(), group_min) for plan in plans)


@lru_cache(_SHAPES_REMEMBERED)
def _by_person(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    table = table.filter(table.user_id != "")
    return table.group_by(user=table.user_id, provider=table.provider, team=table.team).agg(
        value=table.list_cost_usd.sum(), requests=table.requests.sum()
    )
