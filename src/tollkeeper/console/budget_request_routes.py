"""The lines of the table of routes that are about asking for more of a budget."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import budget_requests as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import budget_raises as raises
from tollkeeper.console.pages import budget_requests as pages
from tollkeeper.console.route import Route, Tenant, api_get, api_post, form_at, page_at
from tollkeeper.domain.access import Role
from tollkeeper.services.budget_requests import KEEPERS

_EVERYBODY: Final = frozenset(Role)
_ADMINS: Final = frozenset({Role.ADMIN})
DECIDERS: Final = KEEPERS | {Role.LEAD}
"""Roles that decide about requests, as far as the budgets are theirs to look after."""

PAGES: Final = (
    page_at("/budgets/ask", _EVERYBODY, Tenant.REACH, pages.ask_form),
    form_at("/budgets/ask", _EVERYBODY, Tenant.REACH, pages.ask),
    form_at("/budgets/ask/overdraft", _EVERYBODY, Tenant.REACH, pages.overdraw),
    page_at("/budgets/requests", _EVERYBODY, Tenant.REACH, pages.requests),
    page_at("/budgets/requests/{request_id}", _EVERYBODY, Tenant.REACH, pages.request),
    form_at("/budgets/requests/{request_id}/approve", DECIDERS, Tenant.REACH, pages.approve),
    form_at("/budgets/requests/{request_id}/decline", DECIDERS, Tenant.REACH, pages.decline),
    form_at("/budgets/raises/{raise_id}/end", DECIDERS, Tenant.REACH, raises.end_raise),
)

API: Final = (
    api_get("/api/v1/budgets/requests", _EVERYBODY, Tenant.REACH, api.list_requests),
    Route(
        *("POST", "/api/v1/budgets/requests", Kind.API, Auth.KEY_OR_SESSION_FORM),
        *(_EVERYBODY, Tenant.REACH, api.ask),
    ),
    api_get("/api/v1/budgets/requests/{request_id}", _EVERYBODY, Tenant.REACH, api.get_request),
    api_post("/api/v1/budgets/requests/{request_id}/approve", DECIDERS, Tenant.REACH, api.approve),
    api_post("/api/v1/budgets/requests/{request_id}/decline", DECIDERS, Tenant.REACH, api.decline),
    api_get("/api/v1/budgets/{budget_id}/raises", _EVERYBODY, Tenant.REACH, api.list_raises),
    api_post("/api/v1/budgets/raises/{raise_id}/end", DECIDERS, Tenant.REACH, api.end_raise),
    api_post("/api/v1/budgets/{budget_id}/overdraft", _EVERYBODY, Tenant.REACH, api.take_overdraft),
    api_post(
        "/api/v1/budgets/{budget_id}/overdraft/allow", _ADMINS, Tenant.ORG, api.allow_overdraft
    ),
)
"""They stand before the lines that take a budget's id, so that no word is taken for one."""
