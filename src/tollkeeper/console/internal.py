"""What is no page: static files, and what other processes of this machine ask."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.counters import exposition
from tollkeeper.console.headers import IMMUTABLE
from tollkeeper.console.shared import Console
from tollkeeper.console.static_files import StaticFile
from tollkeeper.domain.errors import NotFound

_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_ICON_CACHE: Final = "public, max-age=86400"


async def static_file(console: Console, access: Access, request: Request) -> Response:
    """Give a file of ours; its name changes with its content, so it may be kept for ever."""
    return _file(request, console.static.file(request.path_params["name"]), IMMUTABLE)


async def icon(console: Console, access: Access, request: Request) -> Response:
    """Give the icon to browsers that ask for it unasked."""
    return _file(request, console.static.icon(), _ICON_CACHE)


def _file(request: Request, found: StaticFile | None, cache: str) -> Response:
    if found is None:
        raise NotFound("there is no such file", code="file_not_found")
    encoding, body = found.best(request.headers.get("accept-encoding", ""))
    response = Response(body, media_type=found.media_type, headers={"Cache-Control": cache})
    if len(found.bodies) > 1:
        response.headers["Vary"] = "Accept-Encoding"
    if encoding:
        response.headers["Content-Encoding"] = encoding
    return response


async def metrics(console: Console, access: Access, request: Request) -> Response:
    """Give the console's metrics to the gateway, which puts them behind its own."""
    gauges = {
        "tollkeeper_console_live_pages": (
            "Pages that are open and get live updates",
            float(console.hub.connections),
        ),
        "tollkeeper_console_busy": ("Questions being answered", float(console.work.busy)),
        "tollkeeper_ledger_up": (
            "1 while the ledger answers",
            float(not console.ledger_fault()),
        ),
    }
    gauges |= console.budget_gauges()
    gauges |= console.audit_watch.gauges()
    body = exposition(console.counters, console.loader_status(), gauges)
    return Response(body, media_type=_METRICS)


def health(console: Console, access: Access, question: Question) -> Answer:
    """Say how the console is: its store, its ledger, and what waits to be loaded."""
    loader = console.loader_status()
    try:
        console.store.probe()
        store = ""
    except OSError as error:
        store = str(error)
    faults = {"store": store, "ledger": console.ledger_fault(), "loader": loader.fault}
    return Document(
        {
            "status": "degraded" if any(faults.values()) else "ok",
            "faults": {name: fault for name, fault in faults.items() if fault},
            "loader": {
                "loaded": loader.loaded,
                "lag_entries": loader.lag_entries,
                "lag_s": loader.lag_s,
                "damaged": loader.damaged,
                "rejected": loader.rejected,
                "segments": loader.segments,
            },
        }
    )
