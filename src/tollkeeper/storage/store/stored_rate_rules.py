"""How a rate limit looks in a row, and the question for all of them, without anything heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.rate_limits import RateRule

RATE_RULE_COLUMNS: Final = (
    *("rule_id", "name", "scope", "match_value", "each_value"),
    *("requests_per_minute", "tokens_per_minute", "parallel_calls"),
)
"""In the order of ``RateRule``."""

RATE_RULES: Final = """
    SELECT rule_id, name, scope, match_value, each_value,
           requests_per_minute, tokens_per_minute, parallel_calls
    FROM rate_rules ORDER BY name
"""


def rate_rule(row: Sequence[Any]) -> RateRule:
    """Read a row of the columns above."""
    rule_id, name, scope, match, each, requests, tokens, parallel = row
    return RateRule(
        rule_id, name, BudgetScope(scope), match, bool(each), requests, tokens, parallel
    )
