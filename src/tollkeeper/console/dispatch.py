"""One request on its way: who asks, may they, the handler, and its answer as bytes."""

from __future__ import annotations

import asyncio
import enum
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from jinja2 import Environment
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from tollkeeper.acting import acting
from tollkeeper.console.access import (
    ANYBODY,
    FORM_FIELD,
    Access,
    Asked,
    Auth,
    form_token,
    identify,
)
from tollkeeper.console.answers import (
    Answer,
    Document,
    File,
    Handler,
    Line,
    Question,
    csv_file,
    page_document,
)
from tollkeeper.console.audited import actor_of, is_failed_sign_in, note_export
from tollkeeper.console.bodies import (
    HTML,
    JSON,
    dumped,
    encoding_for,
    json_response,
    say_encoding,
    sized,
)
from tollkeeper.console.early import Beginning, EarlyPage
from tollkeeper.console.masking import seen_by, unmasking_notice
from tollkeeper.console.own_paths import own_path
from tollkeeper.console.problems import PROBLEM_TYPE, Problem, numbered, problem, problem_of
from tollkeeper.console.rendering import Piece, View, address, render
from tollkeeper.console.requests import (
    asked_of,
    parameters,
    read_form,
    read_json,
    without_token,
)
from tollkeeper.console.scim_words import (
    BODY_BYTES_MAX,
    MEDIA_TYPE,
    MEDIA_TYPES,
    error_document,
    scim_status,
)
from tollkeeper.console.shared import Console, HasTable, Page, Redirect, Table
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import KeyRejected, NotAllowed
from tollkeeper.domain.scim import ScimRefused
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.zones import zone_info
from tollkeeper.telemetry import logger

THEMES: Final = ("light", "dark", "auto")
SIGN_IN: Final = "/login"
_FILES: Final = frozenset({"csv", "parquet"})
_PARQUET: Final = "application/vnd.apache.parquet"
_FORMATS: Final = ("html", "json", *sorted(_FILES))
_ME_FORMATS: Final = ("html", "json", "line")


class Kind(enum.Enum):
    """What a route is for, which decides how its body is read and how its errors look."""

    PAGE = "page"
    FORM = "form"
    API = "api"
    LITELLM = "litellm"  # an API whose errors LiteLLM's clients read
    SCIM = "scim"  # bodies, answers and errors as RFC 7644 has them


_FOR_PROGRAMS: Final = frozenset({Kind.API, Kind.LITELLM, Kind.SCIM})
_ROLELESS: Final = frozenset({Auth.PUBLIC, Auth.PUBLIC_FORM, Auth.DIRECT, Auth.SCIM})

Async = Callable[[Console, Access, Request], Awaitable[ASGIApp | Page]]
"""A handler that runs on the loop and makes its own response, or gives a page."""


class Rule(NamedTuple):
    """What must hold before a handler is asked."""

    kind: Kind
    auth: Auth
    roles: frozenset[Role]


def allow(rule: Rule, access: Access) -> None:
    """Raise NotAllowed unless the route is open to this role."""
    if rule.auth in _ROLELESS:
        return
    viewer = access.viewer
    if viewer is None or viewer.role not in rule.roles:
        raise NotAllowed("your role may not do this", code="role_too_low")


