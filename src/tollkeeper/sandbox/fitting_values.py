"""Makes a JSON value that fits a JSON schema, for replies that were asked to have a form.

It knows the part of JSON Schema that model providers accept, in OpenAI's and in Google's
spelling. A ``pattern`` is not solved: what is made then only has the right type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DEPTH_MAX: Final = 12
_ITEMS_MAX: Final = 1_000
_CHARS_MAX: Final = 4_000
_VALUES_MAX: Final = 5_000
_FORMATS: Final[Mapping[str, str]] = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "echo@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def fitting_value(schema: Any) -> Any:
    """Give a small value that fits a schema; an empty object where it says nothing usable."""
    if not isinstance(schema, Mapping) or not schema:
        return {}
    return _Maker(schema).value(schema, 0)


class _Maker:
    """Makes one value; ``root`` is what references point into."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._values_left = _VALUES_MAX

    def value(self, schema: Any, depth: int) -> Any:
        self._values_left -= 1
        if not isinstance(schema, Mapping) or depth > _DEPTH_MAX or self._values_left < 0:
            return None
        if "$ref" in schema:
            return self.value(self._referred(schema["$ref"]), depth + 1)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[0]
        for either in ("anyOf", "oneOf", "any_of", "one_of"):
            options = schema.get(either)
            if isinstance(options, list) and options:
                return self.value(_most_telling(options), depth + 1)
        parts = schema.get("allOf")
        if isinstance(parts, list) and parts:
            return self.value(self._merged(schema, parts), depth + 1)
        return self._of_type(_type_of(schema), schema, depth)

    def _of_type(self, kind: str, schema: Mapping[str, Any], depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _string(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
            case _:
                return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        names = required if isinstance(required, list) else list(properties)
        made = {
            name: self.value(properties.get(name, {"type": "string"}), depth + 1)
            for name in names
            if isinstance(name, str)
        }
        further = schema.get("additionalProperties")
        for index in range(min(_count(schema, "minProperties"), _ITEMS_MAX) - len(made)):
            made[f"key_{index + 1}"] = self.value(further or {"type": "string"}, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        fixed = schema.get("prefixItems")
        made = [self.value(item, depth + 1) for item in fixed] if isinstance(fixed, list) else []
        items = schema.get("items")
        wanted = _count(schema, "minItems", default=0 if made or items is None else 1)
        if "maxItems" in schema:
            wanted = min(wanted, _count(schema, "maxItems"))
        item = items or {"type": "string"}
        lacking = min(wanted, _ITEMS_MAX) - len(made)
        return made + [self.value(item, depth + 1) for _ in range(lacking)]

    def _referred(self, reference: Any) -> Any:
        """Follow ``#/a/b``; anything else leads nowhere."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found: Any = self._root
        for step in reference[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def _merged(self, schema: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
        merged: dict[str, Any] = {name: it for name, it in schema.items() if name != "allOf"}
        for part in parts:
            if isinstance(part, Mapping) and "$ref" in part:
                part = self._referred(part["$ref"])
            if not isinstance(part, Mapping):
                continue
            for name, it in part.items():
                if name == "properties" and isinstance(it, Mapping):
                    merged[name] = {**merged.get(name, {}), **it}
                elif name == "required" and isinstance(it, list):
                    merged[name] = [*merged.get(name, []), *it]
                else:
                    merged[name] = it
        return merged


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if str(name).lower() != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _most_telling(options: list[Any]) -> Any:
    """Choose what is more than null, if there is a choice."""
    for option in options:
        if not isinstance(option, Mapping) or str(option.get("type")).lower() != "null":
            return option
    return options[0]


def _string(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "text")
    text = text.ljust(min(_count(schema, "minLength"), _CHARS_MAX), ".")
    return text[: _count(schema, "maxLength", default=_CHARS_MAX)]


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """Give 1 if it is allowed, else a number near the bounds."""
    least, most = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    step = abs(_bound(schema, "multipleOf") or (1 if whole else 0))
    grain = step or 1
    edges = [edge for edge in (least, above, most, below) if edge is not None]
    multiples = [(edge // grain + near) * grain for edge in edges for near in (-1, 0, 1)]
    middle = [(edges[0] + edges[-1]) / 2] if edges else []

    def is_allowed(value: float) -> bool:
        return (
            (least is None or value >= least)
            and (most is None or value <= most)
            and (above is None or value > above)
            and (below is None or value < below)
            and (not step or value % step == 0)
        )

    value = next(filter(is_allowed, (1, grain, *edges, *multiples, *middle)), 1)
    return int(value) if whole else value


def _bound(schema: Mapping[str, Any], name: str) -> int | float | None:
    bound = schema.get(name)
    if isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) < 1e15:
        return bound
    return None


def _count(schema: Mapping[str, Any], name: str, *, default: int = 0) -> int:
    """Read a count, which Google writes as a string."""
    count = schema.get(name)
    if isinstance(count, str) and count.isdigit() and len(count) < 10:
        return int(count)
    return count if isinstance(count, int) and count >= 0 else default
