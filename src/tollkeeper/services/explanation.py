"""Price lines of an entry: which quantity cost what, by the price that it was priced with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from tollkeeper.domain.ledger import TOKEN_FIELDS, LedgerEntry
from tollkeeper.domain.money import PRICE_UNITS_PER_USD, nanos_of_price_units
from tollkeeper.domain.pricing import PriceBook, PriceLine
from tollkeeper.domain.usage import Usage

_CUSTOM: Final = "custom"
_BATCH: Final = "batch"
_NO_TERMS: Final = frozenset({"rule", "borrowed", "since", "tier", "speed", "geo", "above"})
"""Words of a price's key that are no terms of the usage."""


def explain(entry: LedgerEntry, book: PriceBook) -> Sequence[PriceLine]:
    """Say line by line how an entry was priced.

    The book of today has to come to the price that the entry has: where it does not, because
    prices were changed since, there are no lines rather than wrong ones. An entry without a
    price keeps its lines while they show what no price is known for.
    """
    if not entry.price_key or entry.corrects:
        return ()
    place, *words = entry.price_key.split(" ")
    conditions = dict(_pairs(words))
    batch, _, _ = conditions.get("tier", "").partition("+")
    quantities = {name: getattr(entry, field) for field, name in TOKEN_FIELDS} | dict(entry.units)
    usage = Usage(
        {name: count for name, count in quantities.items() if count},
        tier=entry.tier,
        speed=conditions.get("speed", ""),
        geo=conditions.get("geo", ""),
        batch=batch == _BATCH,
        terms=" ".join(
            f"{name}={word}" for name, word in conditions.items() if name not in _NO_TERMS
        ),
    )
    provider = entry.provider if place == _CUSTOM else place.partition("/")[0]
    model = entry.model_served or entry.model_requested
    lines = book.explain(provider, model, usage, entry.started_at_us)
    return lines if _total_nanos(lines) == entry.list_cost_nanos else ()


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, sign, value = word.partition("=")
        if sign:
            yield name, value


def _total_nanos(lines: Sequence[PriceLine]) -> int | None:
    """Add the lines up, exactly, and round once; None where one has no price."""
    total = Fraction(0)
    for line in lines:
        if line.price is None:
            return None
        total += Fraction(line.price) * line.count / line.per
    return nanos_of_price_units(round(total * PRICE_UNITS_PER_USD))
