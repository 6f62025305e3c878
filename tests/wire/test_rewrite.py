"""Rewriting a request changes what it must and not one byte more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.controls import read_controls
from tollkeeper.wire.endpoints import CHAT
from tollkeeper.wire.rewrite import (
    path_below,
    with_model,
    with_path_model,
    with_usage_requested,
    without_tags,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
BODIES = st.dictionaries(
    st.sampled_from(["messages", "a", "é", 'q"', "temperature", "x"]), VALUES, max_size=5
)
LAYOUTS = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 2}, {"ensure_ascii": False}])


def around(whole: bytes, part: bytes) -> tuple[bytes, bytes]:
    before, found, after = whole.partition(part)
    assert found
    return before, after


@given(BODIES, LAYOUTS, st.text(max_size=12))
def test_another_model_changes_only_the_model(
    body: dict[str, Any], layout: dict[str, Any], model: str
) -> None:
    text = json.dumps({**body, "model": "the-old-model", "z": 1}, **layout).encode()
    changed = with_model(text, model)
    assert json.loads(changed) == {**body, "model": model, "z": 1}
    before, after = around(text, b'"the-old-model"')
    assert changed.startswith(before)
    assert changed.endswith(after)


@given(BODIES, LAYOUTS)
def test_a_missing_model_is_added_in_front(body: dict[str, Any], layout: dict[str, Any]) -> None:
    text = json.dumps(body, **layout).encode()
    changed = with_model(text, "m")
    assert json.loads(changed) == {"model": "m", **body}
    assert changed.endswith(text[1:])


OPTIONS = st.sampled_from(
    [
        None,
        {},
        {"include_usage": False},
        {"include_usage": True},
        {"include_usage": None},
        {"include_obfuscation": False},
        {"include_obfuscation": False, "include_usage": False, "x": {"include_usage": 1}},
    ]
)


@given(BODIES, LAYOUTS, OPTIONS)
def test_asking_for_usage_keeps_every_other_option(
    body: dict[str, Any], layout: dict[str, Any], options: dict[str, Any] | None
) -> None:
    whole = {"model": "m", **body, "stream_options": options, "stream": True}
    changed = with_usage_requested(json.dumps(whole, **layout).encode())
    wanted = {**(options or {}), "include_usage": True}
    assert json.loads(changed) == {**whole, "stream_options": wanted}
    assert read_controls(changed, CHAT).asks_for_usage
    assert with_usage_requested(changed) == changed


@given(BODIES, LAYOUTS)
def test_asking_for_usage_where_nobody_asked(body: dict[str, Any], layout: dict[str, Any]) -> None:
    text = json.dumps(body, **layout).encode()
    changed = with_usage_requested(text)
    assert json.loads(changed) == {"stream_options": {"include_usage": True}, **body}
    assert changed.endswith(text[1:])


def test_blanks_around_the_object_stay() -> None:
    assert with_model(b' \n{ "model" : "a" } ', "b") == b' \n{ "model" : "b" } '
    assert with_usage_requested(b" { } ") == b' {"stream_options":{"include_usage":true} } '


def test_an_ambiguous_body_is_not_rewritten() -> None:
    for change in (with_usage_requested, without_tags, lambda text: with_model(text, "b")):
        with pytest.raises(BadRequest):
            change(b'{"model":"a","model":"b"}')


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"model": "m", "tags": ["a"]}, {"model": "m"}),
        ({"model": "m", "litellm_metadata": {"tags": []}}, {"model": "m"}),
        ({"metadata": {"tags": ["a"], "x": "y"}}, {"metadata": {"x": "y"}}),
        ({"metadata": {"tags": {"a": "b"}}}, {}),
        ({"metadata": {"tags": ["a"]}, "tags": {}, "n": 1.0}, {"n": 1.0}),
    ],
)
def test_tags_are_taken_out(body: dict[str, Any], left: dict[str, Any]) -> None:
    assert json.loads(without_tags(json.dumps(body).encode())) == left


@pytest.mark.parametrize(
    "body",
    [b'{ "model" : "m" }', b'{"metadata": {"tags": "a,b"}}', b'{"metadata":null}', b"{}"],
)
def test_a_body_without_tags_for_us_stays_as_it_is(body: bytes) -> None:
    assert without_tags(body) is body


@pytest.mark.parametrize(
    ("path", "model", "changed"),
    [
        ("/v1beta/models/a:generateContent", "b", "/v1beta/models/b:generateContent"),
        ("/v1beta/models/a%3Ab:countTokens", "b:c", "/v1beta/models/b%3Ac:countTokens"),
        ("/v1/models/lab/a:generateContent", "b", "/v1/models/b:generateContent"),
        ("/v1/models/a:generateContent", "x?y#z", "/v1/models/x%3Fy%23z:generateContent"),
        ("/v1/tunedModels/a:generateContent", "b", "/v1/models/b:generateContent"),
        ("/v1/models/a:generateContent", "tunedModels/b", "/v1/tunedModels/b:generateContent"),
        (
            "/v1/projects/p/locations/l/publishers/google/models/a:predict",
            "b",
            "/v1/projects/p/locations/l/publishers/google/models/b:predict",
        ),
    ],
)
def test_another_model_in_a_path(path: str, model: str, changed: str) -> None:
    assert with_path_model(path, model) == changed


@pytest.mark.parametrize("path", ["/chat/completions", "/v1internal:generateContent", "/models"])
def test_a_path_without_a_model_stays_as_it_is(path: str) -> None:
    assert with_path_model(path, "m") == path


@pytest.mark.parametrize(
    ("base", "path", "below"),
    [
        ("", "/v1/models/a:generateContent", "/v1/models/a:generateContent"),
        ("/", "/v1beta/models/a:generateContent", "/v1beta/models/a:generateContent"),
        ("/v1beta", "/v1/models/a:generateContent", "/v1beta/models/a:generateContent"),
        (
            "/v1beta1/publishers/google",
            "/v1beta/models/a:generateContent",
            "/v1beta1/publishers/google/models/a:generateContent",
        ),
        (
            "/v1/projects/ours/locations/eu/publishers/google",
            "/v1/projects/theirs/locations/us/publishers/google/models/a:generateContent",
            "/v1/projects/ours/locations/eu/publishers/google/models/a:generateContent",
        ),
        ("/proxy/v1beta", "/models", "/proxy/v1beta/models"),
    ],
)
def test_a_base_with_a_path_of_its_own_decides(base: str, path: str, below: str) -> None:
    assert path_below(base, path) == below
