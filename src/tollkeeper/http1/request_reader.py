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
    """

    def __init__(self, receiver: RequestReceiver) -> None:
        self.between = True
        self.in_head = False
        self.upgraded = False
        self._begun = 0  # how many heads there were
        self._target = b""
        self._fields_bytes = 0  # of complete fields
        self._unfinished_bytes = 0  # of reads with nothing but a part of one head
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._headers: Headers = []

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises Refused for bytes that are no acceptable request."""
        begun = self._begun
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.upgraded = True
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError:
            raise BadRequest("the request breaks HTTP/1.1", code="malformed_http") from None
        # A read that holds more than a part of one head may hold much of a body too.
        if self.in_head and begun == self._begun:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > messages.HEAD_BYTES_MAX:
                raise messages.too_large_head()

    # ------------------------------------------------------------------ parser events

    def on_message_begin(self) -> None:
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
        self.in_head = False
        parser = self._parser
        request = Request(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            self._headers,
            keep_alive=parser.should_keep_alive() and not parser.should_upgrade(),
        )
        self._receiver.head(request)

    def on_body(self, data: bytes) -> None:
        self._receiver.body_part(data)

    def on_message_complete(self) -> None:
        self.between = True
        self._receiver.message_end()
