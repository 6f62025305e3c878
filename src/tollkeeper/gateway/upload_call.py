"""A call whose body goes by piece by piece: forms with files, and bodies nobody looks into.

Nothing but the beginning is ever held in memory. The model of a form is a field that may
stand behind the file; then the call goes to the dialect's own vendor, and the model is
checked as soon as it goes by, before the body is complete.
"""

from __future__ import annotations

from typing import Final

from tollkeeper import clock
from tollkeeper.domain.errors import BadRequest, Refused, TooLarge
from tollkeeper.domain.ledger import Outcome
from tollkeeper.gateway.admission import held_call, way_of
from tollkeeper.gateway.answers import refuse_call
from tollkeeper.gateway.head_notes import Caller
from tollkeeper.gateway.rate_limits import take_place
from tollkeeper.gateway.relay import Relay
from tollkeeper.gateway.sending import OutgoingRequest
from tollkeeper.gateway.shared import Gateway
from tollkeeper.gateway.ways import Way
from tollkeeper.http1.exchange import Exchange
from tollkeeper.wire import asked
from tollkeeper.wire.controls import NO_CONTROLS, form_controls
from tollkeeper.wire.endpoints import Body
from tollkeeper.wire.multipart import FormScanner, boundary_of

_BEGINNING_BYTES: Final = 64 << 10
_LAST_CHUNK: Final = b"0\r\n\r\n"
_MODEL_FIRST: Final = "put the form field 'model' before the file"


