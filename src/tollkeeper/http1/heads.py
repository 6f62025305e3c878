"""Remembers request heads that were parsed before.

A client sends the same head over and over; only the digits of its Content-Length change.
Once llhttp has accepted a head, the same bytes need not be parsed and checked again: what
is looked up here is the head byte for byte, with the digits of the length taken out.
A head is remembered when it is seen for the second time, so that heads which carry
something unique do not push out the others.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.http1.messages import Request

HEADS_MAX: Final = 1_000
HEAD_BYTES_MAX: Final = 4 << 10
_SEEN_MAX: Final = 10_000
_LENGTH_NAMES: Final = frozenset({b"\r\nContent-L", b"\r\ncontent-l"})
_LENGTH_DIGITS_MAX: Final = 9


class KnownHead(NamedTuple):
    """A head that was found: the request, where its body begins, and how long it is."""

    request: Request
    body_start: int
    length: int


class HeadMemory:
    """Maps heads to the requests that they were parsed to."""

    def __init__(self) -> None:
        self._requests: dict[bytes, Request] = {}
        self._seen: set[int] = set()
        self.found = 0

    def find(self, data: bytes) -> KnownHead | None:
        """Look up the head at the start of what was read; None if it is new or incomplete."""
        end = data.find(b"\r\n\r\n")
        at = data.find(b"ength: ", 0, end) if end > 0 else -1
        if at < 0 or data[at - 11 : at] not in _LENGTH_NAMES:
            return None
        at += 7
        line_end = data.find(b"\r", at, end + 1)
        digits = data[at:line_end]
        if not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX:
            return None
        request = self._requests.get(data[:at] + data[line_end:end])
        if request is None:
            return None
        self.found += 1
        return KnownHead(request, end + 4, int(digits))

    def learn(self, data: bytes, request: Request) -> None:
        """Remember a head that was parsed from the start of ``data`` and accepted."""
        end = data.find(b"\r\n\r\n")
        at = data.find(b"ength: ", 0, end) if 0 < end <= HEAD_BYTES_MAX else -1
        if at < 0 or data[at - 11 : at] not in _LENGTH_NAMES or request.length is None:
            return
        if request.header(b"expect") is not None:
            return  # there is more to do than to read the body
        at += 7
        line_end = data.find(b"\r", at, end + 1)
        if data[at:line_end] != b"%d" % request.length:
            return  # written in a way (leading zeros, blanks) that is not worth a rule here
        head = data[:at] + data[line_end:end]
        mark = hash(head)
        if mark not in self._seen:
            if len(self._seen) >= _SEEN_MAX:
                self._seen.clear()
            self._seen.add(mark)
            return
        if len(self._requests) >= HEADS_MAX:
            del self._requests[next(iter(self._requests))]
        self._requests[head] = request

    def forget(self) -> None:
        """Forget all heads, and with them whatever was derived from them."""
        self._requests.clear()
        self._seen.clear()
