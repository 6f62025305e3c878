"""Replies that do not fit their shape are read field by field."""

from __future__ import annotations

import json

import msgspec
import pytest

from tollkeeper.wire.lenient_json import Count, Shape, compact_text, merged_objects


class Inner(msgspec.Struct):
    count: Count = None
    name: str | None = None


class Outer(msgspec.Struct):
    count: Count = None
    inner: Inner | None = None
    many: list[Inner] | None = None
    raw: msgspec.Raw = msgspec.Raw(b"")
    word: str | None = None


SHAPE = Shape(Outer)


def test_what_fits_is_read_in_one_go() -> None:
    found, fault = SHAPE.read(b'{"count":5,"inner":{"count":1},"raw":{"a":[1]},"other":"x"}')
    assert found is not None
    assert (found.count, found.inner, bytes(found.raw)) == (5, Inner(1), b'{"a":[1]}')
    assert fault == ""


def test_what_does_not_fit_is_left_out_and_the_rest_is_read() -> None:
    text = (
        b'{"count":-1,"inner":{"count":2,"name":7},"many":[{"count":3},5,{"count":"x"}],"word":1}'
    )
    found, fault = SHAPE.read(text)
    assert found is not None
    assert found.count is None
    assert found.inner == Inner(2)
    assert found.many == [Inner(3), Inner()]
    assert found.word is None
    assert fault == "negative_count"


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b'"x"', b"{", b'{"a":1}x', b"\xff", b"[" * 100_000]
)
def test_what_is_no_object_is_not_read(text: bytes) -> None:
    assert SHAPE.read(text) == (None, "unreadable")


def test_raw_parts_of_unusual_json_can_be_read_later() -> None:
    found, _ = SHAPE.read(b'{"count":NaN,"raw":{"count":1e999}}')
    assert found is not None
    assert SHAPE.read(found.raw)[1] == "count_too_large"


def test_many_texts_of_which_one_is_damaged() -> None:
    found = SHAPE.read_all([b'{"count":1}', b"{", b'{"count":-2}', b'{"count":3}'])
    assert [item.count for item in found] == [1, None, 3]


def test_merging() -> None:
    assert json.loads(merged_objects(b'{"a":1,"b":2}', b'{"b":null,"c":{"d":1}}')) == {
        "a": 1,
        "b": 2,
        "c": {"d": 1},
    }
    assert merged_objects(b'{"a":1}', b'{"b":1e400}') == b'{"a":1,"b":1e400}'
    assert merged_objects(b'{"a":1}', b'{"b":NaN}') == b'{"a": 1, "b": NaN}'
    assert merged_objects(b"[]", b'{"b":1}') == b'{"b":1}'
    assert merged_objects(b'{"a":1}', b"{") == b"{"


def test_compact_text() -> None:
    assert compact_text(b'{"a": 1,\n "b": "x y"}') == '{"a":1,"b":"x y"}'
    assert compact_text(b'{"a":1}') == '{"a":1}'
    assert compact_text(b'{"a": ') == ""
    assert compact_text(b"x" * 20_000) == ""


def test_a_list_in_the_place_of_an_object_is_left_out() -> None:
    found, fault = SHAPE.read(b'{"count":5,"inner":[{"count":1}],"many":{"count":1}}')
    assert found == Outer(count=5)
    assert fault == ""
