"""Reads requests from a byte stream with llhttp, and keeps the limits that a parser has not."""

from __future__ import annotations

from typing import Protocol

import httptools

from tollkeeper.domain.errors import BadRequest, Refused
from tollkeeper.http1 import messages
from tollkeeper.http1.messages import Headers, Request


class RequestReceiver(Protocol):
    """Takes what a reader reads."""

    def head_begins(self) -> None:
        """The first bytes of a request came."""

    def head(self, request: Request) -> None:
        """A head is complete and acceptable."""

    def body_part(self, data: bytes) -> None:
        """Body bytes of the latest head."""

    def message_end(self) -> None:
        """The latest request is complete."""


class RequestReader:
    """Reads one connection's requests.

    ``between`` is true while no request is being read, ``in_head`` while a head is.
    ``upgraded`` tells that a request asked for another protocol: nothing after it is HTTP.

    An offer of another protocol may be passed over, and then the request has a body like any
    other (RFC 9110 section 7.8). The parser takes that body for the other protocol already;
    so a second parser reads it, behind a head that stands in for the one with the offer.
    """

    def __init__(self, receiver: RequestReceiver) -> None:
        self.between = True
        self.in_head = False
        self.upgraded = False
        self._begun = 0  # how many heads there were
        self._target = b""
        self._fields_bytes = 0  # of complete fields
        self._stand_in = b""  # the head of a request whose body the parser will not read
        self._unfinished_bytes = 0  # of reads with nothing but a part of one head
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._headers: Headers = []

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises Refused for bytes that are no acceptable request."""
        begun = self._begun
        self._parse(data)
        # A read that holds more than a part of one head may hold much of a body too.
        if self.in_head and begun == self._begun:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > messages.HEAD_BYTES_MAX:
                raise messages.too_large_head()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self.upgraded = not self._stand_in
            if self._stand_in:
                self._parser = httptools.HttpRequestParser(self)
                self._parse(self._stand_in)
                self._parse(data[offer.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError:
            raise BadRequest("the request breaks HTTP/1.1", code="malformed_http") from None

    # ------------------------------------------------------------------ parser events

    def on_message_begin(self) -> None:
        if self._stand_in:
            return
        self.between = False
        self.in_head = True
        self._begun += 1
        self._target = b""
        self._headers = []
        self._fields_bytes = self._unfinished_bytes = 0
        self._receiver.head_begins()

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > messages.TARGET_BYTES_MAX:
            raise messages.too_long_target()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            return  # a trailer: it must never be taken for a header
        self._headers.append((name, value))
        self._fields_bytes += len(name) + len(value)
        if (
            self._fields_bytes > messages.HEAD_BYTES_MAX
            or len(self._headers) > messages.HEADERS_MAX
        ):
            raise messages.too_large_head()

    def on_headers_complete(self) -> None:
        if self._stand_in:
            self._stand_in = b""  # from here on the two requests are the same
            return
        self.in_head = False
        parser = self._parser
        request = Request(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            self._headers,
            keep_alive=parser.should_keep_alive() and not parser.should_upgrade(),
        )
        if parser.should_upgrade():
            self._stand_in = _stand_in(request)
        self._receiver.head(request)

    def on_body(self, data: bytes) -> None:
        self._receiver.body_part(data)

    def on_message_complete(self) -> None:
        if self._stand_in:
            return  # its body follows
        self.between = True
        self._receiver.message_end()


def _stand_in(request: Request) -> bytes:
    """Give a head with the body of another one but no offer; empty if there is no body.

    A WebSocket is no offer but a demand: it is answered with an error at once.
    """
    if b"websocket" in (request.header(b"upgrade") or b"").lower():
        return b""
    start = b"POST / HTTP/1.1\r\nConnection: close\r\n"
    if request.chunked:
        return start + b"Transfer-Encoding: chunked\r\n\r\n"
    if request.length:
        return start + b"Content-Length: %d\r\n\r\n" % request.length
    return b""
