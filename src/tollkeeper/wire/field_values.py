"""The values that a request's control fields may have, read strictly.

Each reader gets the field's name and its bytes, and raises BadRequest for a wrong type:
where servers differ in what they let pass, the price would differ too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import msgspec

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.json_object import Members, read_members, string_of
from tollkeeper.wire.model_names import require_model_name

Reader = Callable[[str, bytes], Any]

CHOICES_MAX: Final = 128
_TEXT_BYTES_MAX: Final = 4 << 10
_DIGITS_MAX: Final = 12
_MODELS_REMEMBERED: Final = 1_000
_NULL: Final = b"null"


def text(name: str, value: bytes) -> str:
    """Read a string; null counts as absent."""
    if value == _NULL:
        return ""
    if len(value) > _TEXT_BYTES_MAX:
        raise wrong(name, "shorter")
    try:
        return string_of(value)
    except ValueError:
        raise wrong(name, "a string") from None


def text_or_nothing(value: msgspec.Raw | None) -> str:
    """Read a string that steers nothing: whatever else stands there counts as absent."""
    if value is None or len(value) > _TEXT_BYTES_MAX:
        return ""
    try:
        return string_of(bytes(value))
    except ValueError:
        return ""


def model(name: str, value: bytes) -> str:
    """Read a model's name; null counts as absent, as where the path names the model."""
    if value == _NULL:
        return ""
    try:
        return _model_name(value)
    except ValueError:
        raise wrong(name, "a string") from None


@lru_cache(_MODELS_REMEMBERED)
def _model_name(value: bytes) -> str:
    """Check a name once: the same few are asked for again and again. Errors are not kept."""
    return require_model_name(string_of(value))


def flag(name: str, value: bytes) -> bool:
    """Read a truth value; null counts as false."""
    if value == b"true":
        return True
    if value in {b"false", _NULL}:
        return False
    raise wrong(name, "true or false")


def form_flag(name: str, value: str) -> bool:
    """Read a truth value from a form."""
    return flag(name, value.lower().encode("ascii", "replace"))


def limit(name: str, value: bytes) -> int | None:
    """Read a limit on the output; null, as for every provider, means that there is none."""
    return None if value == _NULL else count(name, value)


def count(name: str, value: bytes) -> int:
    """Read a whole number."""
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        raise wrong(name, "a whole number, zero or more")
    return int(value)


def choices(name: str, value: bytes) -> int:
    """Read how many answers are asked for; null counts as one."""
    if value == _NULL:
        return 1
    number = count(name, value)
    if not 1 <= number <= CHOICES_MAX:
        raise wrong(name, f"between 1 and {CHOICES_MAX}")
    return number


def raw(name: str, value: bytes) -> bytes:
    """Give the value as it stands."""
    return value


def members(name: str, value: bytes) -> Members:
    """Read an inner object."""
    if value[:1] != b"{":
        raise wrong(name, "an object")
    return read_members(value)


def not_settable(name: str, value: bytes) -> None:
    """Refuse a field that no request may set."""
    raise BadRequest(f"the field {name!r} cannot be set by a request", code="field_not_allowed")


def wrong(name: str, expected: str) -> BadRequest:
    """Make the refusal that names a field and what it must be."""
    return BadRequest(f"the field {name!r} must be {expected}", code="field_invalid")
