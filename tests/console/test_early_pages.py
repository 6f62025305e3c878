"""Pages begin while the ledger is asked: the same page as in one piece, and errors keep their
status for whoever can tell one from another."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from time import sleep
from typing import Any, cast

import pytest
import zstandard

from consoles import Reply, RunningConsole, SocketConnection, running_console, until
from ledgers import open_duckdb
from tollkeeper.console.early import Beginning
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.ports import Ledger
from tollkeeper.reports import bridge

BROWSER = {"accept": "text/html,*/*;q=0.8"}
OF_THE_LEDGER = (
    *("/", "/explore", "/calls", "/models", "/savings", "/keys", "/me", "/statements", "/why"),
)
ASKED_BEFORE = ("/calls/call-1", "/adoption")
"""Pages of what there may not be, or that may not need it: they begin once that is known."""

OF_THE_STORE = ("/people", "/budgets", "/alerts", "/settings", "/settings/audit", "/account")
REFUSED = (
    *("/?by=nothing", "/?period=ever", "/explore?group_by=team,model,tool,key"),
    *("/explore?metric=luck", "/explore?sort=x", "/calls?cursor=x", "/calls?filter=team"),
    *("/models?period=ever", "/savings?from_model=openai/gpt-5.4-mini", "/savings?to_model=none"),
    *("/savings?from_model=none&to_model=openai/gpt-5.4-mini", "/why?by=nothing", "/keys?format=x"),
    *("/budget/none", "/calls/none", "/statements/1999-13", "/me?tz=Nowhere"),
    *("/statements/2999-01", "/settings/audit?before=x", "/settings/audit?from=x"),
    "/adoption?team=none",
)


class HeldLedger:
    """A ledger whose answers wait until they may go, or that fails instead."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.may_go = threading.Event()
        self.may_go.set()
        self.fault: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def run(self, *asked: Any) -> Any:
        assert self.may_go.wait(20)
        if self.fault is not None:
            raise self.fault
        return self._ledger.run(*asked)


