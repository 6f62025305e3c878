"""Takes the usage chunk out of a stream again, where we asked for it and the client did not.

To be able to bill, the gateway asks OpenAI-style streams for their usage. The provider then
sends one more chunk, without choices. A client that never asked may not expect it, so exactly
that chunk is removed; no other byte is changed, and no complete event waits.
"""

from __future__ import annotations

import re
from typing import Final

from tollkeeper.wire.lenient_json import Shape, is_present
from tollkeeper.wire.openai_chat_shapes import UsageChunk
from tollkeeper.wire.sse import data_of, event_around

HELD_BYTES_MAX: Final = 64 << 10
"""More of an incomplete event than this is not held back: the extra chunk is small."""

_NO_CHOICES: Final = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USUAL_NO_CHOICES: Final = b'"choices":[]'
_LINE_END: Final = rb"(?:\r\n|\n|\r(?!\n))"
_EVENT_END: Final = re.compile(_LINE_END + _LINE_END)
_END_BYTES_MAX: Final = 3  # an end of an event, of which the last byte is still to come


_CHUNK: Final = Shape(UsageChunk)


class HiddenUsage:
    """Passes one stream on, without its extra chunk."""

    def __init__(self) -> None:
        self._held = b""
        self._removed = False
        self._in_long_event = False
        self._drop_line_feed = False

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; give those that may be sent on now."""
        if self._drop_line_feed and data:
            # The removed event ended in a CR, whose LF has only come now.
            data = data.removeprefix(b"\n")
            self._drop_line_feed = False
        if self._removed:
            return data
        data = self._held + data
        complete = self._complete_size(data)
        passed, held = (data[:complete], data[complete:]) if complete < len(data) else (data, b"")
        extra = _extra_in(passed)
        if extra is not None:
            start, end = extra
            self._removed = True
            self._held = b""
            self._drop_line_feed = end == len(data) and data.endswith(b"\r")
            return passed[:start] + passed[end:] + held
        if self._in_long_event or len(held) > HELD_BYTES_MAX:
            self._in_long_event = bool(held)
            passed, held = passed + held[:-_END_BYTES_MAX], held[-_END_BYTES_MAX:]
        self._held = held
        return passed

    def flush(self) -> bytes:
        """Give what is still held back, at the end of the stream."""
        held, self._held = self._held, b""
        extra = _extra_in(held)
        return held if extra is None else held[: extra[0]] + held[extra[1] :]

    def _complete_size(self, data: bytes) -> int:
        """Give how many bytes belong to complete events."""
        size = data.rfind(b"\n\n") + 2
        if b"\r" in data:
            size = max((match.end() for match in _EVENT_END.finditer(data)), default=1)
        if size == 1:
            return 0
        self._in_long_event = False
        return size


def _extra_in(events: bytes) -> tuple[int, int] | None:
    """Give where the extra chunk starts and ends, or None if it is not there."""
    last = events.rfind(_USUAL_NO_CHOICES)
    if last >= 0 and b"\r" not in events:  # nearly always it is the last chunk of all
        start, end = event_around(events, last)
        if _is_extra(events[start:end]):
            return start, min(end + 2, len(events))
    marked = _NO_CHOICES.search(events)
    if marked is None:
        return None
    start = 0
    if b"\r" not in events:  # the usual stream: what is in front of the mark can be skipped
        before = events.rfind(b"\n\n", 0, marked.start())
        start = before + 2 if before >= 0 else 0
    while start < len(events):
        found = _EVENT_END.search(events, start)
        end = found.end() if found else len(events)
        if _is_extra(events[start:end]):
            # A line end in front of the event closed the one before it.
            return end - len(events[start:end].lstrip(b"\r\n")), end
        start = end
    return None


def _is_extra(event: bytes) -> bool:
    """Tell whether an event is the extra chunk: no choices, and a usage."""
    if not _NO_CHOICES.search(event):
        return False
    text = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n")
    chunk, _ = _CHUNK.read(data_of(text.removeprefix(b"\xef\xbb\xbf")))
    if chunk is None or not is_present(chunk.usage):
        return False
    return bytes(chunk.choices).translate(None, b" \t\n") == b"[]"
