"""How the tools that a request declares look to a model: what their tokens are counted of.

OpenAI's models read declarations as TypeScript: it says no more than that they are shown in a
syntax of their own, its users have found out which, and recorded counts confirm it. Google's
count the texts of a declaration and none of its signs, as the tokenizer in its client library.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_DEPTH_MAX: Final = 8
_SCHEMAS_MAX: Final = 2_000
_SCHEMAS: Final = ("parameters", "input_schema", "inputSchema", "parametersJsonSchema")
_CHOICES: Final = ("anyOf", "oneOf", "any_of")
_PLAIN_TYPES: Final = {
    **{name: name for name in ("string", "number", "boolean", "null")},
    "integer": "number",
}


def declared(tools: str) -> list[dict[str, Any]]:
    """Read the JSON of the declared tools."""
    found = msgspec.json.decode(tools)
    return [tool for tool in found if isinstance(tool, dict)]


class _Scope:
    """The definitions that a tool's schema may refer to, and how much of it is read at all.

    Definitions may refer to each other, and so say in few words what would never end.
    """

    def __init__(self, tool: dict[str, Any]) -> None:
        schema = _schema_of(tool)
        found = schema.get("$defs") or schema.get("definitions")
        self._definitions: dict[str, Any] = found if isinstance(found, dict) else {}
        self._room = _SCHEMAS_MAX
        self.schema = self.resolved(schema)

    def resolved(self, schema: Any) -> dict[str, Any]:
        """Follow a reference to a definition, once: what that refers to is followed later."""
        self._room -= 1
        if self._room < 0 or not isinstance(schema, dict):
            return {}
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        target = self._definitions.get(name)
        return {**target, **schema} if isinstance(target, dict) else schema


def _schema_of(tool: dict[str, Any]) -> dict[str, Any]:
    found = next((tool[name] for name in _SCHEMAS if isinstance(tool.get(name), dict)), None) or {}
    inner = found.get("json")  # as Bedrock wraps it
    schema: dict[str, Any] = inner if isinstance(inner, dict) else found
    return schema


def _choices(schema: dict[str, Any]) -> list[Any]:
    """Give the schemas that a value may have one of."""
    return next((schema[name] for name in _CHOICES if isinstance(schema.get(name), list)), [])


# ------------------------------------------------------------------------------- TypeScript


def as_typescript(tools: list[dict[str, Any]]) -> str:
    """Write tools as OpenAI's models read them."""
    written = "".join(map(_function, tools))
    return (
        f"# Tools\n\n## functions\n\nnamespace functions {{\n\n{written}}} // namespace functions"
    )


def _function(tool: dict[str, Any]) -> str:
    notes = str(tool.get("description") or "")
    comment = "".join(f"// {line}\n" for line in notes.split("\n")) if notes else ""
    scope = _Scope(tool)
    members = _members(scope.schema, scope, 0)
    taken = f"_: {{\n{members}}}" if members else ""
    return f"{comment}type {tool.get('name')} = ({taken}) => any;\n\n"


def _members(schema: dict[str, Any], scope: _Scope, depth: int) -> str:
    """Write the properties of an object, each on a line, with what is told of it before it."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or depth > _DEPTH_MAX:
        return ""
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    lines = []
    for name, value in properties.items():
        inner = scope.resolved(value)
        lines += [f"// {inner[note]}\n" for note in ("title", "description") if inner.get(note)]
        optional = "" if name in needed else "?"
        preset = inner.get("default")
        default = "" if preset is None else f" // default: {preset}"
        lines.append(f"{name}{optional}: {_type(inner, scope, depth)},{default}\n")
    return "".join(lines)


def _type(schema: dict[str, Any], scope: _Scope, depth: int) -> str:
    kind = schema.get("type")
    if depth > _DEPTH_MAX:
        return "any"
    if isinstance(schema.get("enum"), list):
        return " | ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    choices = _choices(schema)
    if not choices and isinstance(kind, list):
        choices = [{**schema, "type": each} for each in kind]
    if choices:
        return " | ".join(_type(scope.resolved(each), scope, depth + 1) for each in choices)
    if kind == "array":
        return f"{_type(scope.resolved(schema.get('items')), scope, depth + 1)}[]"
    if kind == "object" or "properties" in schema:
        members = _members(schema, scope, depth + 1)
        return f"{{\n{members}}}" if members else "object"
    return _PLAIN_TYPES.get(kind, "any") if isinstance(kind, str) else "any"


# ------------------------------------------------------------------------------------ texts


def texts_of(tools: list[dict[str, Any]]) -> list[str]:
    """Give the texts of tools that Google's models count."""
    texts: list[str] = []
    for tool in tools:
        texts += [str(tool[name]) for name in ("name", "description") if tool.get(name)]
        scope = _Scope(tool)
        _add_texts(scope.schema, scope, texts, 0)
    return texts


def _add_texts(schema: dict[str, Any], scope: _Scope, texts: list[str], depth: int) -> None:
    if depth > _DEPTH_MAX or not schema:
        return
    texts += [str(schema[name]) for name in ("format", "description") if schema.get(name)]
    for name in ("enum", "required"):
        if isinstance(schema.get(name), list):
            texts += map(str, schema[name])
    for inner in (schema.get("items"), *_choices(schema)):
        _add_texts(scope.resolved(inner), scope, texts, depth + 1)
    if isinstance(schema.get("properties"), dict):
        for name, inner in schema["properties"].items():
            texts.append(name)
            _add_texts(scope.resolved(inner), scope, texts, depth + 1)
