"""The data plane's front door: what each request is, and who takes care of it."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.errors import Overloaded, Refused, TollkeeperError, UnknownRoute
from tollkeeper.domain.networks import address_of
from tollkeeper.gateway.answers import JSON_LINE, Answer, refuse_call
from tollkeeper.gateway.came_from import came_from, may_come
from tollkeeper.gateway.console_relay import ConsoleRelay
from tollkeeper.gateway.head_notes import Caller, HeadNotes
from tollkeeper.gateway.json_call import JsonCall, start_json_call
from tollkeeper.gateway.local import LocalAnswers
from tollkeeper.gateway.relay import CALL_ID_LINE
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.upload_call import UploadCall
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.messages import Request
from tollkeeper.telemetry import logger, spawn
from tollkeeper.wire.controls import NO_CONTROLS
from tollkeeper.wire.credentials import read_credentials, require_token
from tollkeeper.wire.endpoints import (
    CHAT,
    HELLO,
    RESPONSES_SOCKET,
    Body,
    Endpoint,
    Match,
    match,
)
from tollkeeper.wire.paths import split_path_key
from tollkeeper.wire.refusals import refusal, upgrade_required

_NEVER_PAGES: Final = ("/v1/", "/v1beta/", "/openai/", "/providers/", "/internal/")
_ME: Final = "/me"
"""The one page for keys, which may stand in front of its path as they may before a call's."""

_UNKNOWN_ENDPOINT: Final = CHAT
"""Errors before any endpoint is known are written in OpenAI's shape, which most tools read."""


def _endpoint_of(request: Request | None) -> Endpoint:
    """Give the endpoint in whose protocol a broken request is answered."""
    if request is None:
        return _UNKNOWN_ENDPOINT
    try:
        found = match(request.method, split_path_key(request.path.decode("latin-1"))[1])
    except Refused:
        found = None
    return _UNKNOWN_ENDPOINT if found is None else found.endpoint


