"""How the cost of a ledger entry came about, line by line, from the price book."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry
from tollkeeper.domain.pricing import PriceBook, PriceLine
from tollkeeper.domain.usage import Usage

_CONDITION: Final = re.compile(r" (tier|speed|geo)=(\S+)")
_NANOS_PER_USD: Final = 10**9


def cost_lines(entry: LedgerEntry, book: PriceBook) -> Sequence[PriceLine]:
    """Give one line for each quantity; they add up to the entry's list cost.

    Nothing where no price was looked up, and nothing where the book has other prices by now
    than the entry was made with: those lines would explain a cost that nobody paid.
    """
    if not entry.price_key or entry.corrects:
        return ()
    model = entry.model_served or entry.model_requested
    lines = book.explain(_provider(entry), model, _usage(entry), entry.started_at_us)
    return lines if _total_nanos(lines) == entry.list_cost_nanos else ()


def _provider(entry: LedgerEntry) -> str:
    """Say whose prices were looked up: an operator's own card has the provider's own name."""
    owner, slash, _ = entry.price_key.partition(" ")[0].partition("/")
    return owner if slash else entry.provider


def _usage(entry: LedgerEntry) -> Usage:
    """Put the usage together again, with what decided its price."""
    found = dict(_CONDITION.findall(entry.price_key))
    quantities = {name: getattr(entry, field) for field, name in TOKEN_FIELDS} | dict(entry.units)
    return Usage(
        {name: count for name, count in quantities.items() if count},
        tier=entry.tier,
        speed=found.get("speed", ""),
        geo=found.get("geo", ""),
        batch=found.get("tier", "").startswith("batch"),
    )


def _total_nanos(lines: Sequence[PriceLine]) -> int | None:
    """Add up as the book does: exactly, rounded once. None where a price is missing."""
    total = Fraction()
    for line in lines:
        if line.cost is None:
            return None
        total += Fraction(line.cost)
    return round(total * _NANOS_PER_USD)
