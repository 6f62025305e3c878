"""Streams of JSON lines: finding complete lines in a body that is cut at any place.

Ollama and Cohere's first API stream one JSON object a line, without the frame of server-sent
events.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.wire.json_body import shortened

LINE_BYTES_MAX: Final = 8 << 20
"""A line that grows above this is not stored: what it says is not read."""

MEDIA_TYPES: Final = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/stream+json",
    }
)

_LONG_BYTES: Final = 256 << 10


def are_lines(content_type: str) -> bool:
    """Tell whether a body of this type is a stream of JSON lines."""
    return content_type.partition(";")[0].strip().lower() in MEDIA_TYPES


class LineStream:
    """Cuts a stream into regions of complete lines, each of which ends with a LF.

    ``lost`` counts the lines that were too long to be kept.
    """

    __slots__ = ("_pending", "_skipping", "lost")

    def __init__(self) -> None:
        self.lost = 0
        self._pending = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> bytes:
        """Give all lines that are complete now, as one region; empty if there are none."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return b""
        region = data if end == len(data) else data[:end]
        if self._pending:
            region = bytes(self._pending) + region
            self._pending.clear()
        if self._skipping:
            self._skipping = False
            region = region[region.find(b"\n") + 1 :]
        if end < len(data):
            self._keep(data[end:])
        return region

    def rest(self) -> bytes:
        """Give what would close the line that the stream ended in; empty if it is in none."""
        if self._skipping or not self._pending.strip():
            return b""
        return b"\n"

    def _keep(self, data: bytes) -> None:
        pending = self._pending
        if self._skipping:
            return
        if len(pending) > _LONG_BYTES:
            data = shortened(data)
        pending += data
        if len(pending) > LINE_BYTES_MAX:
            self._skipping = True
            self.lost += 1
            pending.clear()


def line_around(region: bytes, at: int) -> tuple[int, int]:
    """Give where the line starts and ends that contains a place in a region."""
    end = region.find(b"\n", at)
    return region.rfind(b"\n", 0, at) + 1, (len(region) if end < 0 else end)


def lines_in(region: bytes) -> list[bytes]:
    """Give the lines of a region that hold something."""
    return [line for line in region.split(b"\n") if line.strip()]
