"""What a request asks for, in one form for all wires, and how its content is weighed.

Whatever in a body is not of the type that the wire documents counts as absent: a request
that a provider would refuse for it is answered all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tollkeeper.domain.errors import BadRequest
from tollkeeper.sandbox.counts import tokens_of_bytes

Json = Mapping[str, Any]

_USE_TOOL: Final = "use tool"
_IMAGE_TOKENS: Final = 258
_SOUND_BYTES_PER_TOKEN: Final = 3_200  # ten tokens for a second of 16-bit sound at 16 kHz
_BASE64_BYTES: Final = (3, 4)
# Members that name or seal something: nobody is billed for them as text.
_SILENT: Final = frozenset(
    {
        *("type", "role", "id", "call_id", "tool_call_id", "tool_use_id", "cache_control"),
        *("signature", "encrypted_content", "thoughtSignature", "thought_signature", "status"),
    }
)
_UNDERSCORE: Final = re.compile(r"_([a-z])")
_MIME: Final = ("mimeType", "mime_type", "media_type")
_MEDIA_TYPES: Final = frozenset({"image", "image_url", "input_image", "input_audio"})
_MEDIA_MEMBERS: Final = ("inlineData", "inline_data", "fileData", "file_data")


class Weight(NamedTuple):
    """How much content weighs, in tokens."""

    text: int = 0
    image: int = 0
    audio: int = 0


class Tool(NamedTuple):
    """A function that the model may call."""

    name: str
    schema: Any


class Mark(NamedTuple):
    """The end of a prefix that may be cached: its fingerprint and its tokens from the start."""

    fingerprint: bytes
    tokens: int
    an_hour: bool = False


class Caching(NamedTuple):
    """The prefixes of a prompt that a cache may know, shortest first.

    ``bills_writes`` tells that writing them is billed apart. Only whole ``step_tokens``
    are read, and nothing below ``min_tokens``.
    """

    marks: tuple[Mark, ...] = ()
    bills_writes: bool = False
    step_tokens: int = 1
    min_tokens: int = 0


class Asked(NamedTuple):
    """One request for generated content.

    ``last_text`` is what was said last, by the user or (``from_tool``) by a tool. ``tool``
    is the one to be called, ``schema`` what JSON the text must be (None: any text).
    ``reasoning_tokens`` are to be thought first, and shown if ``shows_thinking``.
    ``cached_tokens`` come from a cache that the request names itself.
    """

    model: str
    last_text: str = ""
    from_tool: bool = False
    weight: Weight = Weight()
    stream: bool = False
    include_usage: bool = False
    choices: int = 1
    max_output_tokens: int | None = None
    tool: Tool | None = None
    schema: Any = None
    reasoning_tokens: int = 0
    shows_thinking: bool = False
    tier: str = ""
    cached_tokens: int = 0
    caching: Caching = Caching()


def read_object(body: bytes) -> dict[str, Any]:
    """Decode a body. Raises BadRequest unless it is one JSON object."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequest("the body is not one JSON object in UTF-8", code="body_invalid") from None
    if not isinstance(value, dict):
        raise BadRequest("the body is not one JSON object in UTF-8", code="body_invalid")
    return value


def text_at(value: Json, *names: str) -> str:
    """Give the first of some members that is a string, "" if none is."""
    for name in names:
        found = value.get(name)
        if isinstance(found, str):
            return found
    return ""


def object_at(value: Json, *names: str) -> Json:
    """Give the first of some members that is an object, an empty one if none is."""
    for name in names:
        found = value.get(name)
        if isinstance(found, Mapping):
            return found
    return {}


def objects_at(value: Json, *names: str) -> list[Json]:
    """Give the objects in the first of some members that is a list."""
    for name in names:
        found = value.get(name)
        if isinstance(found, list):
            return [item for item in found if isinstance(item, Mapping)]
    return []


def in_camel_case(value: Json) -> dict[str, Any]:
    """Give an object with its names as Google documents them; both spellings are accepted."""
    return {
        name if "_" not in name else _UNDERSCORE.sub(lambda found: found[1].upper(), name): it
        for name, it in value.items()
    }


def positive_at(value: Json, name: str) -> int | None:
    """Give a member that is a whole number above zero."""
    found = value.get(name)
    if isinstance(found, int) and not isinstance(found, bool) and found > 0:
        return found
    return None


def last_text_of(content: Any) -> str:
    """Give a text, or the last text among content parts."""
    if isinstance(content, str):
        return content
    texts = [
        text_at(part, "text", "content")
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, Mapping)
    ]
    return next((text for text in reversed(texts) if text), "")


class Size(NamedTuple):
    """How large content is. Sizes of parts add up; the tokens of their texts need not."""

    text_bytes: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0

    def plus(self, other: Size) -> Size:
        """Give the size of two contents together."""
        return Size(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def weight(self) -> Weight:
        """Give the tokens."""
        return Weight(tokens_of_bytes(self.text_bytes), self.image_tokens, self.audio_tokens)


def size_of(*contents: Any) -> Size:
    """Size content of any wire: its texts, and its pictures and sounds by kind."""
    text_bytes = image = audio = 0
    waiting: list[Any] = list(contents)
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            text_bytes += len(item) if item.isascii() else len(item.encode("utf-8", "replace"))
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, Mapping):
            media = _media_of(item)
            if media is None:
                waiting += [value for name, value in item.items() if name not in _SILENT]
            else:
                image += media.image_tokens
                audio += media.audio_tokens
        elif isinstance(item, int | float) and not isinstance(item, bool):
            text_bytes += len(str(item))
    return Size(text_bytes, image, audio)


def _media_of(part: Json) -> Size | None:
    """Size a content part that is a picture or a sound; None if it is neither."""
    kind = text_at(part, "type")  # in a tool's schema, a property of this name is an object
    if kind == "input_audio":
        return _sound(object_at(part, "input_audio"))
    if kind in _MEDIA_TYPES:
        return Size(image_tokens=_IMAGE_TOKENS)
    for name in _MEDIA_MEMBERS:
        if isinstance(part.get(name), Mapping):
            data = part[name]
            if text_at(data, *_MIME).startswith("audio/"):
                return _sound(data)
            return Size(image_tokens=_IMAGE_TOKENS)
    return None


def _sound(data: Json) -> Size:
    out, coded = _BASE64_BYTES
    size_bytes = len(text_at(data, "data").rstrip("=")) * out // coded
    return Size(audio_tokens=-(-size_bytes // _SOUND_BYTES_PER_TOKEN) or 1)


def tool_to_call(
    tools: Sequence[Tool], forced: str | bool, asked: str, *, from_tool: bool
) -> Tool | None:
    """Choose the tool that the reply calls, None if it calls none.

    ``forced`` is a tool's name, or True for any of them. Unforced, one is called when the
    user says "use tool …", and by its name if that follows.
    """
    if not tools:
        return None
    if isinstance(forced, str) and forced:
        return next((tool for tool in tools if tool.name == forced), None)
    wish = asked.lstrip()
    if forced:
        return tools[0]
    if from_tool or not wish.lower().startswith(_USE_TOOL):
        return None
    named = wish[len(_USE_TOOL) :].split()
    return next((tool for tool in tools if named and tool.name == named[0]), tools[0])


def tools_from(declared: Iterable[Json], *schema_names: str) -> list[Tool]:
    """Read declared functions, whose parameters stand under one of some names."""
    return [
        Tool(text_at(tool, "name"), object_at(tool, *schema_names))
        for tool in declared
        if text_at(tool, "name")
    ]
