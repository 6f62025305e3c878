"""The line of the table of routes that is about weekly digests."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import digest as api
from tollkeeper.console.route import Tenant, api_get

API: Final = (api_get("/api/v1/digest", api.READERS, Tenant.SCOPE, api.digest),)
