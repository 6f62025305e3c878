"""Tags of a call: who or what it was for, in the caller's own words.

They come from headers, from the body and from the key's defaults. Besides our own header,
the forms that other gateways taught people are understood: LiteLLM's ``x-litellm-tags`` and
body fields, Helicone's ``Helicone-Property-*``, and Tokonomics' header of JSON. A plain word
without a value is kept as ``word=true``.

A tag that cannot be kept is dropped and counted; it never stops a call. Only our own header
is refused when it cannot be read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.credentials import HeaderLookup
from tollkeeper.wire.sessions import usable_session

TAGS_MAX: Final = 32
VALUE_CHARS_MAX: Final = 256
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SOURCE_BYTES_MAX: Final = 16 << 10
_WORD_VALUE: Final = "true"
_HELICONE: Final = b"helicone-property-"
_TOKONOMICS: Final = b"x-tokonomics-"
# How the headers begin that carry tags in their names, to pass over all others fast.
_BEGINNINGS: Final = frozenset({b"He", b"he", b"HE", b"hE", b"X-", b"x-"})
_THIRD_LETTERS: Final = frozenset({b"L", b"l", b"T", b"t"})
_CUSTOMER_HEADERS: Final = (
    b"x-tollkeeper-user",
    b"x-litellm-customer-id",
    b"x-litellm-end-user-id",
    b"helicone-user-id",
)
_SESSION_HEADERS: Final = (b"x-tollkeeper-session", b"helicone-session-id")

_Pair = tuple[str, Any]
_UNREADABLE: Final[_Pair] = ("", None)


class Tags(NamedTuple):
    """The tags of one call, and how many could not be kept."""

    values: Mapping[str, str]
    dropped: int = 0


def read_tags(
    header: HeaderLookup,
    headers: Iterable[tuple[bytes, bytes]],
    body: Sequence[bytes],
    defaults: Mapping[str, str],
) -> Tags:
    """Collect the tags of one request.

    Headers win over the body (JSON texts, the first wins), the body over the key's
    ``defaults``. Raises BadRequest when x-tollkeeper-tags cannot be read.
    """
    own = header(b"x-tollkeeper-tags")
    litellm = header(b"x-litellm-tags")
    metadata = header(b"x-litellm-spend-logs-metadata")
    named = _named_by_headers(headers)
    if not (own or litellm or metadata or named or body):
        return Tags(defaults)
    said: list[Iterable[_Pair]] = []
    if own:
        said.append(_own_header(own))
    if litellm:
        said.append(_words(_header_text(litellm).split(",")))
    said.append(named)
    if metadata:
        said.append(_json_pairs(metadata))
    said.extend(_json_pairs(text) for text in body)
    return _merged(said, defaults)


def end_customer(header: HeaderLookup, in_body: str) -> str:
    """Give whom the call is for: a header's word, else what the body says, else ""."""
    for name in _CUSTOMER_HEADERS:
        value = header(name)
        if value is not None:
            text = _header_text(value).strip()
            if text and len(text) <= VALUE_CHARS_MAX and text.isprintable():
                return text
    return in_body


def named_session(header: HeaderLookup) -> str:
    """Give the session that a header names for us, "" when none does."""
    for name in _SESSION_HEADERS:
        value = header(name)
        if value is not None:
            session = usable_session(_header_text(value))
            if session:
                return session
    return ""


def _merged(said: Iterable[Iterable[_Pair]], defaults: Mapping[str, str]) -> Tags:
    # The key's own tags always find room: a caller cannot crowd out what it is charged to.
    room = TAGS_MAX - len(defaults)
    values: dict[str, str] = {}
    new = dropped = 0
    for pairs in said:
        for key, value in pairs:
            text = _value_text(value)
            if text is None or not _KEY.fullmatch(key):
                dropped += 1
            elif key in values:
                continue
            elif key in defaults:
                values[key] = text
            elif new < room:
                new += 1
                values[key] = text
            else:
                dropped += 1
    return Tags({**defaults, **values}, dropped)


def _own_header(value: bytes) -> list[_Pair]:
    text = _header_text(value).strip()
    if text.startswith("{"):
        pairs = _object_pairs(text.encode())
        if pairs is None:
            raise BadRequest("x-tollkeeper-tags is not a JSON object", code="tags_invalid")
        return pairs
    found: list[_Pair] = []
    for item in text.split(","):
        key, equals, tag = item.partition("=")
        if not equals:
            raise BadRequest(
                "x-tollkeeper-tags must be key=value,key=value or a JSON object",
                code="tags_invalid",
            )
        found.append((key.strip(), tag.strip()))
    return found


def _named_by_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[_Pair]:
    found: list[_Pair] = []
    for name, value in headers:
        if name[:2] not in _BEGINNINGS or name[2:3] not in _THIRD_LETTERS:
            continue
        lower = name.lower()
        if lower.startswith(_HELICONE):
            key = lower[len(_HELICONE) :].decode("latin-1")
            found.append((key, _header_text(value)))
        elif lower.startswith(_TOKONOMICS):
            pairs = _object_pairs(value)
            key = lower[len(_TOKONOMICS) :].decode("latin-1")
            found += [(key, _header_text(value))] if pairs is None else pairs
    return found


def _json_pairs(text: bytes) -> list[_Pair]:
    """Read the tags of a body: an object, or a list of ``k:v`` and plain words."""
    if text == b"null":
        return []
    pairs = _object_pairs(text)
    if pairs is None and text[:1] == b"[" and len(text) <= _SOURCE_BYTES_MAX:
        try:
            pairs = list(_words(msgspec.json.decode(text, type=list[Any])))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pairs = None
    return [_UNREADABLE] if pairs is None else pairs


def _object_pairs(text: bytes) -> list[_Pair] | None:
    if text[:1] != b"{" or len(text) > _SOURCE_BYTES_MAX:
        return None
    try:
        return list(msgspec.json.decode(text, type=dict[str, Any]).items())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _words(items: Iterable[Any]) -> Iterator[_Pair]:
    for item in items:
        if not isinstance(item, str):
            yield _UNREADABLE
            continue
        key, colon, value = item.strip().partition(":")
        if key or colon:
            yield key.strip(), value.strip() if colon else _WORD_VALUE


def _value_text(value: Any) -> str | None:
    """Give a tag's value as text that can stand in a header, a log line and a table cell."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | float):
        text = str(value)
    elif isinstance(value, str):
        text = value.strip()
    else:
        return None
    return text if text and len(text) <= VALUE_CHARS_MAX and text.isprintable() else None


def _header_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
