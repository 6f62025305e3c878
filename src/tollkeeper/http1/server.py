"""The server side of HTTP/1.1: one connection, its requests in order, its deadlines.

On top of the parser this file keeps what a parser cannot know: the order of pipelined
requests, deadlines, backpressure, draining. A head that was parsed before is not parsed
again (``heads.py``); the body that follows it is as long as its digits say.

What an application sees: for each request head it is asked for a ``BodySink``; it answers
through the ``Exchange`` that came with the request. Bytes after a finished reply, trailers
and late writes go nowhere.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from tollkeeper import clock
from tollkeeper.domain.errors import BadRequest, Overloaded, Refused
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.heads import KnownHead
from tollkeeper.http1.messages import Request
from tollkeeper.http1.request_reader import RequestReader

if TYPE_CHECKING:
    from tollkeeper.http1.listener import ConnectionSet

WRITE_BUFFER_BYTES: Final = 64 << 10
BODY_GRACE_S: Final = 10.0
LINGER_S: Final = 2.0
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
BODY_RATE_MIN: Final = 512  # bytes/s, averaged over the whole body after the grace


class _Queued:
    """A request that arrived before the one ahead of it was answered."""

    __slots__ = ("body", "ended", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.body: list[bytes] = []
        self.ended = False


class ServerConnection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, owner: ConnectionSet) -> None:
        self.peer = ""
        self.exchange: Exchange | None = None
        self._sink: BodySink | None = None
        self._head_data: bytes | None = None  # the read that began with the head now being parsed
        self._known: KnownHead | None = None  # the head of the latest request, if it is remembered
        self._remaining = 0  # body bytes still to come of a request whose head was known
        self._bytes_since_head = 0
        self._failed = False
        self._lingering = False
        self._paused_by_sink = False
        self._writing_paused_s: float | None = None
        self._owner = owner
        self._reader = RequestReader(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when made
        self._queue: deque[_Queued] = deque()
        self._phase_since_s = clock.monotonic_s()

    # ------------------------------------------------------------------ transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        owner = self._owner
        owner.connections.add(self)
        owner.accepted += 1
        if len(owner.connections) > owner.limits.connections_max:
            self._fail(Overloaded("too many connections", code="too_many_connections"))

    def data_received(self, data: bytes) -> None:
        if self._failed:
            return
        if self._remaining:
            self._take_body(data)
            return
        if self.exchange is None and self._reader.between:
            known, body = self._known, None
            if known is not None:
                body = known.body_in(data)
            if body is None:
                known = self._known = self._owner.heads.find(data)
                body = known.body_in(data) if known is not None else None
            if known is not None and body is not None:
                self._start_known(known.request, data, *body)
                return
            self._head_data = data
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except Refused as error:
            self._fail(error)
        self._head_data = None
        if self._reader.upgraded:
            self._failed = True  # the request itself was whole; what follows is not for us

    def eof_received(self) -> bool:
        return False  # a client that closes its side is gone, as for every usual server

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connections.discard(self)
        self._failed = True
        exchange, sink = self.exchange, self._sink
        self.exchange = self._sink = None
        self._queue.clear()
        if exchange is not None:
            exchange.detach()
            if sink is not None:
                sink.client_gone()

    def pause_writing(self) -> None:
        self._writing_paused_s = clock.monotonic_s()
        if self._sink is not None:
            self._sink.client_writable(writable=False)

    def resume_writing(self) -> None:
        self._writing_paused_s = None
        if self._sink is not None:
            self._sink.client_writable(writable=True)

    # ------------------------------------------------------------------ what the reader reads

    def head_begins(self) -> None:
        if self.exchange is None:
            self._phase_since_s = clock.monotonic_s()

    def head(self, request: Request) -> None:
        data, self._head_data = self._head_data, None  # a read begins with its first head only
        if self.exchange is not None:
            self._queue.append(_Queued(request))
            self.transport.pause_reading()
            return
        if data is not None and request.keep_alive:
            self._owner.heads.learn(data, request)
        self._start(Exchange(self, request, request.length))

    def body_part(self, data: bytes) -> None:
        if self._queue:
            self._queue[-1].body.append(data)
            return
        self._bytes_since_head += len(data)
        if self._sink is not None:
            self._sink.body(data)

    def message_end(self) -> None:
        if self._queue:
            self._queue[-1].ended = True
        else:
            self._request_complete()

    # ------------------------------------------------------------------ requests

    def _start(self, exchange: Exchange) -> None:
        request = exchange.request
        assert request is not None  # noqa: S101 - only an unreadable head has none
        self.exchange = exchange
        self._sink = None
        self._bytes_since_head = 0
        self._phase_since_s = clock.monotonic_s()
        expect = request.header(b"expect")
        try:
            if expect is not None:
                _require_known(expect)
            self._sink = self._owner.application.begin(request, exchange)
        except Refused as error:
            exchange.close_after = exchange.close_after or exchange.has_body
            self._owner.application.refuse(request, exchange, error)
            return
        if expect is not None and exchange.has_body and not (exchange.done or request.http_1_0):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._writing_paused_s is not None:
            self._sink.client_writable(writable=False)

    def _start_known(self, request: Request, data: bytes, start: int, length: int) -> None:
        """Start a request whose head need not be parsed again."""
        exchange = self.exchange = Exchange(self, request, length)
        self._sink = None
        if len(data) - start == length:
            exchange.request_complete = True
            self._phase_since_s = clock.monotonic_s()
            try:
                sink = self._owner.application.begin_whole(request, exchange, data[start:])
            except Refused as error:
                self._owner.application.refuse(request, exchange, error)
                return
            if sink is not None:
                self.replace_sink(sink)
                return
            exchange.request_complete = False
        self._remaining = length
        self._start(exchange)
        self._take_body(data[start:])

    def _take_body(self, data: bytes) -> None:
        """Take body bytes of a request whose length is known; what follows is parsed."""
        size = len(data)
        body, rest = (
            (data, b"")
            if size <= self._remaining
            else (
                data[: self._remaining],
                data[self._remaining :],
            )
        )
        self._remaining -= len(body)
        self._bytes_since_head += len(body)
        if body and self._sink is not None:
            self._sink.body(body)
        if not self._remaining:
            self._request_complete()
            if rest and not self._failed:
                self._parse(rest)

    def _request_complete(self) -> None:
        exchange, sink = self.exchange, self._sink
        if exchange is None:
            return
        exchange.request_complete = True
        if sink is not None:
            sink.body_end()
        if exchange.done:
            self.exchange_done(exchange)

    def replace_sink(self, sink: BodySink) -> None:
        """Let another object take what follows of the present request."""
        if self.exchange is not None:
            self._sink = sink
            if self._writing_paused_s is not None:
                sink.client_writable(writable=False)

    def _fail(self, error: Refused) -> None:
        """Answer bytes that are no acceptable request, and close: nothing after them is safe."""
        self._failed = True
        exchange = self.exchange
        if exchange is not None:
            # The broken bytes belong to the body being read, or follow it unasked.
            if not exchange.started:
                sink, self._sink = self._sink, None
                if sink is not None:
                    sink.client_gone()
                exchange.close_after = True
                self._owner.application.refuse(exchange.request, exchange, error)
            elif exchange.request_complete:
                exchange.close_after = True
            else:
                self.abort()
            return
        exchange = self.exchange = Exchange(self, None, None)
        self._owner.application.refuse(None, exchange, error)

    def exchange_done(self, exchange: Exchange) -> None:
        """The reply is complete: go on with the next request, or close."""
        if exchange is not self.exchange:
            return
        if exchange.close_after or self._owner.draining or not exchange.request_complete:
            self._failed = True
            self.exchange = self._sink = None
            self._close(unread=not exchange.request_complete)
            return
        self.exchange = self._sink = None
        self._phase_since_s = clock.monotonic_s()
        if self._queue:
            asyncio.get_running_loop().call_soon(self._next_queued)

    def _next_queued(self) -> None:
        if not self._queue or self._answering() or self._failed:
            return
        queued = self._queue.popleft()
        self._start(Exchange(self, queued.request, queued.request.length))
        sink = self._sink
        if sink is not None:
            for data in queued.body:
                sink.body(data)
        if not self._queue and not self._paused_by_sink:
            self.transport.resume_reading()
        if queued.ended and self._answering():
            queue, self._queue = self._queue, deque()
            self._request_complete()
            self._queue = queue
            if queue and not self._answering():
                asyncio.get_running_loop().call_soon(self._next_queued)

    def _close(self, *, unread: bool) -> None:
        """Close after the reply. A client that is still sending gets a moment to read it:

        closing with unread bytes would reset the connection and take the reply with it.
        """
        if unread and self.transport.can_write_eof():
            self.transport.write_eof()
            self._lingering = True
            self._phase_since_s = clock.monotonic_s()
        else:
            self.transport.close()

    # ------------------------------------------------------------------ control

    def _answering(self) -> bool:
        return self.exchange is not None

    @property
    def draining(self) -> bool:
        """Tell whether this connection ends after its present reply."""
        return self._owner.draining

    def pause_body(self) -> None:
        """Stop reading the request: its sink cannot take more at the moment."""
        if not self._paused_by_sink:
            self._paused_by_sink = True
            self.transport.pause_reading()

    def resume_body(self) -> None:
        """Read on."""
        if self._paused_by_sink:
            self._paused_by_sink = False
            self._phase_since_s = clock.monotonic_s()
            self._bytes_since_head = 0
            if not self._queue:
                self.transport.resume_reading()

    def check_deadline(self, now_s: float) -> None:
        """End the connection if the client is too slow in what it has to do now."""
        limits = self._owner.limits
        waited_s = now_s - self._phase_since_s
        exchange = self.exchange
        if self._lingering:
            if waited_s > LINGER_S:
                self.transport.abort()
        elif exchange is None:
            if not self._reader.in_head and waited_s > limits.idle_s:
                self.transport.close()
            elif self._reader.in_head and waited_s > limits.head_s:
                self._time_out()
        elif self._writing_paused_s is not None:
            if now_s - self._writing_paused_s > limits.stalled_s:
                self.abort()
        elif (
            not exchange.request_complete
            and not self._paused_by_sink
            and waited_s > BODY_GRACE_S
            and self._bytes_since_head < waited_s * BODY_RATE_MIN
        ):
            self._time_out()

    def _time_out(self) -> None:
        error = BadRequest("the request arrives too slowly", code="request_timeout")
        error.status = 408
        self._fail(error)

    def close_if_idle(self) -> None:
        """Close unless a request is being read or answered."""
        if self.exchange is None and not self._reader.in_head:
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._failed = True
        self.transport.abort()

    def reset(self) -> None:
        """Cut the connection with a TCP reset; what was not sent yet is lost."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None and raw.family != socket.AF_UNIX:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.abort()


def _require_known(expect: bytes) -> None:
    if expect.lower() != b"100-continue":
        error = BadRequest("an expectation that cannot be met", code="expectation")
        error.status = 417
        raise error
