"""The lines of the table of routes that are about asking for more of a budget."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import budget_requests as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import budget_raises as raises
from tollkeeper.console.pages import budget_requests as pages
from tollkeeper.console.route import Route, Tenant, form, page
from tollkeeper.domain.access import Role
from tollkeeper.services.budget_requests import KEEPERS

_EVERYBODY: Final = frozenset(Role)
_ADMINS: Final = frozenset({Role.ADMIN})
DECIDERS: Final = KEEPERS | {Role.LEAD}
"""Roles that decide about requests, as far as the budgets are theirs to look after."""

PAGES: Final = (
    Route(
        *("GET", "/budgets/ask", Kind.PAGE, Auth.SESSION),
        *(_EVERYBODY, Tenant.REACH, page(pages.ask_form)),
    ),
    Route(
        *("POST", "/budgets/ask", Kind.FORM, Auth.SESSION_FORM),
        *(_EVERYBODY, Tenant.REACH, form(pages.ask)),
    ),
    Route(
        *("POST", "/budgets/ask/overdraft", Kind.FORM, Auth.SESSION_FORM),
        *(_EVERYBODY, Tenant.REACH, form(pages.overdraw)),
    ),
    Route(
        *("GET", "/budgets/requests", Kind.PAGE, Auth.SESSION),
        *(_EVERYBODY, Tenant.REACH, page(pages.requests)),
    ),
    Route(
        *("GET", "/budgets/requests/{request_id}", Kind.PAGE, Auth.SESSION),
        *(_EVERYBODY, Tenant.REACH, page(pages.request)),
    ),
    Route(
        *("POST", "/budgets/requests/{request_id}/approve", Kind.FORM, Auth.SESSION_FORM),
        *(DECIDERS, Tenant.REACH, form(pages.approve)),
    ),
    Route(
        *("POST", "/budgets/requests/{request_id}/decline", Kind.FORM, Auth.SESSION_FORM),
        *(DECIDERS, Tenant.REACH, form(pages.decline)),
    ),
    Route(
        *("POST", "/budgets/raises/{raise_id}/end", Kind.FORM, Auth.SESSION_FORM),
        *(DECIDERS, Tenant.REACH, form(raises.end_raise)),
    ),
)

API: Final = (
    Route(
        *("GET", "/api/v1/budgets/requests", Kind.API, Auth.MANAGEMENT),
        *(_EVERYBODY, Tenant.REACH, api.list_requests),
    ),
    Route(
        *("POST", "/api/v1/budgets/requests", Kind.API, Auth.KEY_OR_SESSION_FORM),
        *(_EVERYBODY, Tenant.REACH, api.ask),
    ),
    Route(
        *("GET", "/api/v1/budgets/requests/{request_id}", Kind.API, Auth.MANAGEMENT),
        *(_EVERYBODY, Tenant.REACH, api.get_request),
    ),
    Route(
        "POST",
        "/api/v1/budgets/requests/{request_id}/approve",
        *(Kind.API, Auth.MANAGEMENT_WRITE, DECIDERS, Tenant.REACH, api.approve),
    ),
    Route(
        "POST",
        "/api/v1/budgets/requests/{request_id}/decline",
        *(Kind.API, Auth.MANAGEMENT_WRITE, DECIDERS, Tenant.REACH, api.decline),
    ),
    Route(
        *("GET", "/api/v1/budgets/{budget_id}/raises", Kind.API, Auth.MANAGEMENT),
        *(_EVERYBODY, Tenant.REACH, api.list_raises),
    ),
    Route(
        *("POST", "/api/v1/budgets/raises/{raise_id}/end", Kind.API, Auth.MANAGEMENT_WRITE),
        *(DECIDERS, Tenant.REACH, api.end_raise),
    ),
    Route(
        *("POST", "/api/v1/budgets/{budget_id}/overdraft", Kind.API, Auth.MANAGEMENT_WRITE),
        *(_EVERYBODY, Tenant.REACH, api.take_overdraft),
    ),
    Route(
        "POST",
        "/api/v1/budgets/{budget_id}/overdraft/allow",
        *(Kind.API, Auth.MANAGEMENT_WRITE, _ADMINS, Tenant.ORG, api.allow_overdraft),
    ),
)
"""They stand before the lines that take a budget's id, so that no word is taken for one."""
