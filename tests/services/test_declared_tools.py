"""Declared tools as models read them: TypeScript for OpenAI's, bare texts for Google's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.services.declared_tools import as_typescript, declared, texts_of

SCHEMA = {
    "type": "object",
    "$defs": {"Place": {"type": "object", "properties": {"city": {"type": "string"}}}},
    "properties": {
        "place": {"$ref": "#/$defs/Place", "description": "Where."},
        "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        "days": {"type": "array", "items": {"type": "integer", "title": "Day"}},
        "wind": {"type": ["boolean", "null"]},
        "size": {"anyOf": [{"type": "number"}, {"type": "object"}]},
    },
    "required": ["place"],
}
TOOL = {"name": "look", "description": "Look it up.\nTwice.", "parameters": SCHEMA}


def test_typescript() -> None:
    lines = as_typescript([TOOL, {"name": "wait"}]).splitlines()
    assert lines[lines.index("// Look it up.") :] == [
        "// Look it up.",
        "// Twice.",
        "type look = (_: {",
        "// Where.",
        "place: {",
        "city?: string,",
        "},",
        'unit?: "C" | "F", // default: C',
        "days?: number[],",
        "wind?: boolean | null,",
        "size?: number | object,",
        "}) => any;",
        "",
        "type wait = () => any;",
        "",
        "} // namespace functions",
    ]


def test_texts() -> None:
    assert texts_of([TOOL]) == [
        *("look", "Look it up.\nTwice.", "place", "place", "Where.", "city"),
        *("unit", "C", "F", "days", "wind", "size"),
    ]


@pytest.mark.parametrize(
    "place", ["parameters", "input_schema", "inputSchema", "parametersJsonSchema"]
)
def test_every_dialect(place: str) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert texts_of([{"name": "look", place: schema}]) == ["look", "city"]
    assert "city?: string," in as_typescript([{"name": "look", place: {"json": schema}}])


def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    tool = {"name": "f", "parameters": {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}}
    assert 2 < as_typescript([tool]).count("next") < 20
    assert 2 < len(texts_of([tool])) < 20


def test_definitions_that_multiply_are_read_as_far_as_there_is_room() -> None:
    twenty = {f"p{number}": {"$ref": "#/$defs/Node"} for number in range(20)}
    node = {"type": "object", "properties": twenty}
    tool = {"name": "f", "parameters": {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}}
    assert len(as_typescript([tool])) < 100_000
    assert len(texts_of([tool])) < 10_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("name", "description", "parameters", "properties", "items", "anyOf"),
                    *("type", "enum", "required", "$ref", "$defs", "default", "title"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=3))
def test_no_declaration_breaks_it(tools: list[Any]) -> None:
    found = declared(json.dumps(tools))
    assert "namespace" in as_typescript(found)
    assert all(isinstance(text, str) for text in texts_of(found))
