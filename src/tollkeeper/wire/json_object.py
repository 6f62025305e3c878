"""The members of a JSON object, found without decoding their values.

A request is read by us and by the provider. Both must see the same: so an object whose
members could be read in two ways is refused. msgspec keeps the last of two equal keys
silently, therefore their absence is proved from lengths, or by walking over the members.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tollkeeper.domain.errors import BadRequest

Members = Mapping[str, msgspec.Raw]
"""Key → the value's bytes, exactly as they stand in the text, without blanks around them."""

MEMBERS_MAX: Final = 20_000
"""More members than this are refused: each costs memory, and no API has as many fields."""

# Below this size MEMBERS_MAX cannot be passed by enough to hurt.
_SMALL_BYTES: Final = 128 << 10
_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING: Final = msgspec.json.Decoder(str)
_KEY: Final = re.compile(
    rb'[ \t\n\r]*[{,][ \t\n\r]*("[^"\\]*(?:\\.[^"\\]*)*")[ \t\n\r]*:[ \t\n\r]*'
)
_END: Final = re.compile(rb"[ \t\n\r]*}[ \t\n\r]*")
_CONTENT_FIELDS: Final = (
    "messages",
    "input",
    "contents",
    "prompt",
    "request",
    "requests",
    "tools",
    "functions",
    "system",
    "instructions",
    "systemInstruction",
    "documents",
    "prediction",
    "text",
    "texts",
    "query",
    "response_format",
    "generationConfig",
    "metadata",
)
_Bulk: Final = msgspec.defstruct(
    "_Bulk", [(name, msgspec.Raw, msgspec.Raw(b"")) for name in _CONTENT_FIELDS]
)
_BULK: Final = msgspec.json.Decoder(_Bulk)


def read_members(text: bytes) -> dict[str, msgspec.Raw]:
    """Give the members of the object that a text is.

    Raises BadRequest when the text is not one JSON object in UTF-8, is nested too deeply,
    or names a key twice.
    """
    members = _decode(text)
    # A text is never shorter than its distinct members written without blanks and escapes.
    # If it is exactly as long, then nothing else is in it: no blank, escape or second key.
    size = 1 + 4 * len(members) + sum(map(len, members)) + sum(map(len, members.values()))
    if size == len(text) or not members:
        return members
    # A large text is walked over: to write it again would need twice its memory.
    if len(text) > _SMALL_BYTES or text != _spaced(text, size, members):
        _walk(text, members)
    return members


def _spaced(text: bytes, size: int, members: Members) -> bytes:
    """Write the members with a blank behind each comma and colon, as Python does by itself.

    Gives "" where the length says that the text is not of this kind.
    """
    if len(text) != size + 2 * len(members) - 1:
        return b""
    parts = [b'"%b": %b' % (key.encode(), value) for key, value in members.items()]
    return b"{" + b", ".join(parts) + b"}"


def value_span(text: bytes, members: Members, key: str) -> tuple[int, int]:
    """Give where the value of a key starts and ends in the text that was read."""
    return _walk(text, members)[key]


def _walk(text: bytes, members: Members) -> dict[str, tuple[int, int]]:
    """Give where each value starts and ends, by walking over the whole text.

    ``members`` are those that the text was decoded to, so it is known to be one valid
    object. Raises BadRequest unless it consists of exactly these members, each once.
    """
    spans: dict[str, tuple[int, int]] = {}
    position = 0
    for key, value in members.items():
        found = _KEY.match(text, position)
        if found is None or string_of(found[1]) != key:
            raise _repeated()
        start = found.end()
        # A number could be the beginning of a longer one: then no comma follows it.
        if not text.startswith(bytes(value), start):
            raise _repeated()
        position = start + len(value)
        spans[key] = (start, position)
    if members and not _END.fullmatch(text, position):
        raise _repeated()
    return spans


def string_of(value: bytes) -> str:
    """Decode a JSON string. Raises ValueError when it is something else."""
    if value[:1] != b'"':
        raise ValueError("not a string")
    if b"\\" not in value:
        return value[1:-1].decode()
    return _STRING.decode(value)


def _decode(text: bytes) -> dict[str, msgspec.Raw]:
    try:
        if len(text) > _SMALL_BYTES:
            _require_few_members(text)
        members = _DECODER.decode(text)
        if not text.isascii():
            _require_utf8(text)  # which the decoder does only for what it decodes
        return members
    except RecursionError:
        raise BadRequest("the JSON body is nested too deeply", code="body_invalid") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadRequest("the body is not one JSON object in UTF-8", code="body_invalid") from None


def _require_utf8(text: bytes) -> None:
    """Raise UnicodeDecodeError unless a text is UTF-8; a large one is looked at in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(text), _SMALL_BYTES):
        decoder.decode(text[start : start + _SMALL_BYTES])
    decoder.decode(b"", final=True)


def _require_few_members(text: bytes) -> None:
    """Refuse a flood of members before memory is spent on them.

    Each member has a colon. Where there are many, those inside the fields that hold content
    are set aside; a request has few others.
    """
    colons = text.count(b":")
    if colons <= MEMBERS_MAX:
        return
    bulk = _BULK.decode(text)
    for name in _CONTENT_FIELDS:
        colons -= bytes(getattr(bulk, name)).count(b":")
    if colons > MEMBERS_MAX:
        raise BadRequest(
            f"the JSON body has more than {MEMBERS_MAX} members beside its content",
            code="body_invalid",
        )


def _repeated() -> BadRequest:
    return BadRequest("a field stands twice in the JSON body", code="field_repeated")
