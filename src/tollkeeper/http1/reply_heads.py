"""Remembers the kinds of reply heads that an upstream sends, so that they are not parsed again.

The replies of one provider have the same fields in the same order; only some values differ:
a date, an id, what is left of a limit. After llhttp has accepted heads of one kind, a head
that is the same byte for byte, but for the values of such fields, need not be parsed and
understood again. Values that say how the message is framed or how its body is to be read
never count as differing, except the digits of its Content-Length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tollkeeper.http1.messages import Headers

HEAD_BYTES_MAX: Final = 8 << 10
"""A longer head is always parsed."""

KINDS_MAX: Final = 200
WIDENED_MAX: Final = 16
"""How often a kind is made anew because one more of its values turned out to differ."""

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 [2-5][0-9][0-9] [ -~]*")
_BODILESS: Final = (204, 304)
_LENGTH: Final = b"content-length"
# What they say decides how a reply is read or passed on, or whether its connection serves again.
_FIXED: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade", b"content-type", b"content-encoding"),
    }
)
_NEVER_AGAIN: Final = (b"upgrade", b"trailer", b"proxy-connection", b"transfer-encoding")
_VALUE: Final = rb"([!-~](?:[ -~]*[!-~])?)"
_DIGITS: Final = rb"([0-9]{1,9})"


class HeadKind:
    """What equal heads have in common.

    ``headers`` are the fields of the head that the kind was made from. ``varying`` has the
    places in it whose values are those of the head at hand, in order. ``notes`` is the
    application's own: what it derived from the kind alone. ``match`` recognises exactly the
    heads of the kind at the start of some bytes, with their values as groups; it is None for a
    kind that will not come again. ``length_group`` is the group that has the digits of the
    Content-Length, 0 where the body comes in chunks.
    """

    __slots__ = ("headers", "length_group", "match", "notes", "status", "varying")

    def __init__(
        self,
        status: int,
        headers: Headers,
        varying: Sequence[int] = (),
        pattern: re.Pattern[bytes] | None = None,
        length_group: int = 0,
    ) -> None:
        self.status = status
        self.headers = headers
        self.varying = varying
        self.match = None if pattern is None else pattern.match
        self.length_group = length_group
        self.notes: object = None


class ReplyHead:
    """One head: its kind, and ``values``, the bytes of the fields that vary in the kind."""

    __slots__ = ("kind", "status", "values")

    def __init__(self, kind: HeadKind, values: tuple[bytes, ...] = ()) -> None:
        self.kind = kind
        self.status = kind.status
        self.values = values

    @property
    def headers(self) -> Headers:
        """Give all fields in wire order, names as they were spelled."""
        headers = list(self.kind.headers)
        for place, value in zip(self.kind.varying, self.values, strict=True):
            headers[place] = (headers[place][0], value)
        return headers


class _Seen:
    """The heads with the same fields so far: one of them, and where the others differed."""

    __slots__ = ("fields", "kind", "varying", "widened")

    def __init__(self, fields: Headers) -> None:
        self.fields = fields
        self.varying: frozenset[int] = frozenset()
        self.widened = 0
        self.kind: HeadKind | None = None


_Key = tuple[bytes, tuple[tuple[bytes, bytes], ...]]


class ReplyHeadMemory:
    """Maps heads to their kinds. One for all connections of a process."""

    def __init__(self) -> None:
        self._seen: dict[_Key, _Seen] = {}

    def find(self, data: bytes) -> tuple[HeadKind, re.Match[bytes]] | None:
        """Look up the kind of the head that some read begins with; None if it is new."""
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if end < 0:
            return None
        fields = _fields(data[:end])
        seen = None if fields is None else self._seen.get(_key(data, fields))
        if seen is None or seen.kind is None or seen.kind.match is None:
            return None
        match = seen.kind.match(data)
        return None if match is None else (seen.kind, match)

    def learn(self, data: bytes, status: int, headers: Headers) -> None:
        """Take in a head that was parsed from the start of ``data`` and accepted.

        A kind is made when such a head is seen for the second time.
        """
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
        if end < 0 or status in _BODILESS or _fields(data[:end]) != headers:
            return
        if not _STATUS_LINE.fullmatch(data[: data.find(b"\r")]) or not _may_come_again(headers):
            return
        key = _key(data, headers)
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= KINDS_MAX:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = _Seen(headers)
            return
        differing = {place for place, field in enumerate(headers) if field != seen.fields[place]}
        if seen.kind is not None and seen.varying.issuperset(differing):
            return  # one of its values is of a kind that is left to the parser
        if seen.widened < WIDENED_MAX:
            seen.widened += 1
            seen.varying |= differing
            seen.kind = _kind_of(data[: data.find(b"\r")], status, seen)


def _fields(head: bytes) -> Headers | None:
    """Split a head into its fields; None unless each is written ``name: value``."""
    fields = []
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b": ")
        if not colon:
            return None
        fields.append((name, value))
    return fields


def _key(data: bytes, headers: Headers) -> _Key:
    """Give the status line, all names, and the values that never count as differing."""
    shown = [(name, value if name.lower() in _FIXED else b"") for name, value in headers]
    return data[: data.find(b"\r")], tuple(shown)


def _may_come_again(headers: Headers) -> bool:
    """Tell whether a reply says itself where it ends, and leaves its connection open."""
    framed = 0
    for name, value in headers:
        lower = name.lower()
        if lower == _LENGTH or (lower == b"transfer-encoding" and value == b"chunked"):
            framed += 1
        elif lower in _NEVER_AGAIN or (lower == b"connection" and value.lower() != b"keep-alive"):
            return False
    return framed == 1


def _kind_of(status_line: bytes, status: int, seen: _Seen) -> HeadKind:
    parts, length_group = [re.escape(status_line) + rb"\r\n"], 0
    varying: list[int] = []
    for place, (name, value) in enumerate(seen.fields):
        if name.lower() == _LENGTH:
            written, length_group = _DIGITS, len(varying) + 1
        elif place in seen.varying:
            written = _VALUE
        else:
            parts.append(re.escape(b"%b: %b\r\n" % (name, value)))
            continue
        varying.append(place)
        parts.append(re.escape(name + b": ") + written + rb"\r\n")
    pattern = re.compile(b"".join(parts) + rb"\r\n")
    return HeadKind(status, seen.fields, tuple(varying), pattern, length_group)
