"""What one key or person spent today: for ``GET /me`` and the status line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period, period_named
from tollkeeper.reports.usage import UsageQuestion, usage

MINUTE_US: Final = 60_000_000


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


class LastMinute(NamedTuple):
    """What began in the last minute, as far as the ledger has it; calls under way are missing."""

    requests: int
    tokens: int


def last_minute(ledger: Ledger, org: str, *, user_id: str, key_id: str, now_us: int) -> LastMinute:
    """Count the calls and tokens of a person, or of a key, of the last sixty seconds.

    Raises ValueError when neither is given, LedgerUnavailable.
    """
    if not user_id and not key_id:
        raise ValueError("whose calls: a user or a key is needed")
    period = Period("custom", "UTC", now_us - MINUTE_US, now_us + 1, now_us)
    filters = (Filter("key", (key_id,)),) if key_id else ()
    question = UsageQuestion(period, ("requests", "tokens_in", "tokens_out"), filters=filters)
    found = usage(ledger, Scope(org, user_id=user_id or None), question).totals
    requests, tokens_in, tokens_out = (int(found[name] or 0) for name in question.metrics)
    return LastMinute(requests, tokens_in + tokens_out)


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