class UploadCall:
    """Takes the body of one request (``BodySink``) and sends it on as it comes."""

    def __init__(self, gateway: Gateway, exchange: Exchange, caller: Caller) -> None:
        self._controls = NO_CONTROLS
        self._relay: Relay | None = None
        self._scanner: FormScanner | None = None
        self._size_bytes = 0
        self._started = False
        self._ended = False
        self._named = False
        self._gateway = gateway
        self._exchange = exchange
        self._caller = caller
        self._waiting: list[bytes] = []
        self._chunked = exchange.length is None
        if (exchange.length or 0) > gateway.settings.upload_bytes_max:
            raise self._too_large()
        if caller.notes.body_kind is Body.MULTIPART:
            if caller.notes.encoding:
                raise BadRequest("a form with a Content-Encoding cannot be read")
            content_type = caller.notes.request.header(b"content-type") or b""
            self._scanner = FormScanner(boundary_of(content_type))

    # ------------------------------------------------------------------ the body

    def body(self, data: bytes) -> None:
        if self._exchange.done:
            return
        self._size_bytes += len(data)
        try:
            if self._size_bytes > self._gateway.settings.upload_bytes_max:
                raise self._too_large()
            if self._scanner is not None:
                self._scanner.feed(data)
            if self._relay is None:
                self._waiting.append(data)
                if self._scanner is None or self._knows_enough(self._scanner):
                    self._begin(ended=False)
            else:
                self._look_at_model()
                self._send(data, last=False)
        except Refused as error:
            self._refuse(error)

    def body_end(self) -> None:
        if self._exchange.done:
            return
        try:
            if self._scanner is not None and not self._scanner.complete:
                raise BadRequest("the form has no end", code="form_invalid")
            if self._relay is None:
                self._begin(ended=True)
            else:
                self._look_at_model()
                self._look_at_price()
                self._send(b"", last=True)
        except Refused as error:
            self._refuse(error)

    def client_gone(self) -> None:
        self._waiting = []
        if self._relay is None:
            return
        if self._ended:
            self._relay.client_gone()
        else:
            # Half a request: the provider cannot have done any work for it.
            left = BadRequest("the client left during the upload", code="disconnected")
            self._relay.cut(left, Outcome.DISCONNECTED)

    def client_writable(self, *, writable: bool) -> None:
        if self._relay is not None:
            self._relay.client_writable(writable=writable)

    # ------------------------------------------------------------------ sending

    def _knows_enough(self, scanner: FormScanner) -> bool:
        """Tell whether to begin. A small form is read whole: a field behind the file may say
        that the reply is to be a stream."""
        return scanner.complete or self._size_bytes > _BEGINNING_BYTES

    def _begin(self, *, ended: bool) -> None:
        """Admit the call with what is known of it, and send what came so far."""
        gateway, caller, scanner = self._gateway, self._caller, self._scanner
        if scanner is not None:
            self._controls = form_controls(scanner.fields, caller.notes.match.endpoint.reader)
            self._named = bool(self._controls.model)
        way = way_of(gateway, caller, self._controls)
        body, length = b"".join(self._waiting), self._exchange.length
        if way.renamed and scanner is not None:
            renamed = _with_field(body, scanner.spans["model"], way.plan.model)
            length = None if length is None else length + len(renamed) - len(body)
            body = renamed
        if ended:
            length, self._chunked = len(body), False
        framing = b"transfer-encoding: chunked\r\n\r\n"
        if length is not None:
            framing = b"content-length: %d\r\n\r\n" % length
        self._waiting = [] if ended else [body]
        self._ended = self._started = ended
        call_id = gateway.ids.next(caller.now_us // 1000)
        desk, now_us, size_bytes = gateway.desk, caller.now_us, self._size_bytes
        hold = None
        if desk is not None and desk.counts:
            hold = desk.hold_of(way, self._controls, b"", size_bytes, now_us)
        held = held_call(gateway, way, self._controls, size_bytes, call_id, now_us, hold)
        head = _head_of(way, body, ended=ended) + framing
        request = OutgoingRequest(head, body if ended else b"", not ended)
        ticket = take_place(gateway, way, held, hold)
        self._relay = Relay(gateway, self._exchange, way, held, request, self._may_send)
        self._relay.ticket = ticket
        if not ended:
            self._exchange.pause_body()  # until there is a connection to send it to
        if desk is None:
            self._relay.start()
        elif not desk.start(self._relay, way, held, hold, size_bytes):
            self._waiting = []

    def _may_send(self) -> None:
        """The head is out: what had to wait follows."""
        if self._started:
            return
        self._started = True
        waiting, self._waiting = self._waiting, []
        self._exchange.resume_body()  # first, because sending may find that it must wait again
        self._send(b"".join(waiting), last=self._ended)

    def _send(self, data: bytes, *, last: bool) -> None:
        self._ended = last
        if not self._started:
            self._waiting.append(data)
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            if last:
                data += _LAST_CHUNK
        if self._relay is not None:
            self._relay.upload(data, last=last)

    def _look_at_model(self) -> None:
        """Check a model that was named only after the call had begun."""
        scanner = self._scanner
        if scanner is None or self._named or "model" not in scanner.fields:
            return
        self._named = True
        endpoint = self._caller.notes.match.endpoint
        self._controls = form_controls(scanner.fields, endpoint.reader)
        model, dialect = self._controls.model, endpoint.dialect
        begun = self._gateway.planner.plan_unnamed(dialect)
        plan = self._gateway.planner.plan(model, dialect)
        if plan.provider != begun.provider or plan.model != model:
            raise BadRequest(f"{_MODEL_FIRST}: {model!r} is served elsewhere", code="model_late")
        self._caller.key.require_model(plan.provider, model)
        if self._relay is not None:
            self._relay.name_model(model)

    def _look_at_price(self) -> None:
        """Take in what the form says of its price behind its files."""
        reader = self._caller.notes.match.endpoint.reader
        if self._scanner is not None and self._relay is not None and reader in asked.READERS:
            self._relay.ask_for(form_controls(self._scanner.fields, reader).asked)

    # ------------------------------------------------------------------ refusals

    def _refuse(self, error: Refused) -> None:
        self._waiting = []
        if self._relay is not None and self._relay.begun:
            self._relay.cut(error, Outcome.REFUSED)
        else:
            if self._relay is not None:
                self._relay.client_gone()  # it only waits for budgets
            refuse_call(self._gateway, self._exchange, self._caller, error, self._controls)

    def _too_large(self) -> TooLarge:
        limit_mb = self._gateway.settings.upload_bytes_max >> 20
        return TooLarge(f"the upload is larger than {limit_mb} MB")


def _with_field(body: bytes, span: tuple[int, int], value: str) -> bytes:
    start, end = span
    return body[:start] + value.encode() + body[end:]


def _head_of(way: Way, body: bytes, *, ended: bool) -> bytes:
    """Give the head of a request, signed where that is needed and its body is all there."""
    if way.signer is None:
        return way.head
    if not ended:
        raise BadRequest(
            "a request whose body goes by piece by piece cannot be signed; such calls need a "
            "provider with one of Bedrock's API keys",
            code="body_unsigned",
        )
    return way.head + way.signer.lines(body, clock.now_us())
