"""The lines of the table of routes that are about savings."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import savings as api
from tollkeeper.console.pages import savings as pages
from tollkeeper.console.route import Tenant, api_get, page_at
from tollkeeper.domain.access import Role

_EVERYBODY: Final = frozenset(Role)

PAGES: Final = (page_at("/savings", _EVERYBODY, Tenant.SCOPE, pages.savings_page),)

API: Final = (api_get("/api/v1/savings", _EVERYBODY, Tenant.SCOPE, api.savings),)
"""Everybody looks for savings among what they see; the own calls are a member's."""
