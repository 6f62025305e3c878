"""Lists of SCIM's resources: filtered, a page at a time, with the attributes that are wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from tollkeeper.console.answers import Document
from tollkeeper.console.scim_words import LIST
from tollkeeper.domain.scim import Fault, ScimRefused
from tollkeeper.domain.scim_filters import Both, Compared, Filter, attributes_of, fits, read_filter

COUNT_MAX: Final = 200
"""How many resources are on a page, and how many there are unless fewer are asked for."""

_ALWAYS: Final = frozenset({"id", "schemas", "meta"})
_DIGITS_MAX: Final = 9
Query = Mapping[str, str]
Thing = TypeVar("Thing")


def wanted_filter(query: Query, known: Collection[str]) -> Filter | None:
    """Read the filter that was sent, if any. Raises ScimRefused."""
    text = query.get("filter")
    if text is None:
        return None
    found = read_filter(text)
    for attribute in attributes_of(found):
        if attribute.name not in known:
            raise ScimRefused(Fault.FILTER, f"there is no attribute {attribute.name[:60]!r}")
    return found


def sought(found: Filter | None, name: str) -> str | None:
    """Give the text that an attribute has to be equal to, None where others would fit too."""
    if isinstance(found, Both):
        left = sought(found.left, name)
        return sought(found.right, name) if left is None else left
    if isinstance(found, Compared) and found.operator == "eq" and not found.attribute.part:
        is_it = found.attribute.name == name and isinstance(found.value, str)
        return str(found.value) if is_it else None
    return None


def page_of(
    query: Query,
    found: Filter | None,
    things: Sequence[Thing],
    document: Callable[[Thing], dict[str, Any]],
) -> Document:
    """Give the page of a list that was asked for, of the things that fit."""
    start, count = _number(query, "startIndex", 1), _number(query, "count", COUNT_MAX)
    first, most = max(start, 1), min(max(count, 0), COUNT_MAX)
    if found is None:
        total, shown = len(things), [document(each) for each in things[first - 1 :][:most]]
    else:
        fitting = [each for each in map(document, things) if fits(found, each)]
        total, shown = len(fitting), fitting[first - 1 :][:most]
    return Document(
        {
            "schemas": [LIST],
            "totalResults": total,
            "startIndex": first,
            "itemsPerPage": len(shown),
            "Resources": [chosen(query, each) for each in shown],
        }
    )


def told(query: Query, resource: dict[str, Any], status: int) -> Document:
    """Answer with one resource, as far as it is wanted, and where it is (RFC 7644, 3.1)."""
    headers = {"Location": str(resource["meta"]["location"])}
    return Document(chosen(query, resource), status, headers)


def chosen(query: Query, resource: dict[str, Any]) -> dict[str, Any]:
    """Give of a resource what ``attributes`` or ``excludedAttributes`` leave."""
    only, without = _names(query, "attributes"), _names(query, "excludedAttributes")
    if only and without:
        raise ScimRefused(Fault.VALUE, "give attributes or excludedAttributes, not both")
    if only:
        tops = {each.partition(".")[0] for each in only} | _ALWAYS
        return {name: value for name, value in resource.items() if name.lower() in tops}
    gone = without - _ALWAYS
    return {name: value for name, value in resource.items() if name.lower() not in gone}


def _names(query: Query, parameter: str) -> set[str]:
    given = (each.strip().lower() for each in query.get(parameter, "").split(","))
    return {each.rpartition(":")[2] for each in given if each}


def _number(query: Query, name: str, usual: int) -> int:
    text = query.get(name)
    if text is None:
        return usual
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise ScimRefused(Fault.VALUE, f"{name} must be a whole number")
    return int(text)
