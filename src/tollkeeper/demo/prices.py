"""What the made-up company pays: the shipped price book under two contracts of its own.

The configuration of the data folder says the same, so that what the history was priced by is
what ``calls explain`` shows.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.demo.stories import Stories
from tollkeeper.domain.price_rules import PriceRule, PriceRules
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.providers.price_data import shipped_price_book

DISCOUNT_BP: Final = 1_200
OFFER_BP: Final = 2_000


def price_rules(told: Stories) -> tuple[PriceRule, ...]:
    """Give the contracts: one begins to count in the period, the other ends."""
    return (
        PriceRule(
            "Anthropic contract",
            provider="anthropic",
            discount_bp=DISCOUNT_BP,
            since_us=told.discount_us,
            reason="framework contract for a year",
        ),
        PriceRule(
            "Moonshot introductory offer",
            provider="moonshot",
            discount_bp=OFFER_BP,
            until_us=told.offer_ends_us,
            reason="new customers pay less at first",
        ),
    )


def price_book(told: Stories) -> PriceBook:
    """Give the book that the whole history is priced by."""
    return shipped_price_book().with_rules(PriceRules(price_rules(told)))
