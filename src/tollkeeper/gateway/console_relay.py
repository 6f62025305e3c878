"""Hands everything that is no call over to the console process, and its answer back.

The console may be starting, or down: calls go on, and people get a page that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tollkeeper import clock
from tollkeeper.domain.errors import TollkeeperError, UpstreamFailed
from tollkeeper.gateway.came_from import came_from
from tollkeeper.gateway.shared import Gateway
from tollkeeper.http1.exchange import Exchange
from tollkeeper.http1.messages import Headers, Request
from tollkeeper.http1.origin import Origin
from tollkeeper.http1.reply_heads import ReplyHead
from tollkeeper.http1.upstream import UpstreamConnection

# Anybody may send these bodies, so they are small (the console takes 64 KB) and few at once.
_BODY_BYTES_MAX: Final = 128 << 10
_ALL_BODIES_BYTES_MAX: Final = 64 << 20
_TEXT_LINE: Final = b"content-type: text/plain; charset=utf-8\r\n"
_FIRST_BYTE_S: Final = 120.0
_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
        b"expect",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"forwarded",
    }
)
_AWAY: Final = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
    b"<title>Tollkeeper</title><h1>The dashboard is starting</h1><p>Calls are carried and "
    b"recorded meanwhile. This page looks again every two seconds.</p></html>"
)
_AWAY_LINES: Final = (
    b"content-type: text/html; charset=utf-8\r\ncache-control: no-store\r\nretry-after: 2\r\n"
    b"content-security-policy: default-src 'none'\r\n"
)


class ConsoleRelay:
    """Carries one request to the console (``BodySink``) and its reply back (``ReplySink``)."""

    def __init__(
        self, gateway: Gateway, origin: Origin, request: Request, exchange: Exchange
    ) -> None:
        self._gateway = gateway
        self._origin = origin
        self._request = request
        self._exchange = exchange
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._connection: UpstreamConnection | None = None
        self._lines = b""
        self._resent = False
        self._gone = False
        self._data = b""

    # ------------------------------------------------------------------ the request

    def body(self, data: bytes) -> None:
        if self._exchange.done:
            return
        self._size_bytes += len(data)
        self._gateway.page_bytes += len(data)
        self._parts.append(data)
        if self._size_bytes > _BODY_BYTES_MAX:
            self._refuse(413, b"", b"the upload is too large\n")
        elif self._gateway.page_bytes > _ALL_BODIES_BYTES_MAX:
            self._refuse(503, b"retry-after: 2\r\n", b"too many uploads at once\n")

    def _refuse(self, status: int, lines: bytes, text: bytes) -> None:
        self._forget_body()
        self._answer(status, _TEXT_LINE + lines, text)

    def _forget_body(self) -> None:
        self._gateway.page_bytes -= self._size_bytes
        self._size_bytes = 0
        self._parts = []

    def body_end(self) -> None:
        if self._exchange.done:
            return
        self._data = self._head() + b"".join(self._parts)
        self._forget_body()
        connection = self._gateway.pool.take_idle(self._origin)
        if connection is None:
            self._gateway.pool.connect(self._origin, self._connected)
        else:
            self._send(connection)

    def _head(self) -> bytes:
        request = self._request
        lines = [
            b"%b: %b\r\n" % field
            for field in request.headers
            if field[0].lower() not in _HOP_BY_HOP
        ]
        trusted = self._gateway.settings.trusted_proxies
        client = came_from(request, self._exchange.peer, trusted)
        lines.append(b"x-forwarded-for: %b\r\n" % client.encode("latin-1"))
        lines.append(b"content-length: %d\r\n\r\n" % self._size_bytes)
        return b"%b %b HTTP/1.1\r\n%b" % (request.method, request.target, b"".join(lines))

    def _connected(
        self, connection: UpstreamConnection | None, error: TollkeeperError | None
    ) -> None:
        if connection is None:
            self._answer(503, _AWAY_LINES, _AWAY)
        elif self._gone:
            connection.give_back()
        else:
            self._send(connection)

    def _send(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.send(
            self._data,
            self,
            deadline_s=clock.monotonic_s() + _FIRST_BYTE_S,
            head_only=self._request.method == b"HEAD",
            more=False,
        )

    def cut(self) -> None:
        """End a reply that has no end of its own; the page opens it again elsewhere."""
        lines, self._lines = self._lines, b""
        self.client_gone()
        self._exchange.end(b"", lines)

    def client_gone(self) -> None:
        self._gone = True
        self._gateway.page_streams.discard(self)
        self._forget_body()
        if self._connection is not None:
            self._connection.give_up(self)

    def client_writable(self, *, writable: bool) -> None:
        if self._connection is not None:
            if writable:
                self._connection.resume(self)
            else:
                self._connection.pause(self)

    # ------------------------------------------------------------------ the reply

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
        self._data = b""
        headers = head.headers
        if any(_is_event_stream(field) for field in headers):
            self._gateway.page_streams.add(self)
        self._lines = self._exchange.head(head.status, b"".join(_passed_on(headers)), length)

    def reply_data(self, data: bytes, *, last: bool) -> None:
        lines, self._lines = self._lines, b""
        if last:
            self._gateway.page_streams.discard(self)
            self._exchange.end(data, lines)
        else:
            self._exchange.write(data, lines)

    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None:
        self._connection = None
        self._gateway.page_streams.discard(self)
        if self._exchange.started:
            self._exchange.abort()
        elif retriable and self._data and not self._resent and not self._gone:
            self._resent = True
            self._gateway.pool.connect(self._origin, self._connected)
        else:
            self._answer(503, _AWAY_LINES, _AWAY)

    def upload_writable(self, *, writable: bool) -> None:
        """The body was sent in one piece."""

    def _answer(self, status: int, lines: bytes, body: bytes) -> None:
        if not self._exchange.started:
            self._exchange.send(status, lines, body)


def _is_event_stream(field: tuple[bytes, bytes]) -> bool:
    name, value = field
    return name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")


def _passed_on(headers: Headers) -> list[bytes]:
    return [b"%b: %b\r\n" % field for field in headers if field[0].lower() not in _HOP_BY_HOP]


class ConsoleQuestion:
    """Asks the console for one small thing, and calls back with its status and body.

    Status 0 means that the console did not answer.
    """

    def __init__(self, gateway: Gateway, origin: Origin, path: bytes, headers: bytes) -> None:
        self._gateway = gateway
        self._origin = origin
        self._data = b"GET %b HTTP/1.1\r\nhost: console\r\n%b\r\n" % (path, headers)
        self._status = 0
        self._body: list[bytes] = []
        self._answered: Callable[[int, bytes], None] = lambda status, body: None

    def ask(self, answered: Callable[[int, bytes], None]) -> None:
        """Ask on a connection of its own."""
        self._answered = answered
        self._gateway.pool.connect(self._origin, self._connected)

    def _connected(
        self, connection: UpstreamConnection | None, error: TollkeeperError | None
    ) -> None:
        if connection is None:
            self._answered(0, b"")
            return
        deadline_s = clock.monotonic_s() + 2.0
        connection.send(self._data, self, deadline_s=deadline_s, head_only=False, more=False)

    def reply_head(self, head: ReplyHead, length: int | None) -> None:
        self._status = head.status

    def reply_data(self, data: bytes, *, last: bool) -> None:
        self._body.append(data)
        if last:
            self._answered(self._status, b"".join(self._body))

    def reply_failed(self, error: UpstreamFailed, *, retriable: bool) -> None:
        self._answered(0, b"")

    def upload_writable(self, *, writable: bool) -> None:
        """There is no body."""
