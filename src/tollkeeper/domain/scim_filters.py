"""SCIM's filters and paths (RFC 7644, 3.4.2.2 and 3.5.2): read, and held against a resource.

A filter that cannot be read is refused with ``invalidFilter``, a path with ``invalidPath``; no
text whatever raises anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tollkeeper.domain.scim import Fault, ScimRefused

TEXT_CHARS_MAX: Final = 2_000
DEPTH_MAX: Final = 16

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")'
    r"|(?P<number>-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?![\w.]))"
    r"|(?P<word>[A-Za-z$][\w$:.\-]*)"
    r"|(?P<after>\.[A-Za-z$][\w$\-]*)"
    r"|(?P<mark>[()\[\]]))",
    re.ASCII,
)
_NAME: Final = re.compile(r"[A-Za-z$][\w$\-]*", re.ASCII)
_OPERATORS: Final = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}
_EXACT: Final = frozenset({("id", ""), ("externalid", ""), ("members", "value")})
"""Attributes of which capital and small letters are told apart, all in small letters here."""

Value = str | bool | int | float | None


class Attribute(NamedTuple):
    """A path to an attribute, in small letters. ``urn`` and ``part`` may be ""."""

    name: str
    part: str = ""
    urn: str = ""


class Compared(NamedTuple):
    """``attribute operator value``; the operator ``pr`` has no value."""

    attribute: Attribute
    operator: str
    value: Value = None


class Both(NamedTuple):
    """Two filters joined by ``and``."""

    left: Filter
    right: Filter


class Either(NamedTuple):
    """Two filters joined by ``or``."""

    left: Filter
    right: Filter


class Not(NamedTuple):
    """What does not fit a filter."""

    inner: Filter


class Having(NamedTuple):
    """An attribute of several values, one of which fits all of a filter."""

    attribute: Attribute
    inner: Filter


Filter = Compared | Both | Either | Not | Having


class Path(NamedTuple):
    """What a PATCH is about: an attribute, those of its values that fit, and a part of each."""

    attribute: Attribute
    where: Filter | None = None
    part: str = ""


# --------------------------------------------------------------------- reading


def read_filter(text: str) -> Filter:
    """Read a filter. Raises ScimRefused (``invalidFilter``)."""
    reader = _Reader(text, Fault.FILTER)
    found = reader.either(0)
    reader.end()
    return found


def read_path(text: str) -> Path:
    """Read the path of a PATCH operation. Raises ScimRefused (``invalidPath``)."""
    reader = _Reader(text, Fault.PATH)
    attribute = reader.attribute()
    where, part = None, ""
    if reader.take("mark", "["):
        where = reader.either(0)
        reader.require("]")
        part = reader.after()
    reader.end()
    return Path(attribute, where, part)


def attributes_of(found: Filter) -> Iterator[Attribute]:
    """Give all attributes of the resource that a filter speaks of."""
    if isinstance(found, Both | Either):
        yield from attributes_of(found.left)
        yield from attributes_of(found.right)
    elif isinstance(found, Not):
        yield from attributes_of(found.inner)
    else:
        yield found.attribute


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, fault: Fault) -> None:
        self._fault = fault
        if len(text) > TEXT_CHARS_MAX:
            raise self._refused(f"it is longer than {TEXT_CHARS_MAX} characters")
        self._tokens = list(self._split(text))
        self._at = 0

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._refused(f"it cannot be read from {text[at : at + 20]!r} on")
            yield match.lastgroup, match.group(match.lastgroup)
            at = match.end()

    def either(self, depth: int) -> Filter:
        left = self._both(depth)
        while self._word("or"):
            left = Either(left, self._both(depth))
        return left

    def _both(self, depth: int) -> Filter:
        left = self._single(depth)
        while self._word("and"):
            left = Both(left, self._single(depth))
        return left

    def _single(self, depth: int) -> Filter:
        if depth > DEPTH_MAX:
            raise self._refused(f"it is nested more than {DEPTH_MAX} deep")
        if self._word("not"):
            self.require("(")
            return Not(self._closed(depth, ")"))
        if self.take("mark", "("):
            return self._closed(depth, ")")
        attribute = self.attribute()
        if self.take("mark", "["):
            inner, part = self._closed(depth, "]"), self.after()
            if part:  # Entra ID writes emails[type eq "work"].value eq "…"
                inner = Both(inner, self._compared(Attribute(part)))
            return Having(attribute, inner)
        return self._compared(attribute)

    def _compared(self, attribute: Attribute) -> Compared:
        kind, text = self._next()
        operator = text.lower() if kind == "word" else ""
        if operator == "pr":
            return Compared(attribute, operator)
        if operator not in _OPERATORS:
            raise self._refused(f"{text[:20]!r} is no operator; write eq, co, sw, pr, …")
        return Compared(attribute, operator, self._value())

    def _closed(self, depth: int, mark: str) -> Filter:
        found = self.either(depth + 1)
        self.require(mark)
        return found

    def _value(self) -> Value:
        kind, text = self._next()
        if kind == "text":
            return self._text(text)
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "word" and text.lower() in _CONSTANTS:
            return _CONSTANTS[text.lower()]
        raise self._refused("a value stands in double quotes, or is a number, true, false or null")

    def _text(self, text: str) -> str:
        try:
            value = str(json.loads(text))
            value.encode("utf-8")
        except ValueError:
            raise self._refused("a text in it cannot be read") from None
        if "\0" in value:
            raise self._refused("a text in it holds NUL")
        return value

    def attribute(self) -> Attribute:
        kind, text = self._next()
        if kind != "word":
            raise self._refused("an attribute's name is missing")
        urn, name = "", text.lower()
        if name.startswith("urn:"):
            urn, _, name = name.rpartition(":")
        name, dot, part = name.partition(".")
        if not _NAME.fullmatch(name) or (dot and not _NAME.fullmatch(part)):
            raise self._refused(f"{text[:60]!r} is no attribute's name")
        return Attribute(name, part, urn)

    def after(self) -> str:
        """Give the part that is named behind a bracket, "" if none is."""
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "after":
            return self._next()[1][1:].lower()
        return ""

    def take(self, kind: str, text: str) -> bool:
        found = self._tokens[self._at : self._at + 1] == [(kind, text)]
        self._at += found
        return found

    def require(self, mark: str) -> None:
        if not self.take("mark", mark):
            raise self._refused(f"{mark!r} is missing")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._refused(f"{self._tokens[self._at][1][:20]!r} is too much")

    def _word(self, word: str) -> bool:
        here = self._tokens[self._at : self._at + 1]
        found = bool(here) and here[0][0] == "word" and here[0][1].lower() == word
        self._at += found
        return found

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._refused("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _refused(self, why: str) -> ScimRefused:
        what = "filter" if self._fault is Fault.FILTER else "path"
        return ScimRefused(self._fault, f"the {what} cannot be used: {why}")


# --------------------------------------------------------------------- holding against


def member(resource: Mapping[str, Any], name: str) -> str | None:
    """Give how a resource spells one of its names, None if it has no such name."""
    if name in resource:
        return name
    return next((each for each in resource if each.lower() == name.lower()), None)


def fits(found: Filter, resource: Mapping[str, Any], within: str = "") -> bool:
    """Tell whether a resource fits a filter. ``within`` names the attribute it is a value of."""
    match found:
        case Both(left, right):
            return fits(left, resource, within) and fits(right, resource, within)
        case Either(left, right):
            return fits(left, resource, within) or fits(right, resource, within)
        case Not(inner):
            return not fits(inner, resource, within)
        case Having(attribute, inner):
            values = _listed(_member(resource, attribute.name))
            return any(
                fits(inner, each, attribute.name) for each in values if isinstance(each, Mapping)
            )
        case Compared():
            return _compares(found, resource, within)


def _compares(found: Compared, resource: Mapping[str, Any], within: str) -> bool:
    name, part, _ = found.attribute
    has = _member(resource, name)
    values = list(_values(has, part))
    if found.operator == "pr":
        return any(each not in (None, "", [], {}) for each in (values if part else [has]))
    place = (within, name) if within else (name, part)
    exact = place in _EXACT or (place == ("members", ""))
    equal = any(_holds("eq", each, found.value, exact) for each in values)
    if found.operator == "eq":
        return equal or (found.value is None and not values)
    if found.operator == "ne":
        return not (equal or (found.value is None and not values))
    return any(_holds(found.operator, each, found.value, exact) for each in values)


def _holds(operator: str, has: Any, wanted: Value, exact: bool) -> bool:
    if isinstance(has, bool):  # some clients write "True" for true
        said = wanted.lower() if isinstance(wanted, str) else wanted
        return operator == "eq" and (said is has or said == str(has).lower())
    if isinstance(has, str) and isinstance(wanted, str):
        left, right = (has, wanted) if exact else (has.casefold(), wanted.casefold())
        return _TEXTS[operator](left, right)
    return False  # our resources hold no numbers


_TEXTS: Final = {
    "eq": str.__eq__,
    "co": str.__contains__,
    "sw": str.startswith,
    "ew": str.endswith,
    "gt": str.__gt__,
    "ge": str.__ge__,
    "lt": str.__lt__,
    "le": str.__le__,
}


def _member(resource: Mapping[str, Any], name: str) -> Any:
    spelt = member(resource, name)
    return None if spelt is None else resource[spelt]


def _values(value: Any, part: str) -> Iterator[Any]:
    """Give the values to compare: of several each, of one with parts the part (or ``value``)."""
    for each in _listed(value):
        found = _member(each, part or "value") if isinstance(each, Mapping) else each
        if found is not None and (not part or isinstance(each, Mapping)):
            yield found


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
