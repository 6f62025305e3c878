"""The lines of the table of routes that are about alerts."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.api import alerts as api
from tollkeeper.console.pages import alerts as pages
from tollkeeper.console.route import Tenant, api_get, api_post, form_at, page_at

PAGES: Final = (
    page_at("/alerts", pages.READERS, Tenant.ORG, pages.alerts),
    form_at(
        "/alerts/{alert_id}/acknowledge", pages.ACKNOWLEDGERS, Tenant.ORG, pages.acknowledge_alert
    ),
    form_at("/alerts/channels/{channel}/test", pages.TESTERS, Tenant.ORG, pages.test_channel),
)

API: Final = (
    api_get("/api/v1/alerts", pages.READERS, Tenant.ORG, api.list_alerts),
    api_post(
        "/api/v1/alerts/{alert_id}/acknowledge",
        pages.ACKNOWLEDGERS,
        Tenant.ORG,
        api.acknowledge_alert,
    ),
    api_get("/api/v1/alerts/channels", pages.READERS, Tenant.ORG, api.list_channels),
    api_post("/api/v1/alerts/channels/{channel}/test", pages.TESTERS, Tenant.ORG, api.test_channel),
    api_get("/api/v1/alerts/deliveries", pages.READERS, Tenant.ORG, api.list_deliveries),
    api_get("/api/v1/alerts/rules", pages.READERS, Tenant.ORG, api.list_rules),
)
