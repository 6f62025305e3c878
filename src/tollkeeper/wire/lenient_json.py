"""Reading what providers send: strictly while it is well-formed, else field by field.

A shape is a msgspec Struct with only the fields we look at. When a reply does not fit it,
every field that does is still used, and what is wrong with the counts is said in one word.
A value that is not a count is never used as one.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin

import msgspec

from tollkeeper.domain.usage import QUANTITY_MAX

Count = Annotated[int, msgspec.Meta(ge=0, le=QUANTITY_MAX)] | None
"""A count as providers write it; null and a missing field are both None."""

ABSENT: Final = msgspec.Raw(b"")
"""Stands for a raw value that is not there."""

UNREADABLE: Final = "unreadable"
_UNREADABLE_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

T = TypeVar("T", bound=msgspec.Struct)


class Shape(Generic[T]):
    """Decodes JSON objects to one Struct type."""

    def __init__(self, type_: type[T]) -> None:
        self._type = type_
        self._decode = msgspec.json.Decoder(type_).decode
        self._decode_all = msgspec.json.Decoder(list[type_]).decode  # type: ignore[valid-type]

    def read(self, text: bytes | msgspec.Raw) -> tuple[T | None, str]:
        """Give the object and a fault ("" if there is none); None when it is no object."""
        try:
            return self._decode(text), ""
        except _UNREADABLE_ERRORS:
            return self._read_by_field(bytes(text))

    def read_all(self, texts: list[bytes]) -> list[T]:
        """Give the objects of many texts; what is no object is left out."""
        try:
            return self._decode_all(b"[" + b",".join(texts) + b"]")
        except _UNREADABLE_ERRORS:
            read = (self.read(text)[0] for text in texts)
            return [found for found in read if found is not None]

    def read_each(self, texts: list[bytes]) -> list[tuple[T | None, str]]:
        """Give each text's object and fault, as ``read`` does."""
        try:
            return [(found, "") for found in self._decode_all(b"[" + b",".join(texts) + b"]")]
        except _UNREADABLE_ERRORS:
            return [self.read(text) for text in texts]

    def _read_by_field(self, text: bytes) -> tuple[T | None, str]:
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            return None, UNREADABLE
        if not isinstance(tree, dict):
            return None, UNREADABLE
        faults: list[str] = []
        read = _fitted(self._type, tree, faults)
        return read, faults[0] if faults else ""


def _fitted(type_: type[T], tree: dict[str, Any], faults: list[str]) -> T:
    """Take from a tree every field that fits; note what is wrong with the others."""
    fields = {}
    for field in msgspec.structs.fields(type_):
        value = tree.get(field.encode_name)
        if value is not None:
            fitting = _fitting(field.type, value, faults)
            if fitting is not None:
                fields[field.name] = fitting
    return type_(**fields)


def _fitting(wanted: Any, value: Any, faults: list[str]) -> Any:
    if wanted is msgspec.Raw:
        return msgspec.Raw(json.dumps(value).encode())
    if wanted == Count:
        return _count(value, faults)
    try:
        return msgspec.convert(value, wanted)
    except _UNREADABLE_ERRORS:
        pass
    for option in (wanted, *get_args(wanted)):
        if (
            isinstance(value, dict)
            and isinstance(option, type)
            and issubclass(option, msgspec.Struct)
        ):
            return _fitted(option, value, faults)
        if isinstance(value, list) and get_origin(option) is list:
            items = [_fitting(get_args(option)[0], item, faults) for item in value]
            return [item for item in items if item is not None]
    return None


def _count(value: Any, faults: list[str]) -> int | None:
    """Take a value as a count if it is one: an integer, or a float that equals one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        faults.append("not_a_count")
    elif value < 0:
        faults.append("negative_count")
    elif value > QUANTITY_MAX:
        faults.append("count_too_large")
    elif value != int(value):
        faults.append("fractional_count")
    else:
        return int(value)
    return None


_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def merged_objects(start: bytes, change: bytes) -> bytes:
    """Lay one object over another: every field that the second has, and is not null, wins."""
    try:
        merged = _fields_of(start)
        for name, value in _fields_of(change).items():
            if bytes(value) != b"null":
                merged[name] = value
        return _encode(merged)
    except _UNREADABLE_ERRORS:
        pass
    try:
        # Numbers that are none must stay visible as such, which only this module does.
        return json.dumps(json.loads(start) | _not_null(json.loads(change))).encode()
    except (ValueError, RecursionError, TypeError, AttributeError):
        return change


def _not_null(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def is_present(raw: msgspec.Raw) -> bool:
    """Tell whether a field stands in the object and is not null."""
    return bytes(raw) not in {b"", b"null"}


def compact_text(raw: msgspec.Raw | bytes, bytes_max: int = 16 << 10) -> str:
    """Give a JSON value without blanks, for keeping; "" if it is longer than it should be."""
    text = bytes(raw)
    if len(text) > bytes_max:
        return ""
    if text.find(b" ") >= 0 or text.find(b"\n") >= 0:  # "in" takes twice as long
        try:
            text = msgspec.json.format(text, indent=-1)
        except _UNREADABLE_ERRORS:
            return ""
    return text.decode("utf-8", "replace")