class Endpoint:
    """Answers one route of the table."""

    def __init__(self, console: Console, templates: Environment, rule: Rule) -> None:
        self._console = console
        self._templates = templates
        self._rule = rule

    async def answer(self, request: Request, handler: Handler) -> ASGIApp:
        """Run the handler on a thread and write what it gives."""
        found = _Found(ANYBODY)
        try:
            query = parameters(request.scope["query_string"])
            wanted = _format(self._rule, query)
            body, token = await self._body(request)
            asked = asked_of(request, token)
            zone = zone_of(self._console, request, query)
            question = Question(request.path_params, query, body, asked.headers, zone)
            beginning = Beginning()
            path = request.scope["path"]
            asking = asyncio.ensure_future(
                self._console.work.run(
                    self._ask, handler, beginning, found, asked, question, path, wanted
                )
            )
            if self._may_begin(request, wanted) and await beginning.comes_first(asking):
                return self._early(request, found, beginning, asking)
            answer = await asking  # which finds out who asks
            return self._written(request, found.access, answer, wanted)
        except Exception as error:  # noqa: BLE001 - the edge: every fault becomes an answer
            return self._failed(request, found.access, error)

    async def answer_on_loop(self, request: Request, handler: Async) -> ASGIApp:
        """Check who asks on a thread, then run a handler that makes its own response."""
        found = _Found(ANYBODY)
        try:
            body, token = await self._body(request)
            request.state.form = body
            asked = asked_of(request, token)
            await self._console.work.run(self._admit, found, asked)
            with acting(actor_of(found.access, asked)):
                made = await handler(self._console, found.access, request)
            return made if callable(made) else self._written(request, found.access, made, "html")
        except Exception as error:  # noqa: BLE001 - the edge: every fault becomes an answer
            return self._failed(request, found.access, error)

    async def refuse(self, request: Request, status: int, code: str, detail: str) -> Response:
        """Answer a request that no route takes."""
        found = _Found(ANYBODY)
        try:
            await self._console.work.run(self._admit, found, asked_of(request))
        except Exception as error:  # noqa: BLE001 - who asks matters little here
            logger.debug("caller not known", extra={"error": type(error).__name__})
        return self._told(request, found.access, problem(status, code, detail))

    # ------------------------------------------------------------------ asking

    def _admit(self, found: _Found, asked: Asked) -> None:
        found.access = identify(self._console, self._rule.auth, asked)
        allow(self._rule, found.access)

    def _ask(
        self,
        handler: Handler,
        beginning: Beginning,
        found: _Found,
        asked: Asked,
        question: Question,
        path: str,
        wanted: str,
    ) -> Answer:
        self._admit(found, asked)
        with acting(actor_of(found.access, asked)), beginning.heard():
            self._mask(found, asked, path)
            answer = handler(self._console, found.access, question)
            note_export(self._console.store, answer, path, question.query, wanted)
            return answer

    def _mask(self, found: _Found, asked: Asked, path: str) -> None:
        """Let other people stand under pseudonyms; LiteLLM's clients know their users by id, and
        whoever comes by SCIM is nobody who looks at reports."""
        if self._rule.kind not in {Kind.LITELLM, Kind.SCIM}:
            api = self._rule.kind is Kind.API
            found.access = seen_by(self._console, found.access, asked, path, api=api)

    async def _body(self, request: Request) -> tuple[Mapping[str, Any], str]:
        """Read the body as this kind of route takes it, and the form's token."""
        if request.method in {"GET", "HEAD"}:
            return {}, ""
        if self._rule.kind is Kind.FORM:
            fields = await read_form(request)
            return without_token(fields), fields.get(FORM_FIELD, "")
        if self._rule.kind is Kind.SCIM:
            return await read_json(request, MEDIA_TYPES, BODY_BYTES_MAX), ""
        return await read_json(request), ""

    # ------------------------------------------------------------------ answering

    def _may_begin(self, request: Request, wanted: str) -> bool:
        """Tell whether a browser asks for a whole page: it shows what befalls us later."""
        return (
            (request.method, wanted) == ("GET", "html")
            and self._rule.kind is Kind.PAGE
            and "text/html" in request.headers.get("accept", "")
            and request.headers.get("x-swap") is None
        )

    def _early(
        self, request: Request, found: _Found, begun: Beginning, asking: asyncio.Future[Answer]
    ) -> EarlyPage:
        """Begin a page; what befalls it afterwards stands where its content would."""
        view = self._view(request, found.access)

        async def rest() -> tuple[int, bytes]:
            try:
                page: Page = cast(Page, await asking)
                html = render(self._templates, page.template, page, view, Piece.REST)
                return getattr(page, "status", 200), html.encode()
            except Exception as error:  # noqa: BLE001 - the edge: every fault becomes an answer
                told = _problem(error)
                html = render(self._templates, told.template, told, view, Piece.REST)
                return told.status, html.encode()

        top = render(self._templates, begun.template, None, view, Piece.TOP, begun.title)
        response = Response(media_type=HTML)
        del response.headers["content-length"]
        response.headers["X-Accel-Buffering"] = "no"
        encoding = encoding_for(request)
        say_encoding(response, encoding)
        return EarlyPage(response.headers, encoding, top.encode(), rest)

    def _written(self, request: Request, access: Access, answer: Answer, wanted: str) -> Response:
        match answer:
            case Redirect():
                return RedirectResponse(own_path(answer.path), 303)
            case Document():
                if answer.status == 204:
                    return Response(status_code=204)
                media_type = MEDIA_TYPE if self._rule.kind is Kind.SCIM else JSON
                response = json_response(request, answer.data, answer.status, media_type)
                response.headers.update(answer.headers)
                return response
            case File():
                response = sized(request, answer.body, answer.media_type)
                response.headers.update(answer.headers)
                response.headers["Content-Disposition"] = f'attachment; filename="{answer.name}"'
                return response
            case Line():
                return Response(answer.text + "\n", media_type="text/plain; charset=utf-8")
        status = getattr(answer, "status", 200)
        if wanted == "json":
            return json_response(request, page_document(answer), status)
        if wanted in _FILES:
            if not isinstance(answer, HasTable):
                raise BadQuestion("format", "this page is no table; html or json")
            return self._written(request, access, self._file(answer.table(), wanted), "")
        html = render(self._templates, answer.template, answer, self._view(request, access))
        return sized(request, html.encode(), HTML, status)

    def _file(self, table: Table, wanted: str) -> File:
        if wanted == "csv":
            return csv_file(table.name, csv_lines(table.columns, table.rows))
        body = self._console.parquet(table.columns, table.rows)
        return File(f"{table.name}.parquet", _PARQUET, body)

    def _view(self, request: Request, access: Access) -> View:
        console = self._console
        try:
            query = parameters(request.scope["query_string"])
            zone = zone_of(console, request, query)
        except BadQuestion:  # this page says so
            query, zone = {}, console.zone
        theme = request.cookies.get("theme", "auto")
        return View(
            viewer=access.viewer,
            path=request.scope["path"],
            query=query,
            zone=zone,
            theme=theme if theme in THEMES else "auto",
            form_token=form_token(console.vault, access.cookie) if access.cookie else "",
            notice=console.ledger_fault(),
            org=console.org,
            unmasking=unmasking_notice(console, access, zone),
            swap=request.headers.get("x-swap") == "main",
            has_style=console.static.style_is_held(request.cookies),
        )

    # ------------------------------------------------------------------ errors

    def _failed(self, request: Request, access: Access, error: Exception) -> Response:
        if is_failed_sign_in(error):
            address = request.headers.get("x-forwarded-for", "")
            self._console.failed_sign_ins.count(error.code, address)
        told = _problem(error)
        if isinstance(error, KeyRejected) and self._leads_to_sign_in(request):
            return self._to_sign_in(request)
        fault = error.fault if isinstance(error, ScimRefused) else ""
        return self._told(request, access, told, fault)

    def _leads_to_sign_in(self, request: Request) -> bool:
        """Tell whether somebody who is signed out wants a page that they can have afterwards."""
        return (
            self._rule.auth in {Auth.SESSION, Auth.SESSION_FORM, Auth.KEY_OR_SESSION}
            and self._is_for_people(request)
            and "x-swap" not in request.headers
        )

    def _is_for_people(self, request: Request) -> bool:
        """Tell whether an error is to be a page. Scripts that ask ``/me`` say so by what they
        accept."""
        if self._rule.kind in _FOR_PROGRAMS:
            return False
        if self._rule.auth is Auth.KEY_OR_SESSION:
            return "text/html" in request.headers.get("accept", "")
        return request.query_params.get("format", "html") == "html"

    def _to_sign_in(self, request: Request) -> Response:
        here = address(request.scope["path"], dict(request.query_params))
        after = own_path(here) if request.method in {"GET", "HEAD"} else ""
        return RedirectResponse(address(SIGN_IN, {"next": "" if after == "/" else after}), 303)

    def _told(self, request: Request, access: Access, told: Problem, fault: str = "") -> Response:
        if self._is_for_people(request):
            html = render(self._templates, told.template, told, self._view(request, access))
            response = Response(html, told.status, media_type=HTML)
        elif self._rule.kind is Kind.SCIM:
            status = scim_status(told.status)
            words = error_document(status, told.code, told.detail, fault)
            response = Response(dumped(words), status, media_type=MEDIA_TYPE)
        elif request.query_params.get("format") == "line":
            response = PlainTextResponse(f"tollkeeper: {told.detail}\n", told.status)
        else:
            document = told.document()
            if self._rule.kind is Kind.LITELLM:
                document = {**document, "error": told.litellm_error()}
            response = Response(dumped(document), told.status, media_type=PROBLEM_TYPE)
        if told.retry_after_s is not None:
            response.headers["Retry-After"] = str(told.retry_after_s)
        if told.status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="tollkeeper"'
        return response


