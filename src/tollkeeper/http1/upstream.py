"""The client side of HTTP/1.1: one kept-alive connection to an upstream.

The bytes of one read are given to the sink together, so that a burst of small chunks costs
one step and not one each. Everything that is not exactly a reply to our one open request
ends the connection: unsolicited bytes, a second length, a broken chunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools

from tollkeeper import clock
from tollkeeper.domain.errors import UpstreamFailed, UpstreamTimeout
from tollkeeper.http1.messages import Headers

WRITE_BUFFER_BYTES: Final = 256 << 10
HEAD_BYTES_MAX: Final = 64 << 10
HEADERS_MAX: Final = 200
INTERIM_MAX: Final = 8


class ReplySink(Protocol):
    """Takes the reply to one request."""

    def reply_head(self, status: int, headers: Headers, length: int | None) -> None:
        """The head came. ``length`` is None when the body's size is not declared."""

    def reply_data(self, data: bytes, *, last: bool) -> None:
        """Body bytes came, all of one read; ``last`` tells that the reply is complete."""

    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None:
        """The reply will not be completed.

        ``retriable``: the connection had been idle and closed before a single byte came
        back, so the request may be sent again on a new one.
        """

    def upload_writable(self, *, writable: bool) -> None:
        """The upstream stopped taking request bytes, or takes them again."""


