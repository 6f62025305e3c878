"""Of large requests the texts and the heads of pictures are kept, and stay JSON."""

from __future__ import annotations

import json
from base64 import b64encode
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.texts import Picture
from tollkeeper.wire.kept_requests import KEPT_BYTES_MAX, kept_request
from tollkeeper.wire.request_text import request_text

PNG = b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", 640, 480)
PHOTO = b64encode(PNG + b"\xff" * 900_000).decode()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PHOTO}"}},
        {"type": "image", "source": {"type": "base64", "data": PHOTO}},
        {"inlineData": {"mimeType": "image/png", "data": PHOTO}},
        {"image": {"format": "png", "source": {"bytes": PHOTO}}},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_photo_leaves_its_size_and_the_words(
    part: dict[str, Any], separators: tuple[str, str]
) -> None:
    asked = {"messages": [{"role": "user", "content": [part, {"text": "hi"}, part]}]}
    kept = kept_request(json.dumps(asked, separators=separators).encode())
    assert 0 < len(kept) < KEPT_BYTES_MAX
    found = request_text(kept)
    assert found is not None
    assert (found.text, found.pictures) == ("hi", (Picture(640, 480), Picture(640, 480)))


def test_a_small_request_is_kept_as_it_is() -> None:
    body = json.dumps({"messages": [], "data": "x" * 9_000}).encode()
    assert kept_request(body) is body
    assert kept_request(b"") == b""


def test_a_long_text_is_too_much() -> None:
    assert kept_request(json.dumps({"input": "word " * 9_000}).encode()) == b""


def test_an_escape_is_not_cut_in_two() -> None:
    for pad in range(4):
        coded = "A" * pad + "\\/" * 40_000
        kept = kept_request(b'{"input":[{"data":"%b"}]}' % coded.encode())
        assert json.loads(kept)


@given(st.lists(st.text(max_size=9), max_size=4), st.integers(0, 3_000))
def test_what_is_kept_of_media_is_json(texts: list[str], size: int) -> None:
    parts = [{"data": "A" * 40_000}, *({"text": text, "bytes": "B" * size} for text in texts)]
    kept = json.loads(kept_request(json.dumps({"input": parts}).encode()))
    assert [part.get("text") for part in kept["input"][1:]] == texts