class _Found:
    """What a thread found out, as far as it came."""

    def __init__(self, access: Access) -> None:
        self.access = access


def zone_of(console: Console, request: Request, query: Mapping[str, str]) -> str:
    """Give the zone to show times in: asked for, else remembered, else configured."""
    asked = query.get("tz")
    if asked:
        zone_info(asked)
        return asked
    remembered = request.cookies.get("tz", "")
    try:
        zone_info(remembered)
    except BadQuestion:
        return console.zone
    return remembered


def _problem(error: Exception) -> Problem:
    """Say what is wrong; what nobody foresaw is logged under a number."""
    told = problem_of(error)
    if told is not None:
        return told
    if isinstance(error, ClientDisconnect):
        return problem(400, "body_incomplete", "the body broke off")  # nobody reads this
    request_id = secrets.token_hex(8)
    logger.error("request failed", extra={"request_id": request_id}, exc_info=error)
    return numbered(problem(500, "internal", "a fault of ours; it has been logged"), request_id)


def _format(rule: Rule, query: Mapping[str, str]) -> str:
    wanted = query.get("format", "html")
    allowed = _ME_FORMATS if rule.auth is Auth.KEY_OR_SESSION else _FORMATS
    if rule.kind not in _FOR_PROGRAMS and wanted not in allowed:
        raise BadQuestion("format", f"one of {', '.join(allowed)}")
    return wanted
