"""Members of JSON objects: found in little memory, and only where there is one reading."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.json_object import MEMBERS_MAX, read_members, string_of, value_span

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=6), st.sampled_from([None, 1]))
def test_members_and_their_places(whole: dict[str, Any], indent: int | None) -> None:
    for ascii_only in (True, False):
        text = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode()
        members = read_members(text)
        assert {key: json.loads(bytes(value)) for key, value in members.items()} == whole
        for key, value in members.items():
            start, end = value_span(text, members, key)
            assert text[start:end] == bytes(value)


@pytest.mark.parametrize(
    "text",
    [
        b"{" + b",".join(b'"k%d":0' % number for number in range(1_000_000)) + b"}",
        b'{"messages":{' + b",".join(b'"k%d":0' % n for n in range(1_000_000)) + b'},"messages":0}',
        b'{"a":' + b"[" * 5_000_000,
        b'{"x":"' + b":" * 10_000_000 + b'"',
    ],
    ids=["members", "hidden", "deep", "colons"],
)
def test_a_flood_is_refused_in_little_memory(text: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest):
            read_members(text)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_content_may_have_any_number_of_members() -> None:
    content = {f"k{number}": 0 for number in range(3 * MEMBERS_MAX)}
    for field in ("messages", "input", "tools", "request", "response_format"):
        text = json.dumps({"model": "m", field: content}).encode()
        assert set(read_members(text)) == {"model", field}


def test_an_error_does_not_quote_the_body() -> None:
    with pytest.raises(BadRequest) as caught:
        read_members(b'{"secret prompt": "a", "secret prompt": "b"}')
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [b"1", b"null", b"[]", b"", b"x"])
def test_what_is_no_string(value: bytes) -> None:
    with pytest.raises(ValueError, match="string"):
        string_of(value)


@given(st.text())
def test_strings(text: str) -> None:
    assert string_of(json.dumps(text).encode()) == text
    assert string_of(json.dumps(text, ensure_ascii=False).encode()) == text
