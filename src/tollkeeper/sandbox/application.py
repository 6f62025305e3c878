"""The sandbox behind its socket: takes requests, remembers replies, plays them, counts."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qs

from tollkeeper.domain.errors import Refused, TooLarge, UnknownRoute
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.messages import Request
from tollkeeper.sandbox.answers import Answers, Question
from tollkeeper.sandbox.behaviour import OPTIONS, ORDINARY, Behaviour, read_headers
from tollkeeper.sandbox.call_book import CALLS_MAX, Call, CallBook, Outcome
from tollkeeper.sandbox.faults import FAULT_KINDS, fault_names
from tollkeeper.sandbox.player import Player
from tollkeeper.sandbox.reply import encode
from tollkeeper.sandbox.reply_memory import ReplyMemory
from tollkeeper.sandbox.script import Line, Script, script_of
from tollkeeper.wire import endpoints
from tollkeeper.wire.endpoints import Endpoint, Match
from tollkeeper.wire.refusals import refusal

BODY_BYTES_MAX: Final = 64 << 20
_JSON: Final = b"content-type: application/json\r\n"
_OWN: Final = b"/sandbox"


class HeadNotes(NamedTuple):
    """What a request's head alone decides. ``key`` stands for everything of it that does."""

    key: int
    match: Match
    behaviour: Behaviour
    nonce: str
    line: Line


class Sandbox:
    """The application. ``defaults`` hold where a request's headers say nothing."""

    def __init__(self, defaults: Behaviour = ORDINARY) -> None:
        self._defaults = defaults
        self._answers = Answers()
        self._book = CallBook()
        self._memory = ReplyMemory()

    # ------------------------------------------------------------------ requests

    def begin(self, request: Request, exchange: Exchange) -> BodySink:
        """Take a request head."""
        if request.path == _OWN or request.path.startswith(b"/sandbox/"):
            return self._own(request, exchange)
        notes = self._notes_of(request)
        call = self._book.begin(notes.match.endpoint.name, notes.nonce)
        gathering = _Gathering(self, request, exchange, notes, call)
        fault = notes.behaviour.fault
        if fault is not None and fault.name == "early-413":
            gathering.answer(b"")
        return gathering

    def begin_whole(self, request: Request, exchange: Exchange, body: bytes) -> BodySink | None:
        """Answer a request whose like was answered before, if that can be done at once."""
        notes = request.notes
        if not isinstance(notes, HeadNotes):
            return None
        script = self._memory.find(notes.key, body)
        if script is None or not script.at_once:
            return None
        call = self._book.begin(notes.match.endpoint.name, notes.nonce)
        call.answering(script)
        call.writes_done = 1
        call.ended(Outcome.ANSWERED if script.complete else Outcome.BROKEN)
        exchange.end(b"", before=script.writes[0])
        return _NOBODY

    def refuse(self, request: Request | None, exchange: Exchange, error: Refused) -> None:
        """Answer a request that cannot be played."""
        self._book.totals.refused += 1
        reply = refusal(error, endpoints.CHAT if request is None else _endpoint_of(request))
        exchange.send(reply.status, reply.headers, reply.body)

    def script_for(self, request: Request, notes: HeadNotes, body: bytes, host: bytes) -> Script:
        """Give the reply to a whole request, as it is to be played. Raises Refused."""
        script = self._memory.find(notes.key, body)
        if script is not None:
            return script
        question = Question(
            notes.match,
            request.method.decode("latin-1"),
            request.query.decode("latin-1"),
            body,
            request.header,
            notes.behaviour,
            host,
        )
        reply = self._answers.reply(question)
        script = script_of(reply, notes.behaviour, notes.line)
        if reply.repeatable:
            self._memory.learn(notes.key, body, script)
        return script

    def _notes_of(self, request: Request) -> HeadNotes:
        """Read a head, once. Raises Refused for one that cannot be played."""
        if isinstance(request.notes, HeadNotes):
            return request.notes
        found = _match_of(request)
        behaviour, nonce = read_headers(request.headers, self._defaults)
        line = Line(request.method == b"HEAD", request.http_1_0, request.keep_alive)
        deciding = (
            request.method,
            request.target,
            behaviour,
            line,
            *(request.header(name) for name in _DECIDING_HEADERS),
        )
        notes = HeadNotes(self._memory.key_of(deciding), found, behaviour, nonce, line)
        request.notes = notes
        return notes

    # ------------------------------------------------------------------ its own pages

    def _own(self, request: Request, exchange: Exchange) -> BodySink:
        page = request.path.removeprefix(_OWN)
        if page == b"/calls" and request.method == b"GET":
            self._show_calls(request, exchange)
        elif page == b"/reset" and request.method == b"POST":
            self._book.reset()
            self._answers.forget()
            self._memory.forget()
            exchange.send(200, _JSON, b'{"reset":true}')
        elif page == b"/redirected":
            self._book.totals.redirected += 1
            exchange.send(200, _JSON, b'{"redirected":true}')
        elif not page and request.method == b"GET":
            exchange.send(200, _JSON, encode(_described()))
        else:
            raise UnknownRoute("the sandbox has GET /sandbox, /sandbox/calls, POST /sandbox/reset")
        return _NOBODY

    def _show_calls(self, request: Request, exchange: Exchange) -> None:
        query = parse_qs(request.query.decode("latin-1"))
        limit = query.get("limit", [""])[0]
        state = self._book.state(
            nonce=query["nonce"][0] if "nonce" in query else None,
            limit=int(limit) if limit.isdecimal() and len(limit) < 9 else CALLS_MAX,
        )
        exchange.send(200, _JSON, encode(state))


