"""A JSON reply as it comes in: kept whole while it is small, thinned out where it is large.

The usage of a reply stands behind its content. Content that we never look at (pictures in
base64, vectors) is cut out of large replies as they pass, so that they can be read in
little memory; the JSON around it stays valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tollkeeper.wire.readings import Reading

BODY_BYTES_MAX: Final = 8 << 20
"""A body that is still larger when it is thinned out is not read at all."""

_THIN_FROM_BYTES: Final = 256 << 10
_RUN: Final = re.compile(rb"[ !#-Z^-z|~]{1024,}")  # printable, without quotes, brackets, escapes
_KEPT: Final = 32


class JsonBody:
    """Gathers one body."""

    __slots__ = ("_lost", "_parts")

    def __init__(self) -> None:
        self._parts: bytes | bytearray = b""
        self._lost = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._lost:
            return
        if not self._parts:
            self._parts = data  # most replies come in one piece: no copy
            return
        parts = self._parts = bytearray(self._parts) if type(self._parts) is bytes else self._parts
        parts += shortened(data) if len(parts) > _THIN_FROM_BYTES else data
        if len(parts) > BODY_BYTES_MAX:
            self._lost = True
            self._parts = b""

    def text(self) -> bytes:
        """Give the body, thinned out; empty if there was none or it was too large."""
        return bytes(self._parts)


class JsonReader:
    """Reads a reply that is one JSON value; ``read`` makes the reading of its text.

    ``read`` is also told whether the body is complete.
    """

    def __init__(self, read: Callable[[bytes, bool], Reading]) -> None:
        self.finished = False
        self._read = read
        self._body: JsonBody | None = None  # only of a reply in several pieces
        self._whole = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._body is not None:
            self._body.feed(data)
        elif not self._whole:
            self._whole = data  # most replies come in one piece
        else:
            self._body = JsonBody()
            self._body.feed(self._whole)
            self._body.feed(data)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""
        text = self._whole if self._body is None else self._body.text()
        reading = self._read(text, complete)
        if reading.usage is None and text and not text.rstrip().endswith((b"}", b"]")):
            return reading._replace(final=False)  # within correct HTTP, the JSON was cut
        return reading


def shortened(data: bytes) -> bytes:
    """Cut the inside out of long runs without quotes, brackets or escapes.

    Such a run lies within one string, or within a list of numbers. Numbers are short and
    have commas between them, so a list is cut from comma to comma; a run without commas is
    a string, of which any part may go.
    """
    return _RUN.sub(_ends_of, data)


def _ends_of(run: re.Match[bytes]) -> bytes:
    text = run.group()
    first = text.find(b",", _KEPT)
    last = text.rfind(b",", 0, -_KEPT)
    if first < 0 or last < 0:
        return text[:_KEPT] + text[-_KEPT:]
    return text[:first] + text[last:] if first < last else text
