"""The routes of LiteLLM's management calls: its paths, for whoever has an admin's rights."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Auth
from tollkeeper.console.answers import Handler
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.litellm import budgets, keys, spending, teams, users
from tollkeeper.console.route import Route, Tenant
from tollkeeper.domain.access import Role

_ADMINS: Final = frozenset({Role.ADMIN})


def _read(path: str, handler: Handler) -> Route:
    return Route("GET", path, Kind.LITELLM, Auth.MANAGEMENT, _ADMINS, Tenant.ORG, handler)


def _write(path: str, handler: Handler) -> Route:
    return Route("POST", path, Kind.LITELLM, Auth.MANAGEMENT_WRITE, _ADMINS, Tenant.ORG, handler)


LITELLM: Final = (
    _write("/team/new", teams.new),
    _read("/team/info", teams.info),
    _write("/user/new", users.new),
    _read("/user/info", users.info),
    _write("/key/generate", keys.generate),
    _read("/key/info", keys.info),
    _write("/key/delete", keys.delete),
    _write("/budget/new", budgets.new),
    _read("/spend/logs", spending.logs),
    _read("/global/spend/report", spending.report),
)
