"""The size of a picture from the head of its file, in whatever format and however it is cut."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.wire.picture_sizes import picture_size

PNG = b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x06\0\0\0"
GIF = b"GIF89a" + pack("<HH", 640, 480) + b"\0\0\0"
JPEG = (
    b"\xff\xd8\xff\xe0"
    + pack(">H", 16)
    + b"JFIF\0\x01\x01\0\0\1\0\1\0\0"
    + b"\xff\xc2"
    + pack(">HBHH", 17, 8, 480, 640)
    + b"\3"
)
WEBP = b"RIFF\0\0\0\0WEBP"
LOSSY = WEBP + b"VP8 \0\0\0\0\x30\1\0\x9d\x01\x2a" + pack("<HH", 640, 480)
LOSSLESS = WEBP + b"VP8L\0\0\0\0\x2f" + pack("<I", 639 | 479 << 14)
EXTENDED = WEBP + b"VP8X\0\0\0\0\0\0\0\0" + pack("<I", 639)[:3] + pack("<I", 479)[:3]


@pytest.mark.parametrize("data", [PNG, GIF, JPEG, LOSSY, LOSSLESS, EXTENDED])
def test_every_format(data: bytes) -> None:
    coded = b64encode(data + b"\0" * 50).decode()
    assert picture_size(coded) == (640, 480)
    assert picture_size(f"data:image/x;base64,{coded}") == (640, 480)
    assert picture_size(urlsafe_b64encode(data + b"\xff" * 50).decode()) == (640, 480)


@pytest.mark.parametrize(
    "text",
    [
        *("", "data:", "https://example.com/a.png", "iVBOR", "/9j/", "UklGR", "R0lGO", "iVBOR\0\0"),
        b64encode(PNG[:16] + pack(">II", 0, 9)).decode(),
        b64encode(PNG[:16] + pack(">II", 9, 2**31)).decode(),
        b64encode(JPEG[:4] + b"\0\0" * 9).decode(),
        b64encode(WEBP + b"VP9 ").decode(),
    ],
)
def test_what_is_no_picture_has_no_size(text: str) -> None:
    assert picture_size(text) is None


@given(
    st.sampled_from([PNG, GIF, JPEG, LOSSY, LOSSLESS, EXTENDED]),
    st.integers(0, 40),
    st.binary(max_size=40),
)
def test_no_file_breaks_it(data: bytes, kept: int, rest: bytes) -> None:
    size = picture_size(b64encode(data[:kept] + rest).decode())
    assert size is None or min(size) > 0
