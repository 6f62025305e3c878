"""``GET /events``: the server-sent events of one open page.

``call``     {"calls": [as in /api/v1/calls], "omitted": how many more there were}
``figures``  {"as_of", "tz", "today": {…}, "month": {…}}: sums of all that the viewer may see
``alerts``   {"mark"}: what the page Alerts shows has changed; only where the page asked for it
             with ``alerts=``, the mark that it was made at
``gap``      calls were missed while the page was away: load it again
``end``      {"reason": "signed_out"} or {"reason": "stopping"}; then the stream ends
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tollkeeper import clock
from tollkeeper.console.access import Access, visitor
from tollkeeper.console.alert_marks import LOOK_S, MARK_CHARS, alerts_mark
from tollkeeper.console.dispatch import zone_of
from tollkeeper.console.live import Listener
from tollkeeper.console.masking import names_for
from tollkeeper.console.pages.alerts import READERS
from tollkeeper.console.requests import parameters
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Viewer
from tollkeeper.domain.errors import KeyRejected, LedgerUnavailable, NotAllowed, Overloaded
from tollkeeper.reports.answers import call_row_document, live_figures_document
from tollkeeper.reports.live import LiveFigures, live_figures
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.services.sign_in import open_visit
from tollkeeper.telemetry import logger, spawn

HEARTBEAT_S: Final = 15.0
"""How often a quiet stream says that it lives, and its session is looked at again."""

GATHER_S: Final = 0.2
RETRY_MS: Final = 3_000
_PARAMETERS: Final = ("tz", "alerts")
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"private, no-store"),
    (b"x-accel-buffering", b"no"),
)


async def events(console: Console, access: Access, request: Request) -> EventStream:
    """Open the stream. Raises Overloaded when too many are open, NotAllowed for alerts that the
    viewer may not see."""
    query = parameters(request.scope["query_string"])
    for name in query:
        if name not in _PARAMETERS:
            raise BadQuestion(quoted(name), f"no such parameter; {one_of(_PARAMETERS)}")
    if access.viewer is None:
        raise KeyRejected("sign in first", code="not_signed_in")
    zone = zone_of(console, request, query)
    mark = query.get("alerts")
    if mark is not None and access.viewer.role not in READERS:
        raise NotAllowed("your role may not do this", code="role_too_low")
    listener = console.hub.listen(access.viewer.scope, zone, access.session_hash)
    last_event_id = request.headers.get("last-event-id", "")
    return EventStream(console, access.viewer, listener, last_event_id, mark)


class EventStream:
    """One page's connection, as an ASGI response.

    ``mark`` says at which mark a page of alerts was made, None for other pages.
    """

    def __init__(
        self,
        console: Console,
        viewer: Viewer,
        listener: Listener,
        last_event_id: str,
        mark: str | None = None,
    ) -> None:
        self._console = console
        self._viewer = viewer
        self._listener = listener
        self._last_event_id = last_event_id
        self._mark = None if mark is None else mark[:MARK_CHARS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the page, the session or the console ends."""
        gone = spawn(self._watch(receive), name="event-stream")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            async for text in self._events(gone):
                body = text.encode("utf-8", "backslashreplace")
                if not body:
                    continue
                await send({"type": "http.response.body", "body": body, "more_body": True})
            with suppress(OSError):
                await send({"type": "http.response.body", "body": b""})
        except OSError:
            pass  # the page is gone
        finally:
            self._console.hub.leave(self._listener)
            gone.cancel()

    async def _watch(self, receive: Receive) -> None:
        """Wait for the page to leave."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._listener.end()

    async def _events(self, gone: asyncio.Task[None]) -> AsyncIterator[str]:
        hub, listener = self._console.hub, self._listener
        yield f"retry: {RETRY_MS}\n\n"
        if self._last_event_id and not hub.resume(listener, self._last_event_id):
            yield _event("gap", {})
        owes_figures = True
        checked_s = clock.monotonic_s()
        while not listener.has_ended():
            if owes_figures:
                figures = await self._figures()
                owes_figures = figures is None
                yield figures or ""
            with suppress(TimeoutError):
                rest_s = self._rest_s(checked_s, owes_figures=owes_figures)
                await asyncio.wait_for(listener.changed.wait(), rest_s)
            if listener.has_ended():
                break
            if listener.changed.is_set():
                await asyncio.sleep(GATHER_S)
                for text in self._calls():
                    yield text
                owes_figures = True
            yield await self._alerts()
            if clock.monotonic_s() - checked_s >= HEARTBEAT_S:
                checked_s = clock.monotonic_s()
                if not await self._is_signed_in():
                    yield _event("end", {"reason": "signed_out"})
                    return
                yield ": still here\n\n"
                owes_figures = True  # midnight changes them, too
        if not gone.done():
            yield _event("end", {"reason": "stopping" if hub.closed else "signed_out"})

    def _rest_s(self, checked_s: float, *, owes_figures: bool) -> float:
        """Say how long to wait for calls before something else is looked at."""
        rest_s = max(0.0, checked_s + HEARTBEAT_S - clock.monotonic_s())
        if owes_figures:
            rest_s = min(rest_s, self._console.hub.figures_due_s(self._listener))
        return rest_s if self._mark is None else min(LOOK_S, rest_s)

    def _calls(self) -> list[str]:
        fresh = self._listener.take()
        if not fresh.rows and not fresh.omitted:
            return []
        name = names_for(self._console, self._viewer, self._listener.session_hash)
        rows = [call_row_document(name(row)) for row in fresh.rows]
        data = {"calls": rows, "omitted": fresh.omitted}
        return [_event("call", data, self._console.hub.event_id(fresh.last))]

    async def _figures(self) -> str | None:
        """Give the event with today's and the month's sums; "" while they cannot be had, None
        while it is too early for them."""
        console, listener = self._console, self._listener

        async def ask() -> LiveFigures:
            return await console.work.run(
                live_figures, console.ledger, listener.scope, listener.zone, console.now_us()
            )

        try:
            figures = await console.hub.figures(listener, ask, console.now_us())
        except (LedgerUnavailable, Overloaded):
            return ""  # the page keeps what it shows; the next change tries again
        return None if figures is None else _event("figures", live_figures_document(figures))

    async def _alerts(self) -> str:
        """Give the event that says that alerts have changed, "" where they have not."""
        if self._mark is None:
            return ""
        console = self._console

        async def ask() -> str:
            return await console.work.run(alerts_mark, console.store, console.alerting)

        try:
            mark = await console.hub.alerts.get(ask)
        except (OSError, Overloaded) as error:
            logger.warning("alerts not looked at", extra={"reason": str(error)})
            return ""  # it is asked again soon
        if mark == self._mark:
            return ""
        self._mark = mark
        return _event("alerts", {"mark": mark})

    async def _is_signed_in(self) -> bool:
        """Tell whether the session goes on, and its person may still see the same."""
        console = self._console
        try:
            return await console.work.run(_may_go_on, console, self._viewer, self._listener)
        except (OSError, Overloaded) as error:
            logger.warning("session not checked", extra={"reason": str(error)})
            return True  # the store is busy; it is asked again at the next heartbeat


def _may_go_on(console: Console, viewer: Viewer, listener: Listener) -> bool:
    visit = open_visit(console.store, listener.session_hash, console.now_us())
    return visit is not None and visitor(console, visit.user) == viewer


def _event(name: str, data: Mapping[str, Any], event_id: str = "") -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{f'id: {event_id}' + chr(10) if event_id else ''}event: {name}\ndata: {text}\n\n"
