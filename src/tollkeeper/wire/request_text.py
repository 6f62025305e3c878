"""What of a request a model reads, as far as its tokens can be estimated from it.

Looked at only where a reply never said what it used. All dialects are read alike: texts stand
in strings, media under names of their own, tools and schemas in fields of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tollkeeper.domain.texts import ANY_TOOL, Picture, RequestText
from tollkeeper.wire.picture_sizes import picture_size

_CONVERSATIONS: Final = ("messages", "input", "contents", "prompt", "inputs", "texts", "message")
_INSTRUCTIONS: Final = ("system", "instructions", "systemInstruction", "system_instruction")
_DECLARATIONS: Final = ("functionDeclarations", "function_declarations")
_DECLARED: Final = ("function", "toolSpec")
_CALLERS_OWN: Final = frozenset({"", "function", "custom"})
_MEDIA: Final = frozenset(
    {
        *("image", "image_url", "input_image", "audio", "input_audio", "video", "file"),
        *("input_file", "document", "inlineData", "inline_data", "fileData", "file_data"),
        *("images", "video_url"),
    }
)
# Names and marks around the text, and what only the provider can read.
_NOT_TEXT: Final = frozenset(
    {
        *("type", "role", "id", "tool_call_id", "call_id", "tool_use_id", "toolUseId", "status"),
        *("cache_control", "signature", "thoughtSignature", "thought_signature", "annotations"),
        *("encrypted_content", "logprobs", "redacted_thinking", "data", "thinking"),
    }
)
_SEALS: Final = frozenset({"thoughtSignature", "thought_signature"})
_ARGUMENTS: Final = frozenset({"arguments", "input", "args"})
_CALLS: Final = frozenset({"tool_use", "tool_result", "function_call", "function_call_output"})
_CALL_PLACES: Final = frozenset(
    {"tool_calls", "functionCall", "functionResponse", "toolUse", "toolResult"}
)
_ANY: Final = frozenset({"any", "required"})
_THINKING: Final = (
    *("reasoning_effort", "reasoning", "thinking", "thinkingConfig", "thinking_config"),
    *("reasoning_config", "enable_thinking", "think"),
)
_THINKING_INSIDE: Final = (
    *("effort", "type", "enabled", "thinkingBudget", "thinking_budget", "thinkingLevel"),
    *("thinking_level", "max_tokens"),
)
_NO_THINKING: Final = (0, False, "none", "minimal", "disabled")
_SCHEMA_PLACES: Final = (
    ("response_format", "json_schema"),
    ("response_format",),
    ("text", "format"),
    ("output_config", "format"),
    ("output_format",),
    ("generationConfig", "responseSchema"),
    ("generationConfig", "responseJsonSchema"),
    ("format",),
)
_BARE_SCHEMAS: Final = frozenset({"responseSchema", "responseJsonSchema"})
_DEPTH_MAX: Final = 12


def request_text(body: bytes) -> RequestText | None:
    """Read the JSON of a request; None where it is none, or nothing that a model could read."""
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(asked, dict):
        return None
    if isinstance(asked.get("request"), dict):
        asked = asked["request"]  # Code Assist wraps it
    found = _Found()
    for name in _CONVERSATIONS:
        value = asked.get(name)
        if isinstance(value, str):
            found.texts.append(value)
            found.messages += 1
        elif isinstance(value, list):
            found.messages += len(value)
            found.read(value, 0)
    for name in _INSTRUCTIONS:
        if asked.get(name):
            found.messages += 1
            found.read(asked[name], 0)
    if not found.messages:
        return None
    tools, own = _tools(asked)
    return RequestText(
        "".join(found.texts),
        found.messages,
        _written(tools) if tools else "",
        _schema(asked),
        found.media + own,
        found.calls,
        _must_call(asked),
        _thinks(asked),
        tuple(found.sealed),
        own,
        tuple(found.pictures),
    )


class _Found:
    """Gathers the texts of a conversation."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.messages = 0
        self.media = 0
        self.calls = 0
        self.sealed: list[int] = []
        self.pictures: list[Picture] = []

    def read(self, value: Any, depth: int) -> None:
        if isinstance(value, str):
            self.texts.append(value)
        elif depth > _DEPTH_MAX:
            return
        elif isinstance(value, list):
            for item in value:
                self.read(item, depth + 1)
        elif isinstance(value, dict):
            kind = _kind(value)
            if kind in _MEDIA:
                self._see(value, depth)
                return
            self.calls += kind in _CALLS or value.get("role") == "tool"
            for name, inner in value.items():
                self._read_member(name, inner, depth)

    def _read_member(self, name: str, inner: Any, depth: int) -> None:
        if name in _MEDIA:
            self._see(inner, depth)
            return
        if name in _SEALS and isinstance(inner, str):
            self.sealed.append(len(inner))
        if name in _CALL_PLACES:
            self.calls += len(inner) if isinstance(inner, list) else 1
        if name in _ARGUMENTS and not isinstance(inner, str):
            self.texts.append(_written(inner))
        elif name not in _NOT_TEXT:
            self.read(inner, depth + 1)

    def _see(self, medium: Any, depth: int) -> None:
        """Take a picture, a file or a sound; a document may be no more than a text."""
        source = medium.get("source") if isinstance(medium, dict) else None
        if isinstance(source, dict):
            plain = source.get("data") if source.get("type") == "text" else source.get("text")
            written = plain or source.get("content")
            if isinstance(written, str | list):
                self.read(written, depth + 1)
                return
        self.media += 1
        for text, low in _strings_in(medium, depth):
            size = picture_size(text)
            if size is not None:
                self.pictures.append(Picture(*size, low))
                return


