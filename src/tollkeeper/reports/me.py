"""What one key or person spent today: for ``GET /me`` and the status line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period, period_named
from tollkeeper.reports.usage import UsageQuestion, usage


@dataclass(frozen=True, slots=True)
class SpentToday:
    """``cost_usd`` is None when none of today's use has a known cost."""

    period: Period
    cost_usd: Decimal | None
    list_cost_usd: Decimal | None
    requests: int
    refusals: int
    tokens_in: int
    tokens_out: int
    unpriced: int


def spent_today(
    ledger: Ledger, org: str, *, user_id: str, key_id: str, zone: str, now_us: int
) -> SpentToday:
    """Sum up today, in the zone, of a person over all their keys; of the key if it has none.

    Raises ValueError when neither is given: nobody is asked about everybody here.
    """
    if not user_id and not key_id:
        raise ValueError("whose spend: a user or a key is needed")
    period = period_named("today", zone, now_us)
    question = UsageQuestion(
        period,
        ("cost_usd", "list_cost_usd", "requests", "refusals", "tokens_in", "tokens_out"),
        filters=() if user_id else (Filter("key", (key_id,)),),
    )
    answer = usage(ledger, Scope(org, user_id=user_id or None), question)
    return SpentToday(period=period, unpriced=answer.unpriced, **answer.totals)  # type: ignore[arg-type]
