"""A page that arrives in pieces: each piece is seen once all of it is there, and then stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from playwright.sync_api import Browser, Page

from loopback import HOST
from tollkeeper.console.static_files import style_sheet

pytestmark = pytest.mark.browser

_PIECES = (
    f"<!doctype html><title>Arriving</title><style>{style_sheet()}</style>"
    '<div class="shell"><header class="side"><b>Brand</b>',
    '<b>Foot</b></header><div class="body"><main><div class="head"><h1>Title</h1>',
    '<b>Controls</b></div><div class="stack"><section class="card"><h2>First</h2>',
    '<form class="form row"><b>Field</b></form></section><section class="card"><h2>Second</h2>',
    "<p>Last</p></section></div></main></div></div>",
)
_SEEN = (
    "",
    "Brand Foot",
    "Brand Foot Title Controls",
    "Brand Foot Title Controls First Field",
    "Brand Foot Title Controls First Field Second Last",
)
_WATCH = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) shifted += each.value;
}).observe({type: 'layout-shift', buffered: true});
"""


class _InPieces(BaseHTTPRequestHandler):
    goes_on: ClassVar[threading.Semaphore]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        for piece in _PIECES:
            assert self.goes_on.acquire(timeout=20)
            self.wfile.write(piece.encode())
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    _InPieces.goes_on = threading.Semaphore(0)
    server = ThreadingHTTPServer((HOST, 0), _InPieces)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{HOST}:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join(20)


@pytest.mark.parametrize("width", [360, 1_280])
def test_what_is_half_there_is_not_seen_and_nothing_moves(
    browser: Browser, address: str, width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        context.add_init_script(_WATCH)
        page = context.new_page()
        _InPieces.goes_on.release()
        page.goto(address, wait_until="commit")
        for number, text in enumerate(_SEEN):
            _wait_for_piece(page, number)
            assert " ".join(page.inner_text("body").split()) == text
            _InPieces.goes_on.release()
        page.wait_for_load_state("load")
        assert page.evaluate("() => shifted") == 0


def _wait_for_piece(page: Page, number: int) -> None:
    """Wait until the browser has read to the end of a piece."""
    last = ("Brand", "Title", "First", "Second", "Last")[number]
    page.wait_for_function("(text) => document.body.textContent.includes(text)", arg=last)
    page.wait_for_timeout(60)
