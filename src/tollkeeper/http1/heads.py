"""Remembers request heads that were parsed before.

A client sends the same head over and over; only the digits of its Content-Length change.
Once llhttp has accepted a head, the same bytes need not be parsed and checked again: what
is looked up here is the head byte for byte, with the digits of the length taken out.
A head is remembered when it is seen for the second time, so that heads which carry
something unique do not push out the others.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.http1.messages import Request

HEADS_MAX: Final = 1_000
HEAD_BYTES_MAX: Final = 4 << 10
_SEEN_MAX: Final = 10_000
_LENGTH_NAMES: Final = frozenset({b"\r\nContent-L", b"\r\ncontent-l"})
_LENGTH_DIGITS_MAX: Final = 9


class KnownHead:
    """A head that was accepted before: its bytes around the digits, and its request."""

    __slots__ = ("_after", "_after_size", "_before", "_before_size", "request")

    def __init__(self, before: bytes, after: bytes, request: Request) -> None:
        self._before, self._before_size = before, len(before)
        self._after, self._after_size = after, len(after)
        self.request = request

    def body_in(self, data: bytes) -> tuple[int, int] | None:
        """Give (start, length) of the body, if ``data`` begins with this head; else None."""
        if not data.startswith(self._before):
            return None
        start = self._before_size
        end = data.find(b"\r", start, start + _LENGTH_DIGITS_MAX + 1)
        digits = data[start:end]
        if not digits.isdigit() or not data.startswith(self._after, end):
            return None
        return end + self._after_size, int(digits)


class HeadMemory:
    """Maps heads to the requests that they were parsed to."""

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}
        self._seen: set[int] = set()

    def find(self, data: bytes) -> KnownHead | None:
        """Look up the head that some read begins with; None if it is new or incomplete."""
        parts = _around_digits(data)
        return None if parts is None else self._heads.get(parts[0] + parts[1])

    def learn(self, data: bytes, request: Request) -> None:
        """Remember a head that was parsed from the start of ``data`` and accepted."""
        parts = _around_digits(data)
        if parts is None or request.length is None or request.header(b"expect") is not None:
            return
        before, after = parts
        if len(before) + len(after) > HEAD_BYTES_MAX:
            return
        mark = hash(before + after)
        if mark not in self._seen:
            if len(self._seen) >= _SEEN_MAX:
                self._seen.clear()
            self._seen.add(mark)
            return
        if len(self._heads) >= HEADS_MAX:
            del self._heads[next(iter(self._heads))]
        self._heads[before + after] = KnownHead(before, after, request)

    def forget(self) -> None:
        """Forget all heads, and with them whatever was derived from them."""
        self._heads.clear()
        self._seen.clear()


def _around_digits(data: bytes) -> tuple[bytes, bytes] | None:
    """Cut a head around the digits of its Content-Length; None where that is not plain."""
    end = data.find(b"\r\n\r\n")
    at = data.find(b"ength: ", 0, end) if end > 0 else -1
    if at < 0 or data[at - 11 : at] not in _LENGTH_NAMES:
        return None
    at += 7
    line_end = data.find(b"\r", at, end + 1)
    digits = data[at:line_end]
    if not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX:
        return None
    return data[:at], data[line_end : end + 4]
