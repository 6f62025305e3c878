"""The client side of HTTP/1.1: one kept-alive connection to an upstream.

The bytes of one read are given to the sink together, so that a burst of small chunks costs
one step and not one each. Everything that is not exactly a reply to our one open request
ends the connection: unsolicited bytes, a second length, a broken chunk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final, Protocol, cast

import httptools

from tollkeeper import clock
from tollkeeper.domain.errors import UpstreamFailed, UpstreamTimeout
from tollkeeper.http1.messages import Headers
from tollkeeper.http1.reply_heads import HeadKind, ReplyHead, ReplyHeadMemory

WRITE_BUFFER_BYTES: Final = 256 << 10
HEAD_BYTES_MAX: Final = 64 << 10
HEADERS_MAX: Final = 200
INTERIM_MAX: Final = 8
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n\r\n"


class ReplySink(Protocol):
    """Takes the reply to one request."""

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
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

    ``heads`` remembers what heads look like. ``target_prefix`` goes in front of each request
    target, and ``proxy_lines`` behind the request line (for a plain-HTTP proxy).
    """

    def __init__(
        self,
        on_idle: Callable[[UpstreamConnection], None],
        on_closed: Callable[[UpstreamConnection], None],
        heads: ReplyHeadMemory,
    ) -> None:
        self.target_prefix = self.proxy_lines = b""
        self.closed = False
        self.uses = 0
        self.idle_since_s = 0.0
        self.deadline_s = 0.0
        self.silence_max_s = 300.0
        self.paused = False
        self._sink: ReplySink | None = None
        self._method_head = False
        self._body_unsent = False
        self._head: ReplyHead | None = None  # of the reply being read, once it is complete
        self._length: int | None = None  # what that head declares
        self._complete = False
        self._keep_alive = False
        self._head_given = False
        self._by_close = False
        self._received = False
        self._interim = 0
        self._head_bytes = 0  # of reads that did not complete the head
        self._read_bytes = 0  # of those and the present read: no head is longer
        self._head_data: bytes | None = None  # the read that began with the head being parsed
        self._kind: HeadKind | None = None  # of the latest head, if it is remembered
        self._heads = heads
        self._on_idle = on_idle
        self._on_closed = on_closed
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set when made
        self._headers: Headers = []  # being read: of the head, afterwards of the trailers
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # a parser event, of which a stream has very many
        self._parser = httptools.HttpResponseParser(self)

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

    # Whoever sent a request may still know the connection when it serves somebody else's.

    def pause(self, sink: ReplySink) -> None:
        """Stop reading the reply to a sink's request: its client cannot take more now."""
        if self._sink is sink and not self.paused and not self.closed:
            self.paused = True
            self.transport.pause_reading()

    def resume(self, sink: ReplySink) -> None:
        """Read on."""
        if self._sink is sink:
            self._read_on()

    def give_up(self, sink: ReplySink) -> None:
        """Give up a sink's request, if it is still open, and the connection with it."""
        if self._sink is sink:
            self.abort()

    def abort(self) -> None:
        """Cut the connection, whatever it does."""
        self._sink = None
        self._close()

    # ------------------------------------------------------------------ transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:
            self._close()  # nobody asked: this connection cannot be trusted any more
            return
        if not (self._received or self._method_head):
            kind, match = self._kind, None
            if kind is not None and kind.match is not None:
                match = kind.match(data)
            if match is None:
                found = self._heads.find(data)
                if found is not None:
                    kind, match = found
            if kind is not None and match is not None:
                self._kind = kind
                self._take_known(kind, match, data, sink)
                return
            self._head_data = data
        self._received = True
        self.deadline_s = clock.monotonic_s() + self.silence_max_s
        self._parse(data, len(data))

    def _take_known(
        self, kind: HeadKind, match: re.Match[bytes], data: bytes, sink: ReplySink
    ) -> None:
        """Take the first read of a reply whose head need not be parsed again.

        What follows of it is read by the parser, behind a head that stands in for its own.
        """
        head, end = ReplyHead(kind, match.groups()), match.end()
        group = kind.length_group
        length = int(match[group]) if group else None
        if length == len(data) - end:  # the usual small reply, in one read
            self._keep_alive = True
            self._release()
            sink.reply_head(head, length)
            sink.reply_data(data[end:], last=True)
            return
        self._received = True
        self.deadline_s = clock.monotonic_s() + self.silence_max_s
        self._head, self._length = head, length
        framing = _CHUNKED if length is None else b"Content-Length: %d\r\n\r\n" % length
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\n" + framing)
        self._parse(memoryview(data)[end:], len(data))

    def _parse(self, data: bytes | memoryview, size: int) -> None:
        """Let the parser read on; ``size`` bytes came with this read."""
        sink = self._sink
        self._read_bytes = self._head_bytes + size
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._parser_stopped(error)
            return
        if self._head is not None and sink is not None:
            self._deliver(sink)
        else:
            self._head_data = None
            self._head_bytes += size
            if self._head_bytes > HEAD_BYTES_MAX:
                self._fail(UpstreamFailed("the provider's reply head is too large"))

    def _parser_stopped(self, error: Exception) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(
            cause, UpstreamFailed
        ):
            raise error
        self._keep_alive = False
        complete, sink = self._complete, self._sink
        if sink is not None and self._head is not None:
            self._deliver(sink)
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
            if self._by_close and exc is None:
                self._complete = True
                self._deliver(sink)
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
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, []  # what follows are trailers, and no headers
        if self._head is not None:
            return  # what was parsed only stands in for it
        status = self._parser.get_status_code()
        length, chunked = _framing_of(headers)
        if status < 200:
            self._head_data = None
            self._interim += 1
            if status == 101 or self._interim > INTERIM_MAX:
                raise UpstreamFailed("the provider answered with an unexpected interim reply")
            return
        if len(headers) > HEADERS_MAX or (
            self._read_bytes > HEAD_BYTES_MAX and sum(map(_field_size, headers)) > HEAD_BYTES_MAX
        ):
            raise UpstreamFailed("the provider's reply head is too large")
        if self._head_data is not None and not self._method_head:
            self._heads.learn(self._head_data, status, headers)
        self._head = ReplyHead(HeadKind(status, headers))
        self._length = length
        self._by_close = length is None and not chunked

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._complete = True
            # llhttp answers this rightly only here, not after the message.
            self._keep_alive = self._parser.should_keep_alive()

    # ------------------------------------------------------------------ delivery

    def _deliver(self, sink: ReplySink) -> None:
        """Give the sink what this read brought."""
        head, length = None, self._length
        if not self._head_given:
            self._head_given = True
            self._head_data = None
            head = self._head
            if self._method_head:
                self._complete, self._keep_alive = True, False
        parts = self._parts
        data = b"" if not parts else parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        last = self._complete
        if last:
            if head is not None and length is None and not self._method_head:
                length = len(data)  # it came whole, however it was framed
            self._release()
        if head is not None:
            sink.reply_head(head, length)
        if last or data:
            sink.reply_data(data, last=last)

    def _release(self) -> None:
        """The exchange is over: back to the pool if the connection can serve again."""
        self._sink = None
        # Bytes of the request that are still on their way mean that the reply came early.
        sending = self._body_unsent or self.transport.get_write_buffer_size() > 0
        reusable = self._keep_alive and not self.closed and not sending
        if self._received:
            self._head = self._length = None
            self._parts.clear()
            self._interim = self._head_bytes = 0
            self._complete = self._head_given = self._by_close = self._received = False
        if not reusable:
            self._close()
            return
        if self.paused:
            self._read_on()
        self.idle_since_s = clock.monotonic_s()
        self._on_idle(self)

    def _read_on(self) -> None:
        if self.paused and not self.closed:
            self.paused = False
            self.transport.resume_reading()

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


def _framing_of(headers: Headers) -> tuple[int | None, bool]:
    """Give the declared size of a body, and whether it comes in chunks.

    llhttp refuses two lengths, and a length beside chunks, but not other codings.
    """
    length, chunked = None, False
    for name, value in headers:
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            length = int(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise UpstreamFailed("the provider's reply has an unknown framing")
            chunked = True
    return length, chunked


def _field_size(field: tuple[bytes, bytes]) -> int:
    return len(field[0]) + len(field[1])
