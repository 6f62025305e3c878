"""The price rules of a store, read without anything heavy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from tollkeeper.domain.price_rules import PriceRule
from tollkeeper.storage.store.rows import price_rule
from tollkeeper.storage.store.schema_check import rows_of
from tollkeeper.storage.store.store_address import StoreAddress

RULES: Final = """
    SELECT name, provider, model, team, usd, discount_bp, since_us, until_us, reason
    FROM price_rules ORDER BY created_at_us DESC, rule_id DESC
"""


def rules_of(rows: Iterable[Sequence[Any]]) -> tuple[PriceRule, ...]:
    """Read rows of ``RULES``, which are in the order in which they are tried."""
    return tuple(price_rule(row) for row in rows)


def stored_rules(at: StoreAddress) -> tuple[PriceRule, ...]:
    """Read the rules of a store; none where it is not there yet, or is not current."""
    return rules_of(rows_of(at, RULES))
