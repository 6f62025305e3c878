"""Checks values against the part of JSON Schema that our OpenAPI document uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "$ref"),
    *("pattern", "minimum", "maximum", "minLength", "maxLength", "format", "default"),
    *("description", "title"),
}


def faults(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> list[str]:
    """List where a value does not fit a schema of an OpenAPI document."""
    return list(_faults(document, schema, value, "$"))


def _faults(
    document: Mapping[str, Any], schema: Mapping[str, Any], value: Any, place: str
) -> Iterator[str]:
    unknown = schema.keys() - _KNOWN
    assert not unknown, f"{place}: this checker does not know {unknown}"
    if "$ref" in schema:
        yield from _faults(document, resolved(document, schema["$ref"]), value, place)
        return
    if "anyOf" in schema and all(
        list(_faults(document, each, value, place)) for each in schema["anyOf"]
    ):
        yield f"{place}: fits nothing of anyOf"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not _is_of(schema["type"], value):
        yield f"{place}: {value!r} is not {schema['type']}"
        return
    yield from _faults_of_text(schema, value, place)
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        yield f"{place}: {value} is too small"
    if isinstance(value, list) and "items" in schema:
        for number, each in enumerate(value):
            yield from _faults(document, schema["items"], each, f"{place}[{number}]")
    if isinstance(value, dict):
        yield from _faults_of_object(document, schema, value, place)


def _faults_of_text(schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    if not isinstance(value, str):
        return
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{place}: {value!r} does not match {schema['pattern']}"
    if schema.get("format") == "date-time":
        try:
            zoned = datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            zoned = False
        if not zoned:
            yield f"{place}: {value!r} is no date-time"


def _faults_of_object(
    document: Mapping[str, Any], schema: Mapping[str, Any], value: Mapping[str, Any], place: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}: {name} is missing"
    others = schema.get("additionalProperties", True)
    for name, each in value.items():
        if name in properties:
            yield from _faults(document, properties[name], each, f"{place}.{name}")
        elif others is False:
            yield f"{place}: {name} is not described"
        elif isinstance(others, dict):
            yield from _faults(document, others, each, f"{place}.{name}")


def _is_of(types: str | list[str], value: Any) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _TYPES[name]) for name in names)


def resolved(document: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    """Give what a reference of a document points at. Raises KeyError when there is nothing."""
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict)
    return found
