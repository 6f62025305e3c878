"""The lines of the table of routes that look ahead and back: the forecast, and what changed."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import changes as changes_api
from tollkeeper.console.api import forecast as forecast_api
from tollkeeper.console.pages import changes
from tollkeeper.console.route import Tenant, api_get, page_at
from tollkeeper.domain.access import Role

_EVERYBODY: Final = frozenset(Role)

PAGES: Final = (page_at("/why", _EVERYBODY, Tenant.SCOPE, changes.changes),)

API: Final = (
    api_get("/api/v1/forecast", _EVERYBODY, Tenant.SCOPE, forecast_api.forecast),
    api_get("/api/v1/changes", _EVERYBODY, Tenant.SCOPE, changes_api.changes),
)
