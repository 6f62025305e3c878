"""Ledger entries priced once more, by genai-prices, which knows nothing of our price book."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

from genai_prices import Usage, calc_price

from booked import quantities_of
from tollkeeper.domain import usage as u
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.providers.price_data import rows_of, shipped_parts

_TEXT = {u.INPUT, u.CACHE_READ, u.CACHE_WRITE, u.CACHE_WRITE_1H, u.OUTPUT, u.REASONING}
_IDS = {"vertex": "google"}
_SATURDAY = 5
_NO_PEAK_HOUR = 12  # UTC; there are peaks from 1 to 4 and from 6 to 10


def is_text(entry: LedgerEntry) -> bool:
    """Tell whether all that an entry used is text: of other things the oracle knows less."""
    return quantities_of(entry).keys() <= _TEXT


def _asked_at(entry: LedgerEntry) -> datetime:
    """Give the time to ask about. DeepSeek's peaks are on workdays of China; the oracle has them
    on all days (``providers/test_price_conflicts.py``), so on others it is asked about an hour
    without one."""
    at = datetime.fromtimestamp(entry.started_at_us / 1e6, UTC)
    is_free = at.weekday() >= _SATURDAY or at.date().isoformat() in _holidays()
    if entry.model_served.startswith("deepseek") and is_free:
        return at.replace(hour=_NO_PEAK_HOUR)
    return at


@cache
def _holidays() -> frozenset[str]:
    return frozenset(
        day
        for row in rows_of(shipped_parts())
        for days in row.get("calendars", {}).values()
        for day in days
    )


def oracle_nanos(entry: LedgerEntry) -> int:
    """Price the text tokens of an entry. Raises LookupError for a model it does not know."""
    seen = quantities_of(entry)
    written = seen.get(u.CACHE_WRITE, 0) + seen.get(u.CACHE_WRITE_1H, 0)
    counted: dict[str, Any] = {
        "input_tokens": sum(count for name, count in seen.items() if name in u.INPUT_TOKENS),
        "cache_read_tokens": seen.get(u.CACHE_READ),
        "cache_write_tokens": written or None,
        "cache_write_1h_tokens": seen.get(u.CACHE_WRITE_1H),
        "output_tokens": seen.get(u.OUTPUT, 0) + seen.get(u.REASONING, 0),
    }
    context = {"service_tier": entry.tier} if entry.tier and entry.wire == "openai" else {}
    priced = calc_price(
        Usage(**counted),
        entry.model_served,
        provider_id=_IDS.get(entry.provider, entry.provider),
        genai_request_timestamp=_asked_at(entry),
        price_context=context,
    )
    return int((Decimal(priced.total_price) * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))