class WaitingCall:
    """Stands in for a call whose key is still being looked up (``BodySink``)."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._sink: BodySink | None = None
        self._parts: list[bytes] = []
        self._ended = False
        self._gone = False

    def go_on(self, sink: BodySink) -> None:
        """Hand over to the call itself, with what came meanwhile."""
        self._sink = sink
        parts, self._parts = self._parts, []
        for data in parts:
            sink.body(data)
        if self._ended:
            sink.body_end()
        if self._gone:
            sink.client_gone()

    def drop(self) -> None:
        """Forget what came: the request was refused."""
        self._parts = []

    def body(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.body(data)
        elif not self.exchange.done:
            self._parts.append(data)

    def body_end(self) -> None:
        self._ended = True
        if self._sink is not None:
            self._sink.body_end()

    def client_gone(self) -> None:
        self._gone = True
        if self._sink is not None:
            self._sink.client_gone()

    def client_writable(self, *, writable: bool) -> None:
        if self._sink is not None:
            self._sink.client_writable(writable=writable)


def _upgrade_answer(exchange: Exchange) -> BodySink:
    """WebSockets are refused with the one status after which agents use plain requests."""
    reply = upgrade_required()
    exchange.close_after = True
    return Answer(exchange, reply.status, reply.headers, reply.body)


class _Nothing:
    """The sink of a request that was answered already (``BodySink``)."""

    def body(self, data: bytes) -> None: ...
    def body_end(self) -> None: ...
    def client_gone(self) -> None: ...
    def client_writable(self, *, writable: bool) -> None: ...


_NOTHING: Final = _Nothing()


class GatewayApplication:
    """Implements ``http1.listener.Application``."""

    def __init__(self, gateway: Gateway, local: LocalAnswers) -> None:
        self._gateway = gateway
        self._local = local

    def begin(self, request: Request, exchange: Exchange) -> BodySink:
        """Take a request head. Raises Refused for what cannot be answered otherwise."""
        if isinstance(request.notes, HeadNotes):  # a head that led to a call before
            return self._begin_call(request, exchange, request.notes.match)
        upgrade = request.header(b"upgrade")
        if upgrade is not None and b"websocket" in upgrade.lower():
            return _upgrade_answer(exchange)  # any other, such as h2c, may be passed over
        path_key, path = "", request.path.decode("latin-1")
        if path.startswith("/k/"):
            path_key, path = split_path_key(path)
        found = match(request.method, path)
        if found is None:
            return self._beside(request, exchange, path, path_key)
        if found.endpoint is HELLO:
            return Answer(exchange, 200, JSON_LINE, b"{}")
        if found.endpoint is RESPONSES_SOCKET:
            return _upgrade_answer(exchange)  # a GET that could only have been an upgrade
        return self._begin_call(request, exchange, found, path_key)

    def _begin_call(
        self, request: Request, exchange: Exchange, found: Match, path_key: str = ""
    ) -> BodySink:
        try:
            return self._call(exchange, self._notes(request, found, path_key))
        except Refused as error:
            self._turn_away(request, exchange, found.endpoint, error)
            return _NOTHING

    def begin_whole(self, request: Request, exchange: Exchange, body: bytes) -> BodySink | None:
        """Take a request like others before it, in one step. None where that is not enough."""
        notes, gateway = request.notes, self._gateway
        if (
            not isinstance(notes, HeadNotes)
            or not notes.is_plain_json
            or gateway.locked is not None
            or len(gateway.relays) >= gateway.settings.in_flight_max
            or len(body) > gateway.settings.body_bytes_max
            or gateway.buffered_bytes > gateway.settings.buffered_bytes_max
        ):
            return None
        now_us = gateway.now_us()
        key = gateway.keys.known(notes.token, now_us)
        if key is None or not may_come(
            key, notes.request, exchange.peer, gateway.settings.trusted_proxies
        ):
            return None
        caller = Caller._make((notes, key, now_us))
        return start_json_call(gateway, exchange, caller, body) or _NOTHING

    def refuse(self, request: Request | None, exchange: Exchange, error: Refused) -> None:
        """Answer a request that breaks HTTP or names nothing that exists."""
        self._turn_away(request, exchange, _endpoint_of(request), error)

    # ------------------------------------------------------------------ calls

    def _notes(self, request: Request, found: Match, path_key: str) -> HeadNotes:
        notes = request.notes
        if not isinstance(notes, HeadNotes):
            query = request.query.decode("latin-1")
            credentials = read_credentials(request.header, query, path_key, found.provider)
            require_token(credentials)
            notes = request.notes = HeadNotes(self._gateway, request, found, credentials)
        return notes

    def _call(self, exchange: Exchange, notes: HeadNotes) -> BodySink:
        gateway = self._gateway
        if gateway.locked is not None:
            raise gateway.locked
        if len(gateway.relays) >= gateway.settings.in_flight_max:
            raise Overloaded("the gateway carries as many calls as it may", code="too_many_calls")
        now_us = gateway.now_us()
        key = gateway.keys.known(notes.token, now_us)
        if key is not None:
            return self._sink(exchange, Caller(notes, key, now_us))
        exchange.pause_body()
        waiting = WaitingCall(exchange)
        spawn(self._verify(waiting, notes), name="verify-key")
        return waiting

    async def _verify(self, waiting: WaitingCall, notes: HeadNotes) -> None:
        """Ask the store for a key that is not in memory; the request waits meanwhile."""
        gateway, exchange = self._gateway, waiting.exchange
        try:
            now_us = gateway.now_us()
            key = await gateway.keys.verify(notes.token, now_us)
            exchange.resume_body()  # first, because the call itself may want to wait
            waiting.go_on(self._sink(exchange, Caller(notes, key, now_us)))
        except Refused as error:
            self._turn_away(notes.request, exchange, notes.match.endpoint, error)
            waiting.drop()
        except OSError as error:
            logger.error("the store cannot be read", extra={"error": str(error)})
            unreadable = Overloaded("the gateway cannot read its store", code="store_unreadable")
            self._turn_away(notes.request, exchange, notes.match.endpoint, unreadable)
            waiting.drop()
        else:
            return
        exchange.resume_body()

    def _sink(self, exchange: Exchange, caller: Caller) -> BodySink:
        try:
            if caller.key.networks is not None:
                trusted = self._gateway.settings.trusted_proxies
                address = came_from(caller.notes.request, exchange.peer, trusted)
                caller.key.require_from(address_of(address))
            if caller.notes.match.endpoint.local:
                return self._local.models(exchange, caller)
            kind = caller.notes.body_kind
            if kind is Body.JSON or kind is Body.NONE:
                return JsonCall(self._gateway, exchange, caller)
            return UploadCall(self._gateway, exchange, caller)
        except Refused as error:
            refuse_call(self._gateway, exchange, caller, error, NO_CONTROLS)
            return _NOTHING

    def _turn_away(
        self,
        request: Request | None,
        exchange: Exchange,
        endpoint: Endpoint,
        error: TollkeeperError,
    ) -> None:
        """Refuse before anybody is identified: counted, and not written to the ledger."""
        gateway = self._gateway
        gateway.counters.turned_away(error.code)
        call_id = gateway.ids.next(gateway.now_us() // 1000)
        tool = ""
        if request is not None:
            tool = gateway.clients.identify(request.header, NO_CONTROLS).tool
        reply = refusal(error, endpoint, tool, call_id=call_id)
        exchange.send(reply.status, reply.headers + CALL_ID_LINE % call_id.encode(), reply.body)

    # ------------------------------------------------------------------ everything else

    def _beside(self, request: Request, exchange: Exchange, path: str, path_key: str) -> BodySink:
        answer = self._local.answer(request, exchange, path)
        if answer is not None:
            return answer
        if (path_key and path != _ME) or path.startswith(_NEVER_PAGES):
            raise UnknownRoute(f"there is no {request.method.decode('ascii')} {path[:200]}")
        if self._gateway.console is None:
            raise UnknownRoute("this process only carries calls; there are no pages here")
        return ConsoleRelay(self._gateway, self._gateway.console, request, exchange)
