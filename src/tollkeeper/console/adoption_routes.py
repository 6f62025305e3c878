"""The lines of the table of routes that are about adoption. A member's own use is on Me."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import adoption as api
from tollkeeper.console.pages import adoption as pages
from tollkeeper.console.route import Tenant, api_get, page_at

PAGES: Final = (page_at("/adoption", api.READERS, Tenant.SCOPE, pages.adoption),)

API: Final = (api_get("/api/v1/adoption", api.READERS, Tenant.SCOPE, api.adoption),)
