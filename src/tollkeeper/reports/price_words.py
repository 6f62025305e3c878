"""Words for why a price changed and how sure it is, for pages and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CORRECTIONS: Final[Mapping[str, str]] = {
    "price_known_now": "its price became known",
    "price_changed": "the price book says otherwise now",
    "other_terms": "other terms apply: tier, batch or place",
    "own_price_set": "an own price was set",
    "own_price_changed": "the own price was changed",
    "own_price_removed": "the own price was removed",
    "billed_later": "its bill came later",
    "billed_by_lines": "it was billed line by line",
}
"""Why an entry was booked anew."""

STANDINGS: Final[Mapping[str, str]] = {
    "agreed": "other sources say the same",
    "single": "no other source lists it",
    "disputed": "another source says otherwise",
}
"""How sure a price is: see ``domain.price_table.Standing``."""


def correction(code: str) -> str:
    """Say why an entry was booked anew."""
    return CORRECTIONS.get(code, code.replace("_", " "))


def published(source: str, standing: str) -> str:
    """Say who published a price, and how sure it is."""
    return ", ".join(filter(None, (source, STANDINGS.get(standing, ""))))
