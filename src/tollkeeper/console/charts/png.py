"""Pictures as PNG, for mails, which show no SVG: areas of few colours, row by row."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

Colour = tuple[int, int, int]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PALETTE: Final = 3  # each pixel is one byte: its colour's place
_DEPTH: Final = 8
_AS_IT_IS: Final = b"\0"  # how a row is filtered: not at all


def png(width: int, rows: Iterable[tuple[bytes, int]], colours: Sequence[Colour]) -> bytes:
    """Write a picture. Each of ``rows`` holds ``width`` places in ``colours``, and how many
    rows in a run look like it."""
    data = bytearray()
    height = 0
    for row, times in rows:
        if len(row) != width:
            raise ValueError(f"a row has {len(row)} pixels, not {width}")
        data += (_AS_IT_IS + row) * times
        height += times
    head = struct.pack(">IIBBBBB", width, height, _DEPTH, _PALETTE, 0, 0, 0)
    palette = bytes(part for colour in colours for part in colour)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", head),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", zlib.compress(bytes(data), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
