"""The table's lines about budgets: the page Budgets, each budget, and the API's."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import budgets as api
from tollkeeper.console.pages import budget, budgets
from tollkeeper.console.route import Tenant, form_at, page_at
from tollkeeper.domain.access import Role

_EVERYBODY: Final = frozenset(Role)

PAGES: Final = (
    page_at("/budgets", _EVERYBODY, Tenant.SCOPE, budgets.budgets),
    form_at("/budgets", api.KEEPERS, Tenant.ORG, budgets.make_budget),
    form_at("/budgets/try", api.KEEPERS, Tenant.ORG, budgets.try_budget),
    page_at("/budget/{budget_id}", _EVERYBODY, Tenant.SCOPE, budget.budget),
    form_at("/budget/{budget_id}", api.KEEPERS, Tenant.ORG, budget.change_budget),
    form_at("/budget/{budget_id}/end", api.KEEPERS, Tenant.ORG, budget.end_budget),
    form_at("/budget/{budget_id}/top-up", api.KEEPERS, Tenant.ORG, budget.top_up),
)
"""One budget stands below another word than all of them, so that no path is taken for an id."""
