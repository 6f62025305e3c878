"""The routes of SCIM, for whoever comes with a SCIM token."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.answers import Handler
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.route import Route, Tenant
from tollkeeper.console.scim import discovery, groups, users
from tollkeeper.console.scim_words import ROOT
from tollkeeper.domain.access import Role

_NO_ROLES: Final = frozenset[Role]()
"""A token has no role: it opens these routes and no others."""


def _route(method: str, path: str, handler: Handler) -> Route:
    return Route(method, ROOT + path, Kind.SCIM, Auth.SCIM, _NO_ROLES, Tenant.ORG, handler)


SCIM: Final = (
    _route("GET", "/ServiceProviderConfig", discovery.provider_config),
    _route("GET", "/ResourceTypes", discovery.resource_types),
    _route("GET", "/ResourceTypes/{name}", discovery.resource_type),
    _route("GET", "/Schemas", discovery.schemas),
    _route("GET", "/Schemas/{urn}", discovery.schema),
    _route("GET", "/Users", users.list_users),
    _route("POST", "/Users", users.make_user),
    _route("GET", "/Users/{user_id}", users.get_user),
    _route("PUT", "/Users/{user_id}", users.replace_user),
    _route("PATCH", "/Users/{user_id}", users.patch_user),
    _route("DELETE", "/Users/{user_id}", users.delete_user),
    _route("GET", "/Groups", groups.list_groups),
    _route("POST", "/Groups", groups.make_group),
    _route("GET", "/Groups/{team_id}", groups.get_group),
    _route("PUT", "/Groups/{team_id}", groups.replace_group),
    _route("PATCH", "/Groups/{team_id}", groups.patch_group),
    _route("DELETE", "/Groups/{team_id}", groups.delete_group),
)
