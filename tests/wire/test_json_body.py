"""Large bodies are thinned out and stay valid JSON."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from provider_replies import IMAGES_QUANTITIES, images_reply, pieces, read
from tollkeeper.wire.json_body import BODY_BYTES_MAX, JsonBody, shortened

texts = st.text(max_size=20)
long_texts = st.sampled_from(
    ["QUJD" * 900, "a, b " * 700, "ü" * 900, "\\" * 900, '"' * 700, "{" * 2_000]
)
numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=150, max_size=400)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | long_texts | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def _shape(value: Any) -> Any:
    """Give what must stay as it is: everything but long strings and long lists of numbers."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, str):
        return value if len(value) < 500 else "long"
    if isinstance(value, list):
        return "numbers" if len(value) > 20 else [_shape(inner) for inner in value]
    return value


@given(values, st.sampled_from([None, 1]))
def test_thinned_out_json_is_valid_and_has_the_same_shape(value: Any, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent).encode()
    thin = shortened(text)
    assert len(thin) <= len(text)
    before, after = _shape(value), json.loads(thin)
    assert _shape(after) == before or _numbers_cut(after, value)


def _numbers_cut(after: Any, before: Any) -> bool:
    """Tell whether two values differ only in long strings and lists that were cut."""
    if isinstance(before, dict):
        return after.keys() == before.keys() and all(
            _numbers_cut(after[key], before[key]) for key in before
        )
    if isinstance(before, list):
        if len(before) > 20:
            return set(map(str, after)) <= set(map(str, before))
        return len(after) == len(before) and all(map(_numbers_cut, after, before))
    if isinstance(before, str) and len(before) > 500:
        return isinstance(after, str)
    return bool(after == before)


@given(st.lists(st.integers(0, 1 << 22), max_size=5))
def test_a_large_picture_does_not_hide_the_usage(cuts: list[int]) -> None:
    body = images_reply(data=[{"b64_json": base64.b64encode(b"\x07" * 1_500_000).decode()}])
    found = read("openai_images", pieces(body, [*cuts, 300_000, 600_000])).usage
    assert found is not None
    assert found.quantities == IMAGES_QUANTITIES


def test_little_is_kept_of_a_huge_body() -> None:
    body = JsonBody()
    body.feed(b'{"data":[{"b64_json":"')
    for _ in range(640):  # 40 MB
        body.feed(b"A" * 65_536)
    body.feed(b'"}],"usage":{"input_tokens":1}}')
    assert len(body.text()) < 1 << 20
    assert json.loads(body.text())["usage"] == {"input_tokens": 1}


def test_vectors_are_cut_from_comma_to_comma() -> None:
    values = [random.Random(7).uniform(-1, 1) for _ in range(5_000)]
    text = json.dumps({"embedding": values, "usage": {"prompt_tokens": 5}}).encode()
    thin = json.loads(shortened(text))
    assert thin["usage"] == {"prompt_tokens": 5}
    assert set(thin["embedding"]) <= set(values)
    assert len(thin["embedding"]) < 20


def test_what_cannot_be_thinned_out_is_given_up() -> None:
    body = JsonBody()
    for _ in range((BODY_BYTES_MAX >> 16) + 2):
        body.feed(b'"x",' * (1 << 14))
    assert body.text() == b""
    body.feed(b"more")
    assert body.text() == b""
