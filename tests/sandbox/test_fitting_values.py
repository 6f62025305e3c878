"""Values that fit schemas, checked by a validator of their own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.sandbox.fitting_values import fitting_value

PRIMITIVES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def fits(value: Any, schema: Any) -> bool:
    """Validate a value against the part of JSON Schema that these tests use."""
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    if "anyOf" in schema:
        return any(fits(value, option) for option in schema["anyOf"])
    if "allOf" in schema:
        return all(fits(value, part) for part in schema["allOf"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return any(_has_kind(value, kind.lower(), schema) for kind in kinds)


def _has_kind(value: Any, kind: str, schema: Any) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    if not isinstance(value, PRIMITIVES[kind]):
        return False
    if kind == "string":
        return int(schema.get("minLength", 0)) <= len(value) <= int(schema.get("maxLength", 1e9))
    if kind in {"integer", "number"}:
        return (
            schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
            and value > schema.get("exclusiveMinimum", -math.inf)
            and value < schema.get("exclusiveMaximum", math.inf)
            and value % schema.get("multipleOf", 1 if kind == "integer" else value or 1) == 0
        )
    if kind == "array":
        size = int(schema.get("minItems", 0)) <= len(value) <= int(schema.get("maxItems", 1e9))
        return size and all(fits(item, schema["items"]) for item in value)
    if kind == "object":
        properties = schema.get("properties", {})
        return set(schema.get("required", ())) <= set(value) and all(
            fits(item, properties[name]) for name, item in value.items()
        )
    return True


@st.composite
def strings(draw: st.DrawFn) -> dict[str, Any]:
    least = draw(st.integers(0, 30))
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["string", "STRING"]))}
    if draw(st.booleans()):
        schema |= {"minLength": least, "maxLength": least + draw(st.integers(0, 9))}
    return schema


@st.composite
def fractions(draw: st.DrawFn) -> dict[str, Any]:
    least = draw(st.integers(-9, 9)) / 4
    return {
        "type": "number",
        draw(st.sampled_from(["minimum", "exclusiveMinimum"])): least,
        draw(st.sampled_from(["maximum", "exclusiveMaximum"])): least + 0.3,
    }


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number", "INTEGER"]))}
    least = draw(st.integers(-50, 50))
    step = draw(st.sampled_from([None, 2, 5]))
    if step:
        schema["multipleOf"] = step
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = least
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = least + 20
    return schema


def containers(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["a", "b", "c d", "ü"])

    @st.composite
    def objects(draw: st.DrawFn) -> dict[str, Any]:
        properties = draw(st.dictionaries(names, inner, max_size=4))
        required = [name for name in properties if draw(st.booleans())]
        return {"type": "object", "properties": properties, "required": required}

    @st.composite
    def arrays(draw: st.DrawFn) -> dict[str, Any]:
        least = draw(st.integers(0, 3))
        count: Any = draw(st.sampled_from([least, str(least)]))
        return {"type": "array", "items": draw(inner), "minItems": count, "maxItems": 4}

    choices = st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return st.one_of(objects(), arrays(), choices)


CONSTANTS = st.one_of(
    st.builds(lambda value: {"const": value}, st.sampled_from([1, "x", None, [1]])),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers(), min_size=1)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["null", "string"]}]),
)
SCHEMAS = st.recursive(
    st.one_of(strings(), numbers(), fractions(), CONSTANTS), containers, max_leaves=12
)


@given(SCHEMAS)
def test_what_is_made_fits(schema: dict[str, Any]) -> None:
    assert fits(fitting_value(schema), schema)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                (
                    *("type", "properties", "items", "enum", "anyOf", "allOf", "$ref", "required"),
                    *("minItems", "minLength", "minimum", "multipleOf", "additionalProperties"),
                )
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=15,
)


@given(JSON)
def test_nonsense_is_borne(schema: Any) -> None:
    fitting_value(schema)


ONE = {"const": 1}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, {}),
        (None, {}),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z"),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"items": {"type": "boolean"}}, [True]),
        ({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
         {"key_1": 1, "key_2": 1}),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, ["text", 1]),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        (
            {"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": ONE}, "required": ["b"]}],
             "$defs": {"a": {"type": "object", "properties": {"a": ONE}, "required": ["a"]}}},
            {"a": 1, "b": 1},
        ),
        ({"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"const": 7}}}, 7),
        ({"$ref": "http://elsewhere"}, None),
    ],
)  # fmt: skip
def test_single_schemas(schema: Any, value: Any) -> None:
    assert fitting_value(schema) == value


def test_schemas_without_an_end_come_to_one() -> None:
    node: dict[str, Any] = {
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}},
        "required": ["left", "right"],
    }
    assert fitting_value(node)["left"]
    assert len(fitting_value({"type": "array", "items": node, "minItems": 10**9})) == 1_000
    assert fitting_value({"$ref": "#"}) is None
