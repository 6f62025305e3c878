"""Checks names, e-mail addresses, globs and tags that people give, before they are kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.networks import network_text

NAME_CHARS_MAX: Final = 100
EMAIL_CHARS_MAX: Final = 254
GLOBS_MAX: Final = 32
GLOB_CHARS_MAX: Final = 100
NETWORKS_MAX: Final = 64
TAGS_MAX: Final = 32
TAG_KEY_CHARS_MAX: Final = 64
TAG_VALUE_CHARS_MAX: Final = 256
ID_CHARS_MAX: Final = 36

_EMAIL = re.compile(r"[^@\s,;<>\"'()\\]+@[^@\s,;<>\"'()\\.]+(\.[^@\s,;<>\"'()\\.]+)*")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+:-]*")
# Control, format (which turn the direction of text), surrogate and line-separating characters.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def clean_name(text: str, what: str) -> str:
    """Give a name without spaces around it. ``what`` is the word for it in an error."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise BadRequest(f"{what} is empty")
    _require_short_and_visible(name, what, NAME_CHARS_MAX)
    return name


def clean_text(text: str, what: str, chars_max: int) -> str:
    """Give a text as ``clean_name`` does, of up to so many characters; "" stays as it is."""
    cleaned = unicodedata.normalize("NFC", text).strip()
    _require_short_and_visible(cleaned, what, chars_max)
    return cleaned


def is_id(text: str) -> bool:
    """Tell whether a text could be the id of a person or a team."""
    return len(text) <= ID_CHARS_MAX and _ID.fullmatch(text) is not None


def clean_email(text: str) -> str:
    """Give an e-mail address in lower case."""
    email = unicodedata.normalize("NFC", text).strip().lower()
    _require_short_and_visible(email, "the e-mail address", EMAIL_CHARS_MAX)
    if not _EMAIL.fullmatch(email):
        raise BadRequest(f"not an e-mail address: {email!r}")
    return email


def require_id(text: str, what: str) -> None:
    """Refuse an id from elsewhere that could not stand in an address or a log as it is."""
    if not is_id(text):
        raise BadRequest(
            f"{what} is 1 to {ID_CHARS_MAX} letters, digits and '._@+:-', and begins with a "
            "letter or a digit"
        )


def clean_globs(globs: Sequence[str], what: str) -> tuple[str, ...]:
    """Give model or provider globs, each once, in their order."""
    cleaned = tuple(dict.fromkeys(glob.strip() for glob in globs))
    if len(cleaned) > GLOBS_MAX:
        raise BadRequest(f"at most {GLOBS_MAX} {what} patterns")
    for glob in cleaned:
        if not glob:
            raise BadRequest(f"a {what} pattern is empty")
        _require_short_and_visible(glob, f"a {what} pattern", GLOB_CHARS_MAX)
    return cleaned


def clean_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Give networks in their usual form, each once, in their order."""
    cleaned: dict[str, None] = {}
    for text in networks:
        try:
            cleaned[network_text(text)] = None
        except ValueError:
            raise BadRequest(
                f"not a network: {text[:60]!r}; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32",
                code="bad_network",
            ) from None
    if len(cleaned) > NETWORKS_MAX:
        raise BadRequest(f"at most {NETWORKS_MAX} networks", code="bad_network")
    return tuple(cleaned)


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Give default tags of a key."""
    if len(tags) > TAGS_MAX:
        raise BadRequest(f"at most {TAGS_MAX} tags")
    cleaned: dict[str, str] = {}
    for key, value in tags.items():
        if not key.strip():
            raise BadRequest("a tag has no name")
        _require_short_and_visible(key, "a tag's name", TAG_KEY_CHARS_MAX)
        _require_short_and_visible(value, f"the value of tag {key!r}", TAG_VALUE_CHARS_MAX)
        if key.strip() in cleaned:
            raise BadRequest(f"the tag {key.strip()!r} is given twice")
        cleaned[key.strip()] = value.strip()
    return cleaned


def _require_short_and_visible(text: str, what: str, chars_max: int) -> None:
    if len(text) > chars_max:
        raise BadRequest(f"{what} is longer than {chars_max} characters")
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        raise BadRequest(f"{what} holds a control or invisible character")
