"""The demo as people start it, all its pages, and a page with next to nothing on it."""

from __future__ import annotations

import http.client
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders

from benchmarks.open_pages import sign_in
from benchmarks.processes import Child, CouldNotRun
from benchmarks.targets import HOST, free_port
from tollkeeper.console.dispatch import Kind
from tollkeeper.console.headers import guard
from tollkeeper.console.routes import PAGES

_START_S: Final = 600.0
_ANSWER_S: Final = 60.0
_LINK: Final = re.compile(r"https?://\S+(/login\?token=\S+)")
_ELSEWHERE: Final = ("/join", "/budgets/ask")
"""Pages that show nothing without a parameter."""

_MORE: Final = (
    "/explore?group_by=team,tool,model&view=sankey",
    "/explore?metric=duration_p95_ms&group_by=tool",
    "/explore?group_by=customer&limit=10",
    "/keys?show=all",
    "/savings?from_model=openai/gpt-5.4-mini&to_model=openai/gpt-5.4-nano",
)
_LINKED: Final = (
    ("/calls", r"/calls/[0-9A-Za-z-]{8,}"),
    ("/budgets", r"/budget/[0-9A-Za-z_-]+"),
    ("/statements", r"/statements/\d{4}-\d\d"),
)
_WORD: Final = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><title>Empty</title><p>Empty</p></html>'
)


class Demo:
    """``tollkeeper demo``, without calls; somebody is signed in. Leaving the context ends it."""

    def __init__(self, folder: Path, entries: int) -> None:
        self._folder, self._entries = folder, entries

    def __enter__(self) -> Demo:
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        given = ("--port", str(port), "--entries", str(self._entries), "--rate", "0")
        command = [sys.executable, "-u", "-m", "tollkeeper", "demo", "--data", str(self._folder)]
        self._child = Child([*command, *given], self._folder.with_suffix(".log"))
        try:
            self._child.wait_until(lambda: _LINK.search(self._child.said()) is not None, _START_S)
            found = _LINK.search(self._child.said())
            assert found is not None
            self.cookie = sign_in(port, found[1])
        except BaseException:
            self._child.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.end()

    def ask(self, path: str) -> str:
        """Ask for a page as a program does. Raises CouldNotRun unless it is there."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_ANSWER_S)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie, "Accept": "text/html"})
            reply = connection.getresponse()
            body = reply.read().decode()
        finally:
            connection.close()
        if reply.status != 200:
            raise CouldNotRun(f"{path} answered {reply.status}")
        return body


def pages_of(demo: Demo) -> list[str]:
    """List an address of every page, and ask for each of them once."""
    plain = [
        route.path
        for route in PAGES
        if (route.method, route.kind) == ("GET", Kind.PAGE)
        and "{" not in route.path
        and route.path not in _ELSEWHERE
    ]
    found = [*plain, *_MORE, *_linked(demo)]
    for path in found:
        demo.ask(path)
    return found


def _linked(demo: Demo) -> Iterator[str]:
    """Find a page that another one links to."""
    for path, pattern in _LINKED:
        link = re.search(f'href="({pattern})', demo.ask(path))
        if link is not None:
            yield link[1]


class EmptyPage:
    """Serves one word with the headers of our pages. Leaving the context ends it."""

    def __enter__(self) -> EmptyPage:
        self._server = ThreadingHTTPServer((HOST, 0), _Word)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://{HOST}:{self._server.server_port}/"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_ANSWER_S)


class _Word(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = MutableHeaders({"Content-Type": "text/html; charset=utf-8"})
        guard(headers, secure=False)
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(_WORD)))
        self.end_headers()
        self.wfile.write(_WORD)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
