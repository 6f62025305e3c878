"""The lines of the table of routes that are about alerts."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import alerts as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import alerts as pages
from tollkeeper.console.route import Route, Tenant, form, page

PAGES: Final = (
    Route(
        *("GET", "/alerts", Kind.PAGE, Auth.SESSION),
        *(pages.READERS, Tenant.ORG, page(pages.alerts)),
    ),
    Route(
        *("POST", "/alerts/{alert_id}/acknowledge", Kind.FORM, Auth.SESSION_FORM),
        *(pages.ACKNOWLEDGERS, Tenant.ORG, form(pages.acknowledge_alert)),
    ),
    Route(
        *("POST", "/alerts/channels/{channel}/test", Kind.FORM, Auth.SESSION_FORM),
        *(pages.TESTERS, Tenant.ORG, form(pages.test_channel)),
    ),
)

API: Final = (
    Route(
        *("GET", "/api/v1/alerts", Kind.API, Auth.MANAGEMENT),
        *(pages.READERS, Tenant.ORG, api.list_alerts),
    ),
    Route(
        *("POST", "/api/v1/alerts/{alert_id}/acknowledge", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.ACKNOWLEDGERS, Tenant.ORG, api.acknowledge_alert),
    ),
    Route(
        *("GET", "/api/v1/alerts/channels", Kind.API, Auth.MANAGEMENT),
        *(pages.READERS, Tenant.ORG, api.list_channels),
    ),
    Route(
        *("POST", "/api/v1/alerts/channels/{channel}/test", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.TESTERS, Tenant.ORG, api.test_channel),
    ),
    Route(
        *("GET", "/api/v1/alerts/deliveries", Kind.API, Auth.MANAGEMENT),
        *(pages.READERS, Tenant.ORG, api.list_deliveries),
    ),
    Route(
        *("GET", "/api/v1/alerts/rules", Kind.API, Auth.MANAGEMENT),
        *(pages.READERS, Tenant.ORG, api.list_rules),
    ),
)
