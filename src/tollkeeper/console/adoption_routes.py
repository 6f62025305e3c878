"""The lines of the table of routes that are about adoption. A member's own use is on Me."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import adoption as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import adoption as pages
from tollkeeper.console.route import Route, Tenant, page

PAGES: Final = (
    Route(
        *("GET", "/adoption", Kind.PAGE, Auth.SESSION),
        *(api.READERS, Tenant.SCOPE, page(pages.adoption)),
    ),
)

API: Final = (
    Route(
        *("GET", "/api/v1/adoption", Kind.API, Auth.MANAGEMENT),
        *(api.READERS, Tenant.SCOPE, api.adoption),
    ),
)
