"""AWS's event streams (application/vnd.amazon.eventstream), cut into messages as bytes go by.

A message is its length, the length of its headers, a checksum of these two numbers, headers,
payload, and a checksum of all of it (numbers big-endian, checksums CRC-32). Nothing of a
message is believed before its checksum fits. Source: the Smithy specification of the
encoding, docs.aws.amazon.com on event stream encoding.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

MESSAGE_BYTES_MAX: Final = (24 << 20) + (128 << 10) + 16
"""A payload of 24 MiB and headers of 128 KiB, as AWS limits them: more is no such stream."""

STORED_BYTES_MAX: Final = 8 << 20
"""A message above this is checked as it goes by, but not stored: what it says is not read."""

EVENT: Final = "event"
EXCEPTION: Final = "exception"
ERROR: Final = "error"

_HEADERS_BYTES_MAX: Final = 128 << 10
_PRELUDE: Final = Struct(">III")
_PRELUDE_BYTES: Final = 12
_CHECKED_BYTES: Final = 8  # of the prelude, by its own checksum
_CHECKSUM_BYTES: Final = 4
_FRAME_BYTES: Final = _PRELUDE_BYTES + _CHECKSUM_BYTES
_KNOWN_MAX: Final = 64
_KNOWN_BYTES_MAX: Final = 256

# Kinds of header values that are of one size; bytes (6) and text (7) tell theirs in two bytes.
_FIXED_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_SIZED: Final = frozenset({6, 7})
_TEXT: Final = 7


Message = tuple[str, str, bytes]
"""Kind, name and payload of one message.

The kind is "event", "exception" or "error" (or what else was sent), the name the type of the
event or exception, or the error's code.
"""


class AwsEventStream:
    """Cuts one stream. ``fault`` says in a word what was wrong; then it gives nothing more."""

    __slots__ = ("_checksum", "_known", "_left", "_needed", "_pending", "_preludes", "fault")

    def __init__(self) -> None:
        self.fault = ""
        self._pending = bytearray()
        self._needed = 0  # bytes that must be there before it is worth looking again
        self._left = 0  # bytes to come of a message that is not stored
        self._checksum = 0
        self._known: dict[bytes, tuple[str, str]] = {}
        self._preludes: dict[bytes, tuple[int, int]] = {}  # those that were found good

    @property
    def at_boundary(self) -> bool:
        """Tell whether the last message so far is whole."""
        return not self._pending and not self._left and not self.fault

    def feed(self, data: bytes) -> list[Message]:
        """Give the messages that are complete now."""
        if self.fault:
            return []
        if self._left:
            data = self._pass_by(data)
            if not data:
                return []
        pending = self._pending
        if pending:
            pending += data
            if len(pending) < self._needed:
                return []
            data = bytes(pending)
            pending.clear()
        found: list[Message] = []
        from_bytes = int.from_bytes
        known, preludes = self._known, self._preludes
        start, size = 0, len(data)
        while size - start >= _PRELUDE_BYTES:
            prelude = data[start : start + _PRELUDE_BYTES]
            sizes = preludes.get(prelude) or self._read_prelude(prelude)
            if sizes is None:
                return found
            total, headers_bytes = sizes
            end, after = start + total, start + _PRELUDE_BYTES + headers_bytes
            if end > size or total > STORED_BYTES_MAX:
                break
            body_end = end - _CHECKSUM_BYTES
            if crc32(data[start:body_end]) != from_bytes(data[body_end:end], "big"):
                self.fault = "checksum"
                return found
            headers = data[start + _PRELUDE_BYTES : after]
            named = known.get(headers) or self._learn(headers)
            if named is None:
                self.fault = "headers"
                return found
            found.append((*named, data[after:body_end]))
            start = end
        if start < size:
            found += self._wait(data[start:] if start else data)
        return found

    def _read_prelude(self, prelude: bytes) -> tuple[int, int] | None:
        """Give the sizes of a message and its headers, None with the fault if it is none."""
        total, headers_bytes, checksum = _PRELUDE.unpack(prelude)
        if (
            crc32(prelude[:_CHECKED_BYTES]) != checksum
            or _FRAME_BYTES + headers_bytes > total
            or total > MESSAGE_BYTES_MAX
            or headers_bytes > _HEADERS_BYTES_MAX
        ):
            self.fault = _prelude_fault(prelude, total, headers_bytes, checksum)
            return None
        if len(self._preludes) < _KNOWN_MAX:
            self._preludes[prelude] = total, headers_bytes
        return total, headers_bytes

    def _learn(self, headers: bytes) -> tuple[str, str] | None:
        named = _names_in(headers)
        small = len(headers) <= _KNOWN_BYTES_MAX
        if named is not None and small and len(self._known) < _KNOWN_MAX:
            self._known[headers] = named
        return named

    def _wait(self, data: bytes) -> list[Message]:
        """Keep the beginning of a message, or pass over one that is too large for that."""
        self._needed = _PRELUDE_BYTES
        if len(data) >= _PRELUDE_BYTES:
            self._needed = total = _PRELUDE.unpack_from(data)[0]
            if total > STORED_BYTES_MAX:
                self._checksum, self._left = 0, total
                rest = self._pass_by(data)
                return self.feed(rest) if rest else []
        self._pending += data
        return []

    def _pass_by(self, data: bytes) -> bytes:
        """Take what belongs to a message that is not stored; give what is behind it."""
        mine, rest = data[: self._left], data[self._left :]
        self._left -= len(mine)
        # The last four bytes are the checksum of all others. They wait, wherever they are cut.
        tail = bytes(self._pending) + mine
        self._pending.clear()
        keep = max(0, _CHECKSUM_BYTES - self._left)
        self._checksum = crc32(tail[: len(tail) - keep], self._checksum)
        if self._left:
            self._pending += tail[len(tail) - keep :]
        elif int.from_bytes(tail[-_CHECKSUM_BYTES:], "big") != self._checksum:
            self.fault = "checksum"
            return b""
        return rest


def _prelude_fault(prelude: bytes, total: int, headers_bytes: int, checksum: int) -> str:
    if crc32(prelude[:_CHECKED_BYTES]) != checksum:
        return "prelude_checksum"
    if _FRAME_BYTES + headers_bytes <= total <= MESSAGE_BYTES_MAX:
        return "headers_size"
    return "message_size"


def _names_in(headers: bytes) -> tuple[str, str] | None:
    """Read which kind of message the headers announce; None for headers that cannot be read."""
    texts: dict[bytes, str] = {}
    at, size = 0, len(headers)
    while at < size:
        name_end = at + 1 + headers[at]
        if name_end >= size:
            return None
        name, kind = headers[at + 1 : name_end], headers[name_end]
        at = name_end + 1
        length = _FIXED_SIZES.get(kind)
        if kind in _SIZED:
            length = int.from_bytes(headers[at : at + 2], "big")
            at += 2
        if length is None or at + length > size:
            return None
        if kind == _TEXT:
            texts[name] = headers[at : at + length].decode("utf-8", "replace")
        at += length
    kind_word = texts.get(b":message-type", "")
    for place in (b":event-type", b":exception-type", b":error-code"):
        if place in texts:
            return kind_word, texts[place]
    return kind_word, ""
