"""SCIM's PATCH (RFC 7644, 3.5.2), as the standard has it and as Okta and Entra ID send it.

Operations are applied to a resource as JSON; what of the result means something here is read from
it afterwards, as from a whole resource that was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any, Final, NamedTuple

from tollkeeper.domain.scim import Fault, ScimRefused
from tollkeeper.domain.scim_filters import (
    Attribute,
    Both,
    Compared,
    Filter,
    Path,
    fits,
    member,
    read_path,
)

OPERATIONS_MAX: Final = 1_000
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_EXTENSIONS: Final = "urn:ietf:params:scim:schemas:extension:"
_FIXED: Final = frozenset({"id", "meta", "schemas"})
_KINDS: Final = frozenset({"add", "replace", "remove"})

Resource = dict[str, Any]


class Operation(NamedTuple):
    """One step of a PATCH. Without a path its value names the attributes."""

    kind: str
    path: Path | None
    value: Any = None


def read_operations(body: Mapping[str, Any]) -> list[Operation]:
    """Read the body of a PATCH. Raises ScimRefused."""
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or PATCH_SCHEMA not in schemas:
        raise ScimRefused(Fault.SYNTAX, f"schemas must name {PATCH_SCHEMA}")
    given = body.get(member(body, "Operations") or "")
    if not isinstance(given, list) or not 0 < len(given) <= OPERATIONS_MAX:
        raise ScimRefused(Fault.SYNTAX, f"Operations must be a list of 1 to {OPERATIONS_MAX}")
    return [_operation(each) for each in given]


def patched(
    resource: Mapping[str, Any], operations: Collection[Operation], known: Collection[str]
) -> Resource:
    """Give a resource after operations; ``known`` names its attributes, in small letters.

    Raises ScimRefused, and then nothing is to be done.
    """
    result: Resource = deepcopy(dict(resource))
    for operation in operations:
        if operation.path is not None:
            _require_known(operation.path.attribute, known)
            _step(result, operation.kind, operation.path, operation.value)
        else:
            _without_path(result, operation, known)
    return result


def _operation(given: Any) -> Operation:
    if not isinstance(given, dict):
        raise ScimRefused(Fault.SYNTAX, "an operation must be an object")
    kind, path = given.get("op"), given.get("path")
    if not isinstance(kind, str) or kind.lower() not in _KINDS:
        raise ScimRefused(Fault.SYNTAX, "op must be add, replace or remove")
    if path is not None and not isinstance(path, str):
        raise ScimRefused(Fault.PATH, "a path must be a text")
    kind = kind.lower()
    if not path and kind == "remove":
        raise ScimRefused(Fault.NO_TARGET, "remove needs a path")
    if kind != "remove" and "value" not in given:
        raise ScimRefused(Fault.VALUE, f"{kind} needs a value")
    return Operation(kind, read_path(path) if path else None, given.get("value"))


def _without_path(result: Resource, operation: Operation, known: Collection[str]) -> None:
    """Take each name of the value for a path, as Entra ID writes ``name.formatted``."""
    if not isinstance(operation.value, dict):
        raise ScimRefused(Fault.VALUE, "without a path, the value must be an object")
    for name, value in operation.value.items():
        if name.lower().startswith(_EXTENSIONS):
            continue
        path = read_path(name)
        if path.attribute.name in _FIXED:  # Okta sends the id along
            if path.attribute.name == "id" and value != result.get("id"):
                raise ScimRefused(Fault.MUTABILITY, "an id never changes")
            continue
        _require_known(path.attribute, known)
        _step(result, operation.kind, path, value)


def _require_known(attribute: Attribute, known: Collection[str]) -> None:
    if attribute.urn.startswith(_EXTENSIONS):
        return
    if attribute.name in _FIXED:
        raise ScimRefused(Fault.MUTABILITY, f"{attribute.name} cannot be changed")
    if attribute.name not in known:
        raise ScimRefused(Fault.PATH, f"there is no attribute {attribute.name[:60]!r}")


def _step(result: Resource, kind: str, path: Path, value: Any) -> None:
    attribute = path.attribute
    if attribute.urn.startswith(_EXTENSIONS):
        return  # nothing of an extension is kept here
    name = member(result, attribute.name) or attribute.name
    if path.where is not None:
        _step_where(result, kind, name, path.where, path.part, value)
    elif attribute.part:
        _step_part(result, kind, name, attribute.part, value)
    elif kind == "remove":
        _remove(result, name, value)
    else:
        _put(result, kind, name, value)


def _remove(result: Resource, name: str, value: Any) -> None:
    """Remove an attribute; of one with several values those that are named, as Entra ID does."""
    has = result.get(name)
    if value is None or not isinstance(has, list):
        result.pop(name, None)
        return
    gone = [_identity(each) for each in _listed(value)]
    result[name] = [each for each in has if _identity(each) not in gone]


def _put(result: Resource, kind: str, name: str, value: Any) -> None:
    has = result.get(name)
    if isinstance(has, list):
        new = _listed(value)
        if kind == "add":
            known = [_identity(each) for each in has]
            new = has + [each for each in new if _identity(each) not in known]
        result[name] = new
    elif isinstance(has, dict) and isinstance(value, dict):
        result[name] = _merged(has, value)
    else:
        result[name] = value


def _step_part(result: Resource, kind: str, name: str, part: str, value: Any) -> None:
    has = result.get(name)
    if has is None and kind != "remove":
        has = result[name] = {}
    for each in _listed(has):
        if isinstance(each, dict):
            _set_part(each, kind, part, value)


def _step_where(
    result: Resource, kind: str, name: str, where: Filter, part: str, value: Any
) -> None:
    """Change those of several values that fit; one that is not there yet is made by its filter."""
    has = result.get(name)
    values = has if isinstance(has, list) else []
    found = [each for each in values if isinstance(each, dict) and fits(where, each, name.lower())]
    if kind == "remove" and not part:
        result[name] = [each for each in values if not any(each is gone for gone in found)]
        return
    if kind != "remove" and not found:
        made = _made_by(where)
        if made is None or not part:
            raise ScimRefused(Fault.NO_TARGET, f"no value of {name} fits the path")
        result[name] = [*values, made]
        found = [made]
    for each in found:
        if part:
            _set_part(each, kind, part, value)
        elif isinstance(value, dict):
            each.update(_merged(each, value))
        else:
            raise ScimRefused(Fault.VALUE, f"a value of {name} must be an object")


def _made_by(where: Filter) -> Resource | None:
    """Give a value that fits a filter of nothing but equalities, None for any other."""
    if isinstance(where, Both):
        left, right = _made_by(where.left), _made_by(where.right)
        return None if left is None or right is None else left | right
    if isinstance(where, Compared) and where.operator == "eq" and not where.attribute.part:
        return {where.attribute.name: where.value}
    return None


def _set_part(value: Resource, kind: str, part: str, new: Any) -> None:
    spelt = member(value, part) or part
    if kind == "remove":
        value.pop(spelt, None)
    else:
        value[spelt] = new


def _merged(has: Mapping[str, Any], new: Mapping[str, Any]) -> Resource:
    return {**has, **{member(has, name) or name: value for name, value in new.items()}}


def _identity(value: Any) -> Any:
    """Give what tells one of several values from the others."""
    if isinstance(value, dict):
        spelt = member(value, "value")
        return value if spelt is None else value[spelt]
    return value


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
