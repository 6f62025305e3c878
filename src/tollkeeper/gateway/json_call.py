"""A call whose request is JSON: understood, perhaps rewritten, sent."""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.errors import Overloaded, Refused, TooLarge
from tollkeeper.domain.rate_limits import RateLimited
from tollkeeper.domain.routing import Dialect
from tollkeeper.gateway.admission import held_call, way_of
from tollkeeper.gateway.answers import refuse_call
from tollkeeper.gateway.batch_relay import job_relay
from tollkeeper.gateway.gathered_body import GatheredBody
from tollkeeper.gateway.head_notes import Caller, HeadNotes
from tollkeeper.gateway.rate_limits import take_place
from tollkeeper.gateway.relay import Relay
from tollkeeper.gateway.sending import OutgoingRequest
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Way
from tollkeeper.http1.exchange import Exchange
from tollkeeper.wire import encodings, rewrite
from tollkeeper.wire.controls import NO_CONTROLS, Controls, read_controls
from tollkeeper.wire.endpoints import Body

_RATIO_MAX: Final = 100
_SMALL_BYTES: Final = 1 << 20
_BODILESS: Final = frozenset({b"GET", b"HEAD", b"DELETE"})


def start_json_call(
    gateway: Gateway, exchange: Exchange, caller: Caller, body: bytes
) -> Relay | None:
    """Admit and start a call whose body is there; None if it was refused and answered."""
    notes, controls = caller.notes, NO_CONTROLS
    try:
        plain = body
        if notes.encoding:
            limit = gateway.settings.body_bytes_max
            plain = encodings.decode(body, notes.encoding, limit, _RATIO_MAX)
        if notes.body_kind is Body.JSON:
            controls = read_controls(plain, notes.match.endpoint)
        way = way_of(gateway, caller, controls)
        rewritten = _rewritten(notes, way, controls, plain)
    except Refused as error:
        refuse_call(gateway, exchange, caller, error, controls)
        return None
    if rewritten is not plain:
        body = encodings.encode(rewritten, notes.encoding) if notes.encoding else rewritten
    method, head = notes.request.method, way.head
    if way.signer is not None:
        head += way.signer.lines(body, gateway.now_us())
    if body or method not in _BODILESS:
        head = b"%bcontent-length: %d\r\n\r\n" % (head, len(body))
    else:
        head += b"\r\n"
    desk, now_us, hold = gateway.desk, caller.now_us, None
    call_id = gateway.ids.next(now_us // 1000)
    if desk is not None and desk.counts:
        hold = desk.hold_of(way, controls, plain, len(plain), now_us)
    held = held_call(gateway, way, controls, len(plain), call_id, now_us, hold)
    try:
        ticket = take_place(gateway, way, held, hold)
    except RateLimited as error:
        refuse_call(gateway, exchange, caller, error, controls)
        return None
    request = OutgoingRequest._make((head, body, False, method == b"HEAD"))
    if notes.match.job:
        relay = job_relay(gateway, exchange, way, held, request, notes.match.job)
    else:
        relay = Relay(gateway, exchange, way, held, request)
    relay.ticket = ticket
    if desk is None:
        relay.start()
    elif not desk.start(relay, way, held, hold, len(body)):
        return None
    return relay


def _rewritten(notes: HeadNotes, way: Way, controls: Controls, body: bytes) -> bytes:
    if controls.tags and not notes.match.provider:
        body = rewrite.without_tags(body)
    # An older Azure path names the model, and nothing in the body does.
    if way.renamed or notes.match.query_dropped:
        body = rewrite.with_model(body, way.plan.model, _model_field(way))
    if way.hides_usage:
        body = rewrite.with_usage_requested(body)
    return body


def _model_field(way: Way) -> str:
    return "model_id" if way.endpoint.dialect is Dialect.WATSONX else "model"


class JsonCall:
    """Collects the body of one request (``BodySink``), then becomes a relayed call."""

    def __init__(self, gateway: Gateway, exchange: Exchange, caller: Caller) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._caller = caller
        self._body = GatheredBody(exchange.length)
        if (exchange.length or 0) > gateway.settings.body_bytes_max:
            raise too_large(gateway)

    def body(self, data: bytes) -> None:
        if self._exchange.done:
            return
        gateway = self._gateway
        self._body.add(data)
        gateway.buffered_bytes += len(data)
        room_bytes = gateway.settings.buffered_bytes_max
        if self._body.size_bytes > _SMALL_BYTES:
            room_bytes -= room_bytes // 4  # the rest is for those who send less
        if self._body.size_bytes > gateway.settings.body_bytes_max:
            self._refuse(too_large(gateway))
        elif gateway.buffered_bytes > room_bytes:
            self._refuse(Overloaded("too many large requests at once", code="buffers_full"))

    def body_end(self) -> None:
        exchange = self._exchange
        if exchange.done:
            return
        self._gateway.buffered_bytes -= self._body.size_bytes
        body = self._body.take()
        relay = start_json_call(self._gateway, exchange, self._caller, body)
        if relay is not None:
            exchange.hand_over(relay)

    def client_gone(self) -> None:
        self._forget_body()

    def client_writable(self, *, writable: bool) -> None:
        """Nothing is being sent yet."""

    def _refuse(self, error: Refused) -> None:
        self._forget_body()
        refuse_call(self._gateway, self._exchange, self._caller, error, NO_CONTROLS)

    def _forget_body(self) -> None:
        self._gateway.buffered_bytes -= self._body.size_bytes
        self._body.forget()


def too_large(gateway: Gateway) -> TooLarge:
    """The refusal of a body above its limit."""
    limit_mb = gateway.settings.body_bytes_max >> 20
    return TooLarge(f"the request body is larger than {limit_mb} MB")
