"""The lines of the table of routes that are about the audit log."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import audit as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import audit as pages
from tollkeeper.console.route import Route, Tenant, page

PAGES: Final = (
    Route(
        *("GET", pages.PATH, Kind.PAGE, Auth.SESSION),
        *(pages.READERS, Tenant.ORG, page(pages.audit)),
    ),
)

API: Final = (
    Route(
        *("GET", "/api/v1/audit", Kind.API, Auth.MANAGEMENT),
        *(pages.READERS, Tenant.ORG, api.list_entries),
    ),
)
