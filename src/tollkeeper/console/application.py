"""The console as an ASGI application: the table's routes, and what every answer has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tollkeeper import clock
from tollkeeper.console.access import Auth
from tollkeeper.console.answers import Handler
from tollkeeper.console.dispatch import Async, Endpoint, Kind, Rule
from tollkeeper.console.early import ENDED_AS, ENDS_LATER
from tollkeeper.console.headers import guard
from tollkeeper.console.rendering import environment
from tollkeeper.console.route import Route
from tollkeeper.console.routes import NOBODY, ROUTES, is_on_loop, require_complete
from tollkeeper.console.shared import Console

_API: Final = "/api/"
_SCIM: Final = "/scim/"
_ELSEWHERE: Final = "none"
"""The label under which requests are counted that no route takes."""


class Found(NamedTuple):
    """The route that takes a path, and what stands in its parameters."""

    route: Route
    parameters: Mapping[str, str]


class Table:
    """Finds routes. A path is matched as it was decoded once, and never changed or completed."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._patterns = [(re.compile(_pattern(route.path)), route) for route in routes]

    def find(self, path: str) -> list[Found]:
        """Give the routes of a path, one for each method.

        A path that stands in the table as it is is never taken for a parameter of another.
        """
        matches = ((pattern.fullmatch(path), route) for pattern, route in self._patterns)
        found = [Found(route, match.groupdict()) for match, route in matches if match is not None]
        return [each for each in found if each.route.path == path] or found


def _pattern(path: str) -> str:
    parts = re.split(r"\{([a-z_]+)(:path)?\}", path)
    text = re.escape(parts[0])
    for name, rest, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{'.+' if rest else '[^/]+'})" + re.escape(after)
    return f"(?s:{text})"


class ConsoleApplication:
    """Answers every request: by the table, or with a problem that says what to do.

    Raises IncompleteRoute when the table is not fit for use.
    """

    def __init__(self, console: Console, routes: Sequence[Route] = ROUTES) -> None:
        require_complete(routes)
        self._console = console
        self._table = Table(routes)
        templates = environment(console.static.address)
        self._endpoints = {route.rule: Endpoint(console, templates, route.rule) for route in routes}
        for kind in (Kind.PAGE, Kind.API, Kind.SCIM):
            rule = _public(kind)
            self._endpoints.setdefault(rule, Endpoint(console, templates, rule))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # there are no sockets here, and nothing to do at the start or end
        outgoing = _Outgoing(self._console, send)
        response = await self._answer(Request(scope, receive), outgoing)
        await response(scope, receive, outgoing.send)

    async def _answer(self, request: Request, outgoing: _Outgoing) -> ASGIApp:
        scope = request.scope
        found = self._table.find(scope["path"])
        wanted = "GET" if scope["method"] == "HEAD" else scope["method"]
        taken = next((each for each in found if each.route.method == wanted), None)
        if taken is None:
            return await self._refuse(request, found)
        route = taken.route
        outgoing.label = route.path
        scope["path_params"] = dict(taken.parameters)
        endpoint = self._endpoints[route.rule]
        if is_on_loop(route):
            return await endpoint.answer_on_loop(request, cast(Async, route.handler))
        return await endpoint.answer(request, cast(Handler, route.handler))

    async def _refuse(self, request: Request, found: Sequence[Found]) -> ASGIApp:
        """Say that there is nothing at this path, or that it takes other methods."""
        path = request.scope["path"]
        kind = Kind.API if path.startswith(_API) else Kind.PAGE
        if path.startswith(_SCIM):
            kind = Kind.SCIM
        endpoint = self._endpoints[_public(kind)]
        if not found or any(each.route.auth is Auth.DIRECT for each in found):
            return await endpoint.refuse(request, 404, "not_found", "there is no such page")
        methods = {each.route.method for each in found}
        allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        response = await endpoint.refuse(
            request, 405, "method_not_allowed", f"this takes {allowed} only"
        )
        response.headers["Allow"] = allowed
        return response


def _public(kind: Kind) -> Rule:
    return Rule(kind, Auth.PUBLIC, NOBODY)


class _Outgoing:
    """An answer on its way out: it gets the headers that all have, and is counted."""

    def __init__(self, console: Console, send: Send) -> None:
        self.label = _ELSEWHERE
        self._console = console
        self._send = send
        self._began_s = clock.monotonic_s()

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            guard(MutableHeaders(scope=message), secure=self._console.secure)
        counts = message["type"] == "http.response.start" and not message.get(ENDS_LATER)
        status = message["status"] if counts else message.get(ENDED_AS)
        if status is not None:
            duration_ms = round((clock.monotonic_s() - self._began_s) * 1_000)
            self._console.counters.answered(self.label, status, duration_ms)
        await self._send(message)
