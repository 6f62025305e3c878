"""Questions that nobody can mean: a page or a document says what is wrong, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import quote

import pytest

from consoles import RunningConsole, running_console
from hostile_texts import SCRIPTS, Page

PAGES = ("/", "/explore", "/calls", "/why", "/savings", "/models")
DOCUMENTS = ("/api/v1/usage", "/api/v1/calls", "/api/v1/changes", "/api/v1/savings")
NO_TIMES = (
    *("from=0001-01-01&to=0001-01-02", "from=9999-12-30&to=9999-12-31", "from=0000-00-00"),
    *("from=2026-09-02&to=2026-09-01", "from=1026-01-01&to=2026-01-01", "to=2026-09-01"),
    *("from=1990-01-01&to=2190-01-01", "from=soon", "from=2026-02-30", "from=2026-09-01T99:00"),
    *("from=2026-09-01&to=2026-09-01T00:00:00%2B99:00", "period=99999d", "period=-1d"),
    *("period=0d", "period=30d&from=2026-09-01", "tz=Mars/Base", "tz=../../etc/passwd", "tz=%00"),
    *("filter=nope:1", "filter=team", "filter=weekday:9", 'filter=team:"open', "from=%E2%80%AE"),
)
ODD_TIMES = (
    "from=2199-12-31&to=2200-12-31",
    "from=2026-09-01T00:00:00.000001&to=2026-09-01T00:00:00.000002&tz=Pacific/Apia",
)
OTHERS = (
    *("/explore?metric=spend", "/explore?group_by=hour_of_day", "/explore?group_by=tag:a'b"),
    *("/why?by=nope", "/why?before_from=2026-01-01", "/why?before_from=0001-01-01&before_to=x"),
    *("/why?before_from=9999-01-01&before_to=9999-01-02", "/savings?from_model=a"),
    *("/savings?to_model=nobody/nothing", "/savings?period=400d", "/?by=nope", "/?period=500d"),
    *("/?tag=a%20b", "/calls?cursor=x", "/calls?limit=0", "/settings?x=1&tz=Mars/Base"),
    *("/api/v1/forecast?tz=Mars/Base", "/api/v1/forecast?filter=nope:1"),
    *("/api/v1/usage?metrics=spend", "/api/v1/usage?group_by=a,b", "/api/v1/usage?order=x"),
    *("/api/v1/digest?week=9999-W99", "/api/v1/digest?week=0001-W01", "/api/v1/digest?week=x"),
    *("/statements/2026-13", "/statements/0000-01", "/statements/9999-12", "/statements/x"),
    *("/statements/2026-09/nobody", "/api/v1/statements/2026-13", "/api/v1/statements/10000-01"),
    *("/api/v1/statements/2026-09?format=exe", "/statements/2026-09/%3Cscript%3E"),
)
TYPED = {
    "/explore": ("metric", "group_by", "tag", "grain", "view", "sort", "limit", "dim", "filter"),
    "/why": ("by", "before_from", "before_to", "filter", "period", "tz"),
    "/savings": ("from_model", "to_model", "filter", "from", "tz"),
    "/statements": ("x", "tz"),
    "/statements/2026-09": ("x", "tz", "team"),
    "/settings": ("x", "tz", "show"),
    "/models": ("filter", "period", "x"),
    "/people": ("done", "show", "tz"),
    "/people/import": ("done", "x"),
}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("absurd")) as made:
        made.load(made.entry_of("member", entry_id="call-alice", call_id="call-alice"))
        yield made


def require_told(console: RunningConsole, target: str) -> None:
    """The answer says what is wrong, in the form of whoever asks."""
    reply = console.get(target, console.session("admin"))
    assert reply.status in {400, 404, 422}, (target, reply.status, reply.text)
    if target.startswith("/api/"):
        told = reply.json()
        assert (told["status"], bool(told["detail"])) == (reply.status, True)
        assert told["code"] != "internal"
    else:
        assert Page(reply.text).harm == []
        assert "<h1>" in reply.text


@pytest.mark.parametrize("path", [*PAGES, *DOCUMENTS])
def test_times_that_cannot_be_meant_are_refused(console: RunningConsole, path: str) -> None:
    """All of them on Explore, a third of them elsewhere: what reads them is the same."""
    place = [*PAGES, *DOCUMENTS].index(path)
    for query in NO_TIMES if path == "/explore" else NO_TIMES[place % 3 :: 3]:
        require_told(console, f"{path}?{query}")


def test_times_that_are_only_odd_are_answered(console: RunningConsole) -> None:
    for path, query in product(("/explore", "/why"), ODD_TIMES):
        reply = console.get(f"{path}?{query}", console.session("admin"))
        assert reply.status == 200, (path, query, reply.text)


@pytest.mark.parametrize("target", OTHERS)
def test_what_there_is_not_is_refused(console: RunningConsole, target: str) -> None:
    require_told(console, target)


def test_what_is_typed_on_newer_pages_comes_back_as_text(console: RunningConsole) -> None:
    """Each parameter gets one of the texts, in turn."""
    texts = iter(quote(text) for _ in range(99) for text in SCRIPTS)
    for path, names in TYPED.items():
        for name in names:
            text = next(texts)
            reply = console.get(f"{path}?{name}={text}", console.session("admin"))
            assert reply.status in {200, 404, 422}, (path, name, reply.text)
            assert Page(reply.text).harm == [], (path, name)


def test_a_clock_can_be_asked_about_on_every_page(console: RunningConsole) -> None:
    for path in ("/", "/savings", "/why", "/api/v1/forecast"):  # those that have more to ask
        when = "" if "forecast" in path else "&period=7d"
        target = f"{path}?filter=weekday:1,hour_of_day:9&tz=America/New_York{when}"
        reply = console.get(target, console.session("admin"))
        assert reply.status == 200, (path, reply.text)


def test_a_ledger_whose_file_was_taken_away_is_told_of_and_comes_back(tmp_path: Path) -> None:
    with running_console(tmp_path) as made:
        session = made.session("admin")
        made.load(made.entry_of("member", call_id="first"))
        file = made.folder.data.ledger
        file.rename(tmp_path / "away")
        for path in (*PAGES, "/statements", "/statements/2026-09", "/me", "/adoption"):
            reply = made.get(path, session)
            assert (reply.status, "put it back" in reply.text) == (503, True), path
        for path in (*DOCUMENTS, "/api/v1/statements", "/api/v1/digest", "/api/v1/forecast"):
            told = made.get(path, session)
            assert (told.status, told.json()["code"]) == (503, "ledger_unavailable"), path
        assert made.get("/keys", session).status == 200
        (tmp_path / "away").rename(file)
        made.load(made.entry_of("member", call_id="second"))
        calls = made.get("/api/v1/calls", session).json()["calls"]
        assert {call["call_id"] for call in calls} == {"first", "second"}
        assert made.get("/", session).status == 200


def test_a_question_that_cannot_be_answered_leads_back_to_its_page(console: RunningConsole) -> None:
    """Where the address itself is wrong, there is no page to begin on again."""
    asked = console.get("/explore?metric=spend", console.session("admin")).text
    assert '<a class="btn" href="/explore">Start again</a>' in asked
    for target in ("/?period=soon", "/statements/2026-13", "/savings/none?x=1"):
        assert "Start again" not in console.get(target, console.session("admin")).text, target
