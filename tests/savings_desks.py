"""Calls for tests of savings, priced by a small book whose prices can be multiplied by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbitrary_entries import taken_back
from ledger_entries import new_id, profile
from tollkeeper.domain.access import Scope
from tollkeeper.domain.calls import Held
from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry, Outcome, entries_of
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.services.settlement import Ending, settle

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
NOW_US = 1_795_780_800_000_000  # 2026-11-27 12:00 UTC
CHANGE = "2026-11-20"
"""The day on which everything of ``lab`` becomes half as dear."""

CLAUDE: ProviderRow = {
    "provider": "anthropic",
    "name": "Anthropic",
    "models": [
        {
            "model": "claude-opus-9",
            "prices": [
                {
                    "usd": {
                        "input": "3",
                        "cache_read": "0.3",
                        "cache_write": "3.75",
                        "cache_write_1h": "6",
                        "output": "15",
                    }
                }
            ],
        },
        {"model": "claude-haiku-9", "prices": [{"usd": {"input": "1", "output": "5"}}]},
    ],
}
LAB: ProviderRow = {
    "provider": "lab",
    "name": "Lab",
    "models": [
        {
            "model": "ray-large-2",
            "prices": [
                {"usd": {"input": "4", "output": "8"}},
                {"since": CHANGE, "usd": {"input": "2", "output": "4"}},
            ],
        },
        {
            "model": "ray-small-2",
            "prices": [
                {
                    "usd": {"input": "0.4", "output": "1.6", "web_searches": "10"},
                    "above": [(1_000, {"input": "0.8"})],
                },
                {"since": CHANGE, "usd": {"input": "0.2", "output": "0.8"}},
            ],
        },
    ],
}
BOOK = PriceBook("test-1", {"anthropic": CLAUDE, "lab": LAB})
PRICES = SavingsPrices(BOOK, {"anthropic": "anthropic", "lab": "lab"})

AMOUNTS = ("cost_nanos", "list_cost_nanos", "saved_nanos")


def call(
    at_us: int,
    model: str,
    quantities: Mapping[str, int],
    *,
    outcome: Outcome = Outcome.OK,
    usage: Mapping[str, Any] | None = None,
    book: PriceBook = BOOK,
    **changes: Any,
) -> LedgerEntry:
    """Settle one call as the gateway does. ``changes`` are those of its profile."""
    provider = changes.pop("provider", "anthropic" if model.startswith("claude") else "lab")
    named = {"provider": provider, "price_provider": provider, "model": model}
    entry_id = new_id()
    held = Held(
        entry_id=entry_id,
        call_id=entry_id,
        started_at_us=at_us,
        attempt=1,
        sent=True,
        prompt_bytes=400,
        output_tokens=100,
        profile=profile(**{**named, "model_requested": model, **changes}),
    )
    ending = Ending(
        200 if outcome == Outcome.OK else 500,
        outcome,
        120,
        usage=Usage(dict(quantities), model, **(usage or {})),
    )
    return entries_of(held, settle(held, ending, book))[0]


def scope(org: str = "acme") -> Scope:
    return Scope(org)


def corrected(entry: LedgerEntry) -> list[LedgerEntry]:
    """Take an entry back and book it anew, at another cost."""
    pair = entry._replace(corrects=entry.entry_id, revision=1, corrected_at_us=NOW_US)
    back: dict[str, Any] = {name: -getattr(entry, name) for name, _ in TOKEN_FIELDS}
    back |= {name: taken_back(getattr(entry, name)) for name in AMOUNTS}
    return [
        pair._replace(entry_id=new_id(), sign=-1, **back),
        pair._replace(entry_id=new_id(), cost_nanos=(entry.cost_nanos or 0) + 1_000),
    ]