def _strings_in(medium: Any, depth: int) -> Iterator[tuple[str, bool]]:
    """Give the strings of a medium, and whether little detail of it is wanted."""
    if isinstance(medium, str):
        yield medium, False
    elif isinstance(medium, dict) and depth <= _DEPTH_MAX:
        low = medium.get("detail") == "low"
        for inner in medium.values():
            for text, inside in _strings_in(inner, depth + 1):
                yield text, low or inside


def _kind(value: dict[str, Any]) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _tools(asked: dict[str, Any]) -> tuple[list[Any], int]:
    """Give the declared tools, and how many of the provider's own are asked for."""
    declared: list[Any] = []
    own = 0
    for tool in _listed(asked):
        if not isinstance(tool, dict):
            continue
        inside = next((tool[name] for name in _DECLARATIONS if name in tool), None)
        if isinstance(inside, list):
            declared += inside
            continue
        named = next((tool[name] for name in _DECLARED if name in tool), None)
        if named is not None:
            declared.append(named)
        elif "name" in tool and (_kind(tool) in _CALLERS_OWN or "input_schema" in tool):
            declared.append(tool)
        else:
            own += 1
    return declared, own


def _must_call(asked: dict[str, Any]) -> str:
    """Give the tool that has to be called, in whichever dialect; "" if none has to."""
    choice = asked.get("tool_choice") or asked.get("function_call")
    config = asked.get("toolConfig") or asked.get("tool_config")
    if isinstance(config, dict):
        choice = config.get("toolChoice") or choice
        calling = config.get("functionCallingConfig") or config.get("function_calling_config")
        if isinstance(calling, dict) and str(calling.get("mode")).upper() == "ANY":
            return ANY_TOOL
    if isinstance(choice, str):
        return ANY_TOOL if choice in _ANY else ""
    if not isinstance(choice, dict):
        return ""
    for place in (choice, choice.get("function"), choice.get("tool")):
        name = place.get("name") if isinstance(place, dict) else None
        if isinstance(name, str):
            return name
    return ANY_TOOL if _kind(choice) in _ANY or "any" in choice else ""


def _thinks(asked: dict[str, Any]) -> bool | None:
    """Tell whether reasoning is asked for, in whichever dialect; None if nothing is said."""
    places = [asked, asked.get("generationConfig"), asked.get("additionalModelRequestFields")]
    for place in places:
        if not isinstance(place, dict):
            continue
        for name in _THINKING:
            value = place.get(name)
            if isinstance(value, dict):
                value = next((value[key] for key in _THINKING_INSIDE if key in value), None)
            if value is not None:
                return value not in _NO_THINKING
    return None


def _listed(asked: dict[str, Any]) -> Iterator[Any]:
    config = asked.get("toolConfig")
    for place in (asked.get("tools"), asked.get("functions")):
        if isinstance(place, list):
            yield from place
    if isinstance(config, dict) and isinstance(config.get("tools"), list):
        yield from config["tools"]


def _schema(asked: dict[str, Any]) -> str:
    """Give the name and the JSON of the answer that is prescribed, in whichever dialect."""
    for place in _SCHEMA_PLACES:
        value: Any = asked
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, dict):
            bare = place[-1] in _BARE_SCHEMAS or "properties" in value
            schema = value.get("schema", value if bare else None)
            if isinstance(schema, dict):
                notes = (value.get("name"), value.get("description") if schema is not value else "")
                told = "\n".join(note for note in notes if isinstance(note, str) and note)
                return f"{told}\n{_written(_without_strictness(schema))}".lstrip()
    return ""


def _without_strictness(schema: Any, depth: int = 0) -> Any:
    """Leave out what no model is shown: that there may be no other properties."""
    if isinstance(schema, dict) and depth < _DEPTH_MAX:
        return {
            name: _without_strictness(value, depth + 1)
            for name, value in schema.items()
            if name != "additionalProperties"
        }
    return schema


def _written(value: Any) -> str:
    return msgspec.json.encode(value).decode()
