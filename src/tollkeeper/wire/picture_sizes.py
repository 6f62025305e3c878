"""How many pixels a picture has that stands in a request, read from the head of its file."""

from __future__ import annotations

import binascii
import struct
from typing import Final

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_HEAD_CHARACTERS: Final = 128 << 10  # of a JPEG with a small copy of itself in its head
_SIDE_MAX: Final = 16_384  # nobody takes larger ones
_STARTS: Final = ("iVBOR", "/9j/", "R0lGO", "UklGR")
"""How a PNG, JPEG, GIF or WebP file begins in base64."""

_URL_SAFE: Final = str.maketrans("-_", "+/")
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def picture_size(text: str) -> tuple[int, int] | None:
    """Give the width and height of a picture in base64, or in a ``data:`` URL.

    None where it is none, or of a kind or shape that is not known.
    """
    start = text.find(",") + 1 if text.startswith("data:") else 0
    coded = text[start : start + _HEAD_CHARACTERS].translate(_URL_SAFE).rstrip("=")
    if not coded.startswith(_STARTS):
        return None
    try:
        size = _size_of(binascii.a2b_base64(coded[: len(coded) // 4 * 4]))
    except (binascii.Error, struct.error, ValueError):
        return None
    return size if size is not None and 0 < min(size) <= max(size) <= _SIDE_MAX else None


def _size_of(data: bytes) -> tuple[int, int] | None:
    width: int
    height: int
    if data.startswith(_PNG):
        width, height = struct.unpack_from(">II", data, 16)
    elif data.startswith(b"GIF8"):
        width, height = struct.unpack_from("<HH", data, 6)
    elif data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    elif data[8:12] == b"WEBP":
        return _webp_size(data)
    else:
        return None
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk from segment to segment up to the one that has the size."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 if kind in _JPEG_BARE else 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    return None