class UpstreamConnection(asyncio.Protocol):
    """One connection. ``on_idle`` and ``on_closed`` tell the pool about it.

    ``target_prefix`` goes in front of each request target (for a plain-HTTP proxy).
    """

    __slots__ = (
        "_body_unsent",
        "_by_close",
        "_complete",
        "_fields_bytes",
        "_head_bytes",
        "_headers",
        "_interim",
        "_keep_alive",
        "_method_head",
        "_on_closed",
        "_on_idle",
        "_parser",
        "_parts",
        "_received",
        "_sink",
        "_status_ready",
        "closed",
        "deadline_s",
        "idle_since_s",
        "paused",
        "silence_max_s",
        "target_prefix",
        "transport",
        "uses",
    )

    def __init__(
        self,
        on_idle: Callable[[UpstreamConnection], None],
        on_closed: Callable[[UpstreamConnection], None],
    ) -> None:
        self._on_idle = on_idle
        self._on_closed = on_closed
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when made
        self.target_prefix = b""
        self.closed = False
        self.uses = 0
        self.idle_since_s = 0.0
        self.deadline_s = 0.0
        self.silence_max_s = 300.0
        self.paused = False
        self._sink: ReplySink | None = None
        self._method_head = False
        self._body_unsent = False
        self._reset()

    def _reset(self) -> None:
        self._headers: Headers = []
        self._parts: list[bytes] = []
        self._status_ready = False
        self._complete = False
        self._keep_alive = False
        self._by_close = False
        self._received = False
        self._head_bytes = 0  # read so far; -1 once the head was given on
        self._fields_bytes = 0
        self._interim = 0

    # ------------------------------------------------------------------ requests

    def send(
        self, data: bytes, sink: ReplySink, *, deadline_s: float, head_only: bool, more: bool
    ) -> None:
        """Send a request head (with its body, or the first part of it).

        ``deadline_s`` is the moment (monotonic) by which the first byte must come back,
        ``head_only`` tells that the method is HEAD, ``more`` that ``send_more`` follows.
        """
        self._sink = sink
        self._method_head = head_only
        self._body_unsent = more
        self.deadline_s = deadline_s
        self.uses += 1
        self.transport.write(data)

    def send_more(self, data: bytes, *, last: bool) -> None:
        """Send further body bytes, framed by the caller."""
        if self.closed or self._sink is None:
            return
        self.deadline_s = max(self.deadline_s, clock.monotonic_s() + self.silence_max_s)
        if data:
            self.transport.write(data)
        if last:
            self._body_unsent = False

    def give_back(self) -> None:
        """Return a connection that was taken and is not needed after all."""
        if self._sink is None and not self.closed:
            self.idle_since_s = clock.monotonic_s()
            self._on_idle(self)

    def pause(self) -> None:
        """Stop reading: the client cannot take more at the moment."""
        if not self.paused and not self.closed:
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.paused and not self.closed:
            self.paused = False
            self.transport.resume_reading()

    def abort(self) -> None:
        """Give up the open request and the connection with it."""
        self._sink = None
        self._close()

    # ------------------------------------------------------------------ transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._sink is None:
            self._close()  # nobody asked: this connection cannot be trusted any more
            return
        self._received = True
        self.deadline_s = clock.monotonic_s() + self.silence_max_s
        if not self._status_ready:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._parser_stopped(error)
            return
        if not self._status_ready and self._head_bytes > HEAD_BYTES_MAX:
            self._fail(UpstreamFailed("the provider's reply head is too large"))
            return
        self._deliver()

    def _parser_stopped(self, error: Exception) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(
            cause, UpstreamFailed
        ):
            raise error
        self._keep_alive = False
        complete = self._complete
        self._deliver()
        if not complete:  # else the reply was whole, and only what followed it was not asked for
            self._fail(
                cause
                if isinstance(cause, UpstreamFailed)
                else UpstreamFailed("the provider's reply breaks HTTP/1.1")
            )

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        sink = self._sink
        if sink is not None:
            if self._by_close and self._status_ready and exc is None:
                self._complete = True
                self._deliver()
            elif not self._received:
                self._sink = None
                sink.reply_failed(
                    UpstreamFailed("the provider closed the connection without a reply"),
                    retriable=self.uses > 1,
                )
            else:
                self._fail(UpstreamFailed("the provider's reply broke off", code="incomplete"))
        self._on_closed(self)

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.upload_writable(writable=False)

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.upload_writable(writable=True)

    # ------------------------------------------------------------------ parser events

    def on_message_begin(self) -> None:
        if self._complete:
            # A second reply in the same read: it answers nothing.
            raise UpstreamFailed("the provider sent more than one reply")
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status_ready:
            return  # a trailer
        self._headers.append((name, value))
        self._fields_bytes += len(name) + len(value)
        if len(self._headers) > HEADERS_MAX or self._fields_bytes > HEAD_BYTES_MAX:
            raise UpstreamFailed("the provider's reply head is too large")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > INTERIM_MAX:
                raise UpstreamFailed("the provider answered with an unexpected interim reply")
            return
        self._status_ready = True

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._status_ready:
            self._complete = True
            # llhttp answers this rightly only here, not after the message.
            self._keep_alive = self._parser.should_keep_alive()

    # ------------------------------------------------------------------ delivery

    def _deliver(self) -> None:
        """Give the sink what this read brought."""
        sink = self._sink
        if sink is None or not self._status_ready:
            return
        head_now = self._head_bytes >= 0
        if head_now:
            self._head_bytes = -1
            try:
                length = self._framing()
            except UpstreamFailed as error:
                self._fail(error)
                return
            if self._method_head:
                self._complete, self._keep_alive = True, False
        parts = self._parts
        data = b"" if not parts else parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        last = self._complete
        status = self._parser.get_status_code() if head_now else 0
        headers = self._headers
        if last:
            self._release()
        if head_now:
            sink.reply_head(status, headers, length)
        if last or data:
            sink.reply_data(data, last=last)

    def _framing(self) -> int | None:
        """Give the declared body size. Raises UpstreamFailed when two framings are declared."""
        length: int | None = None
        chunked = False
        for name, value in self._headers:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                if length is not None or not value.isdigit():
                    raise UpstreamFailed("the provider's reply declares its length twice")
                length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise UpstreamFailed("the provider's reply has an unknown framing")
                chunked = True
        if chunked and length is not None:
            raise UpstreamFailed("the provider's reply declares two framings")
        self._by_close = not chunked and length is None and not self._complete
        return length

    def _release(self) -> None:
        """The exchange is over: back to the pool if the connection can serve again."""
        self._sink = None
        reusable = self._keep_alive and not self._body_unsent and not self.closed
        self._reset()
        if not reusable:
            self._close()
            return
        self.resume()
        self.idle_since_s = clock.monotonic_s()
        self._on_idle(self)

    def _fail(self, error: UpstreamFailed) -> None:
        sink, self._sink = self._sink, None
        self._close()
        if sink is not None:
            sink.reply_failed(error, retriable=False)

    def time_out(self) -> None:
        """The deadline passed."""
        kind = "stopped answering" if self._received else "did not answer in time"
        self._fail(UpstreamTimeout(f"the provider {kind}"))

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self.transport.abort()

    @property
    def busy(self) -> bool:
        """Tell whether a request is open on this connection."""
        return self._sink is not None
