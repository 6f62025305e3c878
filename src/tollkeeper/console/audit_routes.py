"""The lines of the table of routes that are about the audit log, and how all is set up."""

from __future__ import annotations

from typing import Final

from tollkeeper.console import masking
from tollkeeper.console.access import Auth
from tollkeeper.console.api import audit as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import audit as pages
from tollkeeper.console.pages import settings
from tollkeeper.console.route import Route, Tenant, page
from tollkeeper.services.unmasking import UNMASKERS

PAGES: Final = (
    Route(
        *("GET", settings.PATH, Kind.PAGE, Auth.SESSION),
        *(settings.READERS, Tenant.ORG, page(settings.settings)),
    ),
    Route(
        *("GET", pages.PATH, Kind.PAGE, Auth.SESSION),
        *(pages.READERS, Tenant.ORG, page(pages.audit)),
    ),
    Route(
        *("POST", "/unmask", Kind.FORM, Auth.SESSION_FORM),
        *(UNMASKERS, Tenant.OWN, masking.unmask),
    ),
    Route(
        *("POST", "/mask", Kind.FORM, Auth.SESSION_FORM),
        *(UNMASKERS, Tenant.OWN, masking.mask),
    ),
)

API: Final = (
    Route(
        *("GET", "/api/v1/audit", Kind.API, Auth.MANAGEMENT),
        *(pages.READERS, Tenant.ORG, api.list_entries),
    ),
)