def _match_of(request: Request) -> Match:
    """Recognise a request; the version may be left out of its path. Raises Refused."""
    path = request.path.decode("latin-1")
    for spelled in (path, f"/v1{path}"):
        found = endpoints.match(request.method, spelled)
        if found is not None:
            return found
    raise UnknownRoute(f"the sandbox plays no {path[:200]}")


def _endpoint_of(request: Request) -> Endpoint:
    try:
        return _match_of(request).endpoint
    except Refused:
        return endpoints.CHAT


_DECIDING_HEADERS: Final = (
    b"host",
    b"content-type",
    b"content-encoding",
    b"anthropic-version",
    b"user-agent",
    b"x-goog-api-key",
)


class _Gathering:
    """Takes one request, then has the answer to it played."""

    def __init__(
        self,
        sandbox: Sandbox,
        request: Request,
        exchange: Exchange,
        notes: HeadNotes,
        call: Call,
    ) -> None:
        self._sandbox = sandbox
        self._request = request
        self._exchange = exchange
        self._notes = notes
        self._call = call
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._answered = False
        self._writable = True
        self._player: Player | None = None

    def body(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size_bytes += len(data)
        if self._size_bytes <= BODY_BYTES_MAX and not self._answered:
            self._parts.append(data)
        elif not self._answered:
            self._refuse(TooLarge("the sandbox takes no request as large as this"))

    def body_end(self) -> None:
        """The request is complete."""
        if not self._answered:
            parts, self._parts = self._parts, []
            self.answer(parts[0] if len(parts) == 1 else b"".join(parts))

    def client_gone(self) -> None:
        """The caller left."""
        if self._player is not None:
            self._player.client_gone()
        elif not self._answered:
            self._call.ended(Outcome.LEFT)

    def client_writable(self, *, writable: bool) -> None:
        """The caller stopped reading, or goes on."""
        self._writable = writable
        if self._player is not None:
            self._player.client_writable(writable=writable)

    def answer(self, body: bytes) -> None:
        """Answer, with what there is of the body."""
        self._answered = True
        request, exchange = self._request, self._exchange
        try:
            host = request.header(b"host") or b""
            script = self._sandbox.script_for(request, self._notes, body, host)
        except Refused as error:
            self._refuse(error)
            return
        self._call.answering(script)
        self._player = Player(exchange, script, self._call)
        self._player.start(writable=self._writable)

    def _refuse(self, error: Refused) -> None:
        self._answered = True
        self._parts.clear()
        self._call.ended(Outcome.REFUSED)
        self._sandbox.refuse(self._request, self._exchange, error)


class _Nobody:
    """Takes what follows a request that is answered already."""

    def body(self, data: bytes) -> None:
        """Ignore it."""

    def body_end(self) -> None:
        """Ignore it."""

    def client_gone(self) -> None:
        """Ignore it."""

    def client_writable(self, *, writable: bool) -> None:
        """Ignore it."""


_NOBODY: Final = _Nobody()


def _described() -> dict[str, object]:
    """Say what can be asked of the sandbox."""
    return {
        "headers": [f"x-sandbox-{name}" for name in ("nonce", *OPTIONS)],
        "faults": {"400…599[:retry-after]": "answer with this error"}
        | {name: kind.says for name, kind in FAULT_KINDS.items()},
        "fault_forms": fault_names(),
        "pages": ["GET /sandbox/calls?limit=N&nonce=X", "POST /sandbox/reset"],
    }
