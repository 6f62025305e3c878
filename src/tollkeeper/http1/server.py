"""The server side of HTTP/1.1: strict about what it reads, one connection at a time.

llhttp (through httptools) is the only parser. On top of it this file keeps what a parser
cannot know: limits, deadlines, the order of pipelined requests, backpressure, draining.

What an application sees: for each request head it is asked for a ``BodySink``; it answers
through the ``Exchange`` that came with the request. Bytes after a finished reply, trailers
and late writes go nowhere.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import httptools

from tollkeeper import clock
from tollkeeper.domain.errors import BadRequest, Refused
from tollkeeper.http1 import messages
from tollkeeper.http1.exchange import BodySink, Exchange
from tollkeeper.http1.messages import Headers, Request

if TYPE_CHECKING:
    from tollkeeper.http1.listener import ConnectionSet

WRITE_BUFFER_BYTES: Final = 64 << 10
BODY_GRACE_S: Final = 10.0
LINGER_S: Final = 2.0
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

    __slots__ = (
        "_bytes_since_head",
        "_failed",
        "_head_bytes",
        "_head_done",
        "_headers",
        "_lingering",
        "_owner",
        "_parser",
        "_paused_by_sink",
        "_peer",
        "_phase_since_s",
        "_queue",
        "_read_bytes",
        "_sink",
        "_target",
        "_writing_paused_s",
        "exchange",
        "transport",
    )

    def __init__(self, owner: ConnectionSet) -> None:
        self._owner = owner
        self._parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when made
        self.exchange: Exchange | None = None
        self._sink: BodySink | None = None
        self._queue: deque[_Queued] = deque()
        self._target = b""
        self._headers: Headers = []
        self._head_done = True
        self._head_bytes = 0  # of complete fields
        self._read_bytes = 0  # of reads that did not complete the head
        self._bytes_since_head = 0
        self._failed = False
        self._lingering = False
        self._paused_by_sink = False
        self._writing_paused_s: float | None = None
        self._phase_since_s = clock.monotonic_s()
        self._peer = ""

    # ------------------------------------------------------------------ transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._owner.connections.add(self)
        self._owner.accepted += 1

    def data_received(self, data: bytes) -> None:
        if self._failed:
            return
        if not self._head_done:
            self._read_bytes += len(data)
            if self._read_bytes > messages.HEAD_BYTES_MAX:
                self._fail(messages.too_large_head())
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._failed = True  # the request itself was whole; what follows is another protocol
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Refused):
                raise
            self._fail(cause)
        except httptools.HttpParserError:
            self._fail(BadRequest("the request breaks HTTP/1.1", code="malformed_http"))

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

    # ------------------------------------------------------------------ parser events

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._head_done = False
        self._head_bytes = self._read_bytes = 0
        if self.exchange is None:
            self._phase_since_s = clock.monotonic_s()

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > messages.TARGET_BYTES_MAX:
            raise messages.too_long_target()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer: it must never be taken for a header
        self._headers.append((name, value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > messages.HEAD_BYTES_MAX or len(self._headers) > messages.HEADERS_MAX:
            raise messages.too_large_head()

    def on_headers_complete(self) -> None:
        self._head_done = True
        parser = self._parser
        request = Request(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            self._headers,
            keep_alive=parser.should_keep_alive(),
        )
        request.peer = self._peer
        if parser.should_upgrade():
            request.keep_alive = False
        if self.exchange is not None:
            self._queue.append(_Queued(request))
            self.transport.pause_reading()
            return
        self._start(request)

    def on_body(self, data: bytes) -> None:
        if self._queue:
            self._queue[-1].body.append(data)
            return
        self._bytes_since_head += len(data)
        if self._sink is not None:
            self._sink.body(data)

    def on_message_complete(self) -> None:
        if self._queue:
            self._queue[-1].ended = True
            return
        exchange, sink = self.exchange, self._sink
        if exchange is not None:
            exchange.request_complete = True
            if sink is not None:
                sink.body_end()
        if exchange is not None and exchange.done:
            self.exchange_done(exchange)

    # ------------------------------------------------------------------ requests

    def _start(self, request: Request) -> None:
        exchange = self.exchange = Exchange(self, request)
        self._sink = None
        self._bytes_since_head = 0
        self._phase_since_s = clock.monotonic_s()
        try:
            expect = request.header(b"expect")
            if expect is not None:
                self._meet_expectation(request, expect)
            self._sink = self._owner.application.begin(request, exchange)
        except Refused as error:
            exchange.close_after = request.has_body
            self._owner.application.refuse(request, exchange, error)
            return
        if self._writing_paused_s is not None:
            self._sink.client_writable(writable=False)

    def _meet_expectation(self, request: Request, expect: bytes) -> None:
        if expect.lower() != b"100-continue":
            error = BadRequest("an expectation that cannot be met", code="expectation")
            error.status = 417
            raise error
        if request.has_body and not request.http_1_0:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

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
        exchange = self.exchange = Exchange(self, None)
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
        self._start(queued.request)
        sink = self._sink
        if sink is not None:
            for data in queued.body:
                sink.body(data)
        if not self._queue:
            self.transport.resume_reading()
        if queued.ended and self._answering():
            queue, self._queue = self._queue, deque()
            self.on_message_complete()
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
            if self._head_done and waited_s > limits.idle_s:
                self.transport.close()
            elif not self._head_done and waited_s > limits.head_s:
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
        if self.exchange is None and self._head_done:
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._failed = True
        self.transport.abort()
