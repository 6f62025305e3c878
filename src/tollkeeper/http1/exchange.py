"""The answer to one request: framing, in order, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tollkeeper.http1.messages import Request, status_line

if TYPE_CHECKING:
    from tollkeeper.http1.server import ServerConnection

_LAST_CHUNK = b"0\r\n\r\n"
_BODILESS = frozenset({204, 304})


class BodySink(Protocol):
    """Takes the body of one request, and what happens to its client."""

    def body(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    def body_end(self) -> None:
        """The body is complete."""

    def client_gone(self) -> None:
        """The client left, or broke the protocol: nothing can be answered any more."""

    def client_writable(self, *, writable: bool) -> None:
        """The client stopped taking bytes, or takes them again."""


class Exchange:
    """The reply side of one request.

    ``head`` then ``write``… then ``end``; or ``send`` for everything at once. After the
    client is gone all of them do nothing. ``length`` is the declared size of the body (None
    if there is none, or it is chunked); ``request`` is None if its head was unreadable.
    """

    def __init__(
        self, connection: ServerConnection, request: Request | None, length: int | None
    ) -> None:
        self.request_complete = False
        self.started = False
        self.done = False
        self._chunked = False
        self._connection: ServerConnection | None = connection
        self.request = request
        self.length = length
        self.close_after = request is None or not request.keep_alive
        self._bodiless = request is not None and request.method == b"HEAD"

    @property
    def connected(self) -> bool:
        """Tell whether the client is still there."""
        return self._connection is not None

    @property
    def has_body(self) -> bool:
        """Tell whether body bytes belong to the request."""
        return bool(self.length) or (self.request is not None and self.request.chunked)

    @property
    def peer(self) -> str:
        """Give the client's address as text, "" on a unix socket or after it has gone."""
        return "" if self._connection is None else self._connection.peer

    def detach(self) -> None:
        """The connection is gone."""
        self._connection = None
        self.done = True

    def hand_over(self, sink: BodySink) -> None:
        """Let another object take what follows: the rest of the body, the client's moods."""
        if self._connection is not None:
            self._connection.replace_sink(sink)

    # ------------------------------------------------------------------ replying

    def send(self, status: int, headers: bytes, body: bytes) -> None:
        """Send a whole reply. ``headers`` are complete lines, without framing ones."""
        connection = self._connection
        if connection is None or self.done:
            return
        ordinary = self.request_complete and not (self._bodiless or self.close_after)
        if not ordinary or connection.draining or status in _BODILESS:
            head = self._head_bytes(status, headers, len(body))
            connection.transport.write(head if self._bodiless else head + body)
        else:
            self.started = True
            line, size = status_line(status), len(body)
            connection.transport.write(
                b"%b%bcontent-length: %d\r\n\r\n%b" % (line, headers, size, body)
            )
            self.done = True
            connection.exchange_done(self)
            return
        self._finish()

    def head(self, status: int, headers: bytes, length: int | None) -> bytes:
        """Give the head of a reply whose body follows; ``length`` None if it is not known.

        The caller writes it, alone or together with the first bytes, through ``write_raw``.
        """
        return self._head_bytes(status, headers, length)

    def write(self, data: bytes, before: bytes = b"") -> None:
        """Send body bytes, framed as the head announced; ``before`` is a head to go first."""
        if self._connection is None or self.done:
            return
        if self._bodiless:
            data = b""
        elif self._chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if before:
            data = before + data
        if data:
            self._connection.transport.write(data)

    def end(self, data: bytes = b"", before: bytes = b"") -> None:
        """Send the last body bytes and the end of the reply."""
        if self._connection is None or self.done:
            return
        if self._bodiless:
            data = b""
        elif self._chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else _LAST_CHUNK
        if before:
            data = before + data
        if data:
            self._connection.transport.write(data)
        self._finish()

    def abort(self) -> None:
        """Cut the connection: the reply cannot be completed and the client must notice."""
        if self._connection is not None:
            self.done = True
            self._connection.abort()

    def reset(self) -> None:
        """Cut the connection so that the other side sees a reset, where the socket can."""
        if self._connection is not None:
            self.done = True
            self._connection.reset()

    def pause_body(self) -> None:
        """Ask for no more request bytes for now."""
        if self._connection is not None:
            self._connection.pause_body()

    def resume_body(self) -> None:
        """Ask for more request bytes."""
        if self._connection is not None:
            self._connection.resume_body()

    def _head_bytes(self, status: int, headers: bytes, length: int | None) -> bytes:
        self.started = True
        if self._connection is not None and self._connection.draining:
            self.close_after = True
        if not self.request_complete and self._leaves_body_unread:
            self.close_after = True
        if status in _BODILESS:
            self._bodiless = True
            framing = b""
        elif length is not None:
            framing = b"content-length: %d\r\n" % length
        elif self.request is not None and self.request.http_1_0:
            framing = b""
            self.close_after = True
        else:
            self._chunked = not self._bodiless
            framing = b"transfer-encoding: chunked\r\n"
        if self.close_after:
            framing += b"connection: close\r\n"
        return b"%b%b%b\r\n" % (status_line(status), headers, framing)

    def _finish(self) -> None:
        self.done = True
        if self._connection is None:
            return
        if self.request_complete:
            self._connection.exchange_done(self)
        elif self._leaves_body_unread:
            # Answered before the body came: reading the rest would only cost.
            self.close_after = True
            self._connection.exchange_done(self)

    @property
    def _leaves_body_unread(self) -> bool:
        """Tell whether a reply that ends before its request leaves bytes of it unread."""
        return self.request is None or self.has_body
