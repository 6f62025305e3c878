"""Reads one reply as it goes by: its usage, its error, and what of it the client may see."""

from __future__ import annotations

from typing import Final

import msgspec

from tollkeeper.domain.errors import TollkeeperError
from tollkeeper.gateway.reply_notes import ReplyNotes
from tollkeeper.http1.reply_heads import ReplyHead
from tollkeeper.wire.encodings import Decoder, decoder_for
from tollkeeper.wire.endpoints import Endpoint
from tollkeeper.wire.hidden_usage import HiddenUsage
from tollkeeper.wire.readers import COUNT_IN_HEAD, reader_for, take_head
from tollkeeper.wire.readings import NoReader, Reading, ReplyReader
from tollkeeper.wire.refusals import stream_error

BUFFERED_BYTES_MAX: Final = 2 << 20
"""A plain reply up to this size is held until its cost can stand in its head."""

_ERROR_BYTES_MAX: Final = 8 << 10
_AWS_ERROR: Final = b"x-amzn-errortype"
_UNREAD: Final = NoReader()
_EVENT_ENDS: Final = (b"\n\n", b"\r\r", b"\r\n\r\n")
_LONGEST_END: Final = 4
_decode = msgspec.json.Decoder().decode


class ReplyMeter:
    """Looks at the head and body of one reply.

    ``event_stream`` tells that the reply is a stream of events (server-sent ones, or JSON
    lines), ``whole`` that it is small and plain, so that it is given on in one piece.
    ``finished`` is true once the reply's own end marker went by.
    """

    __slots__ = (
        "_decoder",
        "_error",
        "_error_word",
        "_hidden",
        "_lines",
        "_reader",
        "_shown_last",
        "_undecodable",
        "event_stream",
        "request_id",
        "status",
        "whole",
    )

    def __init__(
        self,
        reader: str,
        head: ReplyHead,
        notes: ReplyNotes,
        length: int | None,
        *,
        streamed: bool,
        hides_usage: bool,
    ) -> None:
        self.request_id = notes.request_id(head)
        self.event_stream = False
        self.whole = False
        self._error: list[bytes] | None = None
        self._error_word = ""
        self._reader: ReplyReader = _UNREAD
        self._decoder: Decoder | None = None
        self._undecodable = False
        self._hidden: HiddenUsage | None = None
        self._shown_last = b""
        status = self.status = head.status
        content_type, encoding = notes.content_type, notes.encoding
        self._lines = notes.json_lines
        if self._lines or content_type.startswith("text/event-stream"):
            self.event_stream = True
        elif length is None or length <= BUFFERED_BYTES_MAX:
            is_plain = "json" in content_type and (not streamed or status >= 300)
            self.whole = is_plain or status >= 400
        if status < 300:
            self._reader = reader_for(reader, streamed=streamed, content_type=content_type)
            if reader == COUNT_IN_HEAD:
                take_head(self._reader, head.headers)
        elif status >= 400:
            self._error = []
            self._error_word = _error_in_head(head)
        if encoding not in {"", "identity"}:
            self._decoder = decoder_for(encoding)
            self._undecodable = self._decoder is None
        elif hides_usage and self.event_stream and not self._lines:
            self._hidden = HiddenUsage()

    @property
    def reader(self) -> ReplyReader:
        """Give what reads the body."""
        return self._reader

    def leave_unread(self) -> None:
        """Do not read the body."""
        self._reader = _UNREAD

    @property
    def finished(self) -> bool:
        """Tell whether the reply's own end marker went by."""
        return self._reader.finished

    def feed(self, data: bytes, *, last: bool) -> bytes:
        """Take body bytes as they came; give what the client may have of them."""
        if self._error is not None:
            self._keep_error(self._error, data)
        elif self._decoder is not None:
            for part in self._decoder.feed(data):
                self._reader.feed(part)
        elif data and not self._undecodable:
            self._reader.feed(data)
        if self._hidden is not None:
            data = self._hidden.feed(data)
            if last:
                data += self._hidden.flush()
        if self.event_stream and data:
            self._shown_last = data[-_LONGEST_END:]
        return data

    def last_words(self, endpoint: Endpoint, error: TollkeeperError) -> bytes:
        """Give what ends a broken stream: the end of the event that the client has read a
        part of, if it has, and the error in the caller's own protocol.
        """
        shown = self._shown_last
        end = b"\n" if self._lines else b"\n\n"
        begun = bool(shown) and not shown.endswith(end if self._lines else _EVENT_ENDS)
        return (end if begun else b"") + stream_error(endpoint, error, lines=self._lines)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""
        return self._reader.close(complete=complete)

    def error_code(self) -> str:
        """Give the provider's word for its error, else the status."""
        if self._error is None:
            return ""
        error = _error_in(b"".join(self._error))
        if isinstance(error, dict):
            for name in ("code", "type", "status"):
                word = error.get(name)
                if isinstance(word, str) and word:
                    return word
        return self._error_word or str(self.status)

    def _keep_error(self, kept: list[bytes], data: bytes) -> None:
        if sum(map(len, kept)) < _ERROR_BYTES_MAX:
            kept.append(data)


class KeptReply:
    """A plain reply that is kept back until it is whole, or too large to be worth the wait."""

    __slots__ = ("_parts", "_size_bytes")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def add(self, data: bytes, *, last: bool) -> bytes | None:
        """Keep bytes of it; give all of them where none has to wait any more."""
        if last and not self._parts:
            return data
        self._parts.append(data)
        self._size_bytes += len(data)
        if not last and self._size_bytes <= BUFFERED_BYTES_MAX:
            return None
        return b"".join(self._parts)


def _error_in_head(head: ReplyHead) -> str:
    """Give AWS's word for an error, which stands in front of where it was defined."""
    for name, value in head.headers:
        if name.lower() == _AWS_ERROR:
            return value.partition(b":")[0].decode("latin-1").strip()
    return ""


def _error_in(body: bytes) -> object:
    try:
        reply = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return reply.get("error") if isinstance(reply, dict) else None
