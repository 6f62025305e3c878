"""The table's lines about budgets: the page Budgets, each budget, and the API's."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import budgets as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import budget, budgets
from tollkeeper.console.route import Route, Tenant, form, page
from tollkeeper.domain.access import Role

_EVERYBODY: Final = frozenset(Role)

PAGES: Final = (
    Route(
        *("GET", "/budgets", Kind.PAGE, Auth.SESSION),
        *(_EVERYBODY, Tenant.SCOPE, page(budgets.budgets)),
    ),
    Route(
        *("POST", "/budgets", Kind.FORM, Auth.SESSION_FORM),
        *(api.KEEPERS, Tenant.ORG, form(budgets.make_budget)),
    ),
    Route(
        *("POST", "/budgets/try", Kind.FORM, Auth.SESSION_FORM),
        *(api.KEEPERS, Tenant.ORG, form(budgets.try_budget)),
    ),
    Route(
        *("GET", "/budget/{budget_id}", Kind.PAGE, Auth.SESSION),
        *(_EVERYBODY, Tenant.SCOPE, page(budget.budget)),
    ),
    Route(
        *("POST", "/budget/{budget_id}", Kind.FORM, Auth.SESSION_FORM),
        *(api.KEEPERS, Tenant.ORG, form(budget.change_budget)),
    ),
    Route(
        *("POST", "/budget/{budget_id}/end", Kind.FORM, Auth.SESSION_FORM),
        *(api.KEEPERS, Tenant.ORG, form(budget.end_budget)),
    ),
    Route(
        *("POST", "/budget/{budget_id}/top-up", Kind.FORM, Auth.SESSION_FORM),
        *(api.KEEPERS, Tenant.ORG, form(budget.top_up)),
    ),
)
"""One budget stands below another word than all of them, so that no path is taken for an id."""