class Slow:
    """A console whose ledger can be held."""

    def __init__(self, console: RunningConsole, ledger: HeldLedger) -> None:
        self.console, self.ledger = console, ledger
        self.session = console.session("admin")

    def pieces(
        self, target: str, fault: Exception | None = None, encoding: str = ""
    ) -> tuple[Reply, bytes]:
        """Ask as a browser; give the answer and what of it came before the ledger answered."""
        self.ledger.may_go.clear()
        self.ledger.fault = fault
        try:
            with closing(SocketConnection(self.console.socket)) as connection:
                sent = {**self.session.headers, **BROWSER, "accept-encoding": encoding}
                connection.request("GET", target, headers=sent)
                response = connection.getresponse()
                first = response.read1()
                while response.chunked and response.chunk_left:
                    first += response.read1()
                self.ledger.may_go.set()
                body = first + response.read()
                headers = {name.lower(): value for name, value in response.getheaders()}
        finally:
            self.ledger.may_go.set()
            self.ledger.fault = None
        return Reply(response.status, headers, [], body), first

    def get(self, target: str, headers: Mapping[str, str]) -> Reply:
        return self.console.ask("GET", target, headers={**self.session.headers, **headers})

    def counted(self, route: str, status: int) -> int:
        return self.console.console.counters.requests[route, status]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    held: list[HeldLedger] = []

    def opened(folder: Path) -> Ledger:
        held.append(HeldLedger(open_duckdb(folder)))
        return cast(Ledger, held[-1])

    with running_console(tmp_path_factory.mktemp("slow"), opened=opened) as console:
        console.load(console.entry_of("member", entry_id="call-1", call_id="call-1"))
        console.load(console.entry_of("member", entry_id="call-2", session_id="another"))
        for path in OF_THE_LEDGER:  # builds its queries
            assert console.get(path, console.session("admin")).status == 200
        yield Slow(console, held[0])


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page has a head start, and none is there before it is heard that it stands."""
    monkeypatch.setattr(Beginning, "head_start_s", 0.0)
    said = Beginning._said

    def said_in_peace(beginning: Beginning, template: str, title: str) -> None:
        said(beginning, template, title)
        sleep(0.05)  # a swift page else ends before the loop's thread has had its turn

    monkeypatch.setattr(Beginning, "_said", said_in_peace)


def steady(html: bytes) -> str:
    """Leave out what is drawn anew for each page."""
    return re.sub(r'(name="(?:once|form_token)" value=")[^"]*', r"\1", html.decode())


def is_early(reply: Reply) -> bool:
    return reply.header("x-accel-buffering") == "no"


@pytest.mark.parametrize("path", OF_THE_LEDGER)
def test_a_page_begins_while_the_ledger_is_asked(slow: Slow, path: str) -> None:
    reply, first = slow.pieces(path)
    whole = slow.get(path, {})
    assert is_early(reply)
    assert not is_early(whole)
    assert b"<main" not in first
    top = steady(first)
    assert "<nav" in top
    assert f'<style id="style" data-file="{sheet_of(slow)}">' in top
    assert (f'href="{path}" aria-current="page"' in top) == (path != "/why")  # no link of the menu
    assert steady(reply.body) == steady(whole.body)
    guarded = set(reply.headers) - {"transfer-encoding", "x-accel-buffering", "date"}
    assert guarded == set(whole.headers) - {"content-length", "date"}


def test_a_month_begins_as_well(slow: Slow) -> None:
    newest = re.search(r'"(/statements/\d{4}-\d\d)"', slow.get("/statements", {}).text)
    assert newest is not None
    whole = slow.get(newest[1], {})
    reply, first = slow.pieces(newest[1])
    assert (is_early(reply), b"<main" in first) == (True, False)
    assert steady(reply.body) == steady(whole.body)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("path", (*OF_THE_STORE, *ASKED_BEFORE))
def test_other_pages_are_the_same_in_two_pieces(slow: Slow, path: str) -> None:
    whole = slow.get(path, {})
    found = slow.get(path, BROWSER)
    assert is_early(found)
    assert steady(found.body) == steady(whole.body)


def test_a_browser_that_has_the_style_sheet_is_not_sent_it_again(slow: Slow) -> None:
    cookie = slow.session.headers["cookie"]
    for held, is_within in ((sheet_of(slow), False), ("/static/app.0123456789ab.css", True)):
        text = slow.get("/settings", {"cookie": f"{cookie}; style={held}"}).text
        assert ("<style" in text) == is_within
        assert (f'<link rel="stylesheet" href="{sheet_of(slow)}">' in text) != is_within


def sheet_of(slow: Slow) -> str:
    return slow.console.console.static.address("app.css")


def test_a_swift_page_comes_as_one(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Beginning, "head_start_s", 20.0)
    assert not is_early(slow.get("/explore", BROWSER))


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("target", REFUSED)
def test_what_is_refused_has_its_status(slow: Slow, target: str) -> None:
    shown, told = slow.get(target, BROWSER), slow.get(target, {})
    assert not is_early(shown)
    assert 400 <= shown.status < 500
    assert told.status == shown.status


@pytest.mark.usefixtures("hasty")
def test_who_may_not_gets_nothing_of_a_page(slow: Slow) -> None:
    signed_out = slow.console.ask("GET", "/explore", headers=BROWSER)
    assert (signed_out.status, is_early(signed_out)) == (303, False)
    member = slow.console.session("member").headers
    refused = slow.console.ask("GET", "/statements", headers={**member, **BROWSER})
    assert (refused.status, is_early(refused)) == (403, False)


@pytest.mark.usefixtures("hasty")
def test_what_is_no_whole_page_of_a_browser_comes_as_one(slow: Slow) -> None:
    for target, more in (
        ("/explore", {"x-swap": "main"}),
        ("/explore?format=json", {}),
        ("/explore?format=csv", {}),
    ):
        assert not is_early(slow.get(target, {**BROWSER, **more})), target
    headers = {**slow.session.headers, **BROWSER}
    head = slow.console.ask("HEAD", "/explore", headers=headers)
    assert (head.status, is_early(head)) == (200, False)


def test_pieces_are_compressed_as_the_browser_takes_them(slow: Slow) -> None:
    plain = slow.get("/explore", {}).body
    for encoding, read in (("gzip", gzip.decompress), ("zstd", unpacked), ("br", bytes)):
        found = slow.pieces("/explore", encoding=encoding)[0]
        assert is_early(found)
        assert found.header("content-encoding") == (encoding if encoding != "br" else "")
        assert "Accept-Encoding" in found.header("vary")
        assert steady(read(found.body)) == steady(plain)


def unpacked(data: bytes) -> bytes:
    found: bytes = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return found


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (LedgerUnavailable("the disk is gone"), 503, "The disk is gone"),
        (RuntimeError("unforeseen"), 500, "A fault of ours"),
    ],
)
def test_what_befalls_a_page_later_stands_in_it(
    slow: Slow, fault: Exception, status: int, said: str
) -> None:
    before = slow.counted("/explore", status), slow.counted("/explore", 200)
    reply, first = slow.pieces("/explore", fault)
    text = reply.text
    assert (reply.status, said in text) == (200, True)
    assert said not in first.decode()
    assert text.count("<main") == text.count("</html>") == 1
    assert "unforeseen" not in text
    assert (slow.counted("/explore", status), slow.counted("/explore", 200)) == (
        before[0] + 1,
        before[1],
    )


def test_what_the_ledger_refuses_late_stands_in_the_page(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not ask for a whole page as a browser does is told by the status, as ever."""
    monkeypatch.setattr(bridge, "CELLS_MAX", 1)
    target, refusal = "/why?by=session", "more than 1 values with their models: add a filter"
    before = slow.counted("/why", 422)
    reply, first = slow.pieces(target)
    assert (reply.status, refusal in reply.text, is_early(reply)) == (200, True, True)
    assert (b"<nav" in first, b"<main" in first) == (True, False)
    assert reply.text.count("<main") == reply.text.count("<h1") == reply.text.count("</html>") == 1
    assert slow.counted("/why", 422) == before + 1
    for asked, headers in (("", {}), ("&format=json", BROWSER), ("", BROWSER | {"x-swap": "main"})):
        assert slow.get(target + asked, headers).status == 422, (asked, headers)


@pytest.mark.usefixtures("hasty")
def test_a_program_is_told_the_status_of_what_befell(slow: Slow) -> None:
    slow.ledger.fault = LedgerUnavailable("the disk is gone")
    try:
        assert slow.get("/explore", {}).status == 503
        assert slow.get("/explore?format=json", BROWSER).status == 503
    finally:
        slow.ledger.fault = None


def test_who_leaves_meanwhile_takes_no_place(slow: Slow) -> None:
    slow.ledger.may_go.clear()
    try:
        with closing(SocketConnection(slow.console.socket)) as connection:
            connection.request("GET", "/explore", headers={**slow.session.headers, **BROWSER})
            connection.getresponse().read1()
    finally:
        slow.ledger.may_go.set()
    until(lambda: not slow.console.console.work.busy)
    assert slow.get("/explore", BROWSER).status == 200
