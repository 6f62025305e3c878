"""One line of the table of routes, how pages and forms become its handlers, and the usual lines."""

from __future__ import annotations

import enum
from typing import NamedTuple

from tollkeeper.console.access import Access, Auth
from tollkeeper.console.answers import Answer, Handler, Question
from tollkeeper.console.api.reading import viewer_of
from tollkeeper.console.dispatch import Async, Kind, Rule
from tollkeeper.console.shared import Console, FormHandler, PageHandler
from tollkeeper.domain.access import Role


class Tenant(enum.Enum):
    """What bounds that which a route shows and changes."""

    NOTHING = "holds nothing of anybody"
    ORG = "the whole organisation"
    SCOPE = "the viewer's scope"
    REACH = "how far the viewer's keys may reach"
    OWN = "the viewer's own session or key"
    MACHINE = "whoever may open the socket"


class Route(NamedTuple):
    """One line of the table. ``{name}`` in a path stands for one segment, ``{name:path}`` for
    the rest.

    ``handler`` runs on a thread, or, being a coroutine function, on the loop.
    """

    method: str
    path: str
    kind: Kind
    auth: Auth
    roles: frozenset[Role]
    tenant: Tenant
    handler: Handler | Async

    @property
    def rule(self) -> Rule:
        """Give what must hold before the handler is asked."""
        return Rule(self.kind, self.auth, self.roles)


def page(handler: PageHandler) -> Handler:
    """Let a page's handler answer: it gets the parameters of query and path as one."""

    def answer(console: Console, access: Access, question: Question) -> Answer:
        query = {**question.query, **question.path, "tz": question.zone}
        return handler(console, viewer_of(access), query)

    answer.__doc__ = handler.__doc__
    return answer


def form(handler: FormHandler) -> Handler:
    """Let a form's handler answer: it gets the fields and the parameters of the path as one."""

    def answer(console: Console, access: Access, question: Question) -> Answer:
        fields = {**question.body, **question.path, "tz": question.zone}
        return handler(console, viewer_of(access), fields)

    answer.__doc__ = handler.__doc__
    return answer


# ------------------------------------------------------------------ the usual lines


def page_at(path: str, roles: frozenset[Role], tenant: Tenant, handler: PageHandler) -> Route:
    """Make the line of a page for whoever is signed in with one of these roles."""
    return Route("GET", path, Kind.PAGE, Auth.SESSION, roles, tenant, page(handler))


def form_at(path: str, roles: frozenset[Role], tenant: Tenant, handler: FormHandler) -> Route:
    """Make the line of a page's form."""
    return Route("POST", path, Kind.FORM, Auth.SESSION_FORM, roles, tenant, form(handler))


def api_get(path: str, roles: frozenset[Role], tenant: Tenant, handler: Handler) -> Route:
    """Make the line of what the API tells, for sessions and admin keys."""
    return Route("GET", path, Kind.API, Auth.MANAGEMENT, roles, tenant, handler)


def api_post(path: str, roles: frozenset[Role], tenant: Tenant, handler: Handler) -> Route:
    """Make the line of what is made or changed over the API."""
    return Route("POST", path, Kind.API, Auth.MANAGEMENT_WRITE, roles, tenant, handler)


def api_delete(path: str, roles: frozenset[Role], tenant: Tenant, handler: Handler) -> Route:
    """Make the line of what is ended or removed over the API."""
    return Route("DELETE", path, Kind.API, Auth.MANAGEMENT_WRITE, roles, tenant, handler)
