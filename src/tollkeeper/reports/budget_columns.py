"""Which column of the ledger a budget's scope goes by: called alike there and in a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tollkeeper.domain.budgets import BudgetScope

SCOPE_COLUMNS: Final[Mapping[BudgetScope, str]] = {
    BudgetScope.TEAM: "team",
    BudgetScope.USER: "user_id",
    BudgetScope.KEY: "key_id",
    BudgetScope.PROVIDER: "provider",
    BudgetScope.ENDPOINT: "endpoint",
    BudgetScope.TOOL: "tool",
    BudgetScope.END_CUSTOMER: "end_customer",
    BudgetScope.SESSION: "session_id",
}
"""Scopes that go by one column. The model takes two columns, a tag is looked up."""
