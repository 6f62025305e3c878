"""The lines of the table of routes that are about teams and people."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.api import people as api
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.pages import people as pages
from tollkeeper.console.pages import people_import
from tollkeeper.console.route import Route, Tenant, form, page
from tollkeeper.domain.access import Role

_EVERYBODY: Final = frozenset(Role)

PAGES: Final = (
    Route(
        *("GET", "/people", Kind.PAGE, Auth.SESSION),
        *(_EVERYBODY, Tenant.SCOPE, page(pages.people)),
    ),
    Route(
        *("POST", "/people/teams", Kind.FORM, Auth.SESSION_FORM),
        *(pages.KEEPERS, Tenant.ORG, form(pages.add_team)),
    ),
    Route(
        *("POST", "/people/teams/{team_id}", Kind.FORM, Auth.SESSION_FORM),
        *(pages.KEEPERS, Tenant.ORG, form(pages.change_team)),
    ),
    Route(
        *("POST", "/people/users", Kind.FORM, Auth.SESSION_FORM),
        *(pages.KEEPERS, Tenant.ORG, form(pages.add_user)),
    ),
    Route(
        *("POST", "/people/users/{user_id}", Kind.FORM, Auth.SESSION_FORM),
        *(pages.KEEPERS, Tenant.ORG, form(pages.change_user)),
    ),
    Route(
        *("POST", "/people/users/{user_id}/end-password", Kind.FORM, Auth.SESSION_FORM),
        *(pages.KEEPERS, Tenant.ORG, form(pages.end_password)),
    ),
    Route(
        *("GET", people_import.PATH, Kind.PAGE, Auth.SESSION),
        *(pages.KEEPERS, Tenant.ORG, page(people_import.show)),
    ),
    Route(
        *("POST", people_import.PATH, Kind.FORM, Auth.SESSION_FORM),
        *(pages.KEEPERS, Tenant.ORG, form(people_import.take)),
    ),
)

API: Final = (
    Route(
        *("GET", "/api/v1/teams", Kind.API, Auth.MANAGEMENT),
        *(_EVERYBODY, Tenant.SCOPE, api.teams),
    ),
    Route(
        *("POST", "/api/v1/teams", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.KEEPERS, Tenant.ORG, api.add_team),
    ),
    Route(
        *("POST", "/api/v1/teams/{team_id}", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.KEEPERS, Tenant.ORG, api.change_team),
    ),
    Route(
        *("GET", "/api/v1/users", Kind.API, Auth.MANAGEMENT),
        *(_EVERYBODY, Tenant.SCOPE, api.users),
    ),
    Route(
        *("POST", "/api/v1/users", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.KEEPERS, Tenant.ORG, api.add_user),
    ),
    Route(
        *("POST", "/api/v1/users/{user_id}", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.KEEPERS, Tenant.ORG, api.change_user),
    ),
    Route(
        *("DELETE", "/api/v1/users/{user_id}/password", Kind.API, Auth.MANAGEMENT_WRITE),
        *(pages.KEEPERS, Tenant.ORG, api.end_password),
    ),
)
