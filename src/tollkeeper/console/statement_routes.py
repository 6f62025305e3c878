"""The lines of the table of routes that are about statements. Members have none."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import statements as api
from tollkeeper.console.pages import statements as pages
from tollkeeper.console.route import Tenant, api_get, api_post, form_at, page_at

PAGES: Final = (
    page_at("/statements", api.READERS, Tenant.SCOPE, pages.statements),
    page_at("/statements/{month}", api.READERS, Tenant.SCOPE, pages.month),
    page_at("/statements/{month}/{team:path}", api.READERS, Tenant.SCOPE, pages.team_statement),
    form_at("/statements/{month}/close", api.CLOSERS, Tenant.ORG, pages.close),
)

API: Final = (
    api_get("/api/v1/statements", api.READERS, Tenant.SCOPE, api.list_months),
    api_get("/api/v1/statements/{month}", api.READERS, Tenant.SCOPE, api.month),
    api_get(
        "/api/v1/statements/{month}/{team:path}", api.READERS, Tenant.SCOPE, api.team_statement
    ),
    api_post("/api/v1/statements/{month}/close", api.CLOSERS, Tenant.ORG, api.close_month),
)
