"""Usage in replies of Ollama's own API: chat, generate and embed, whole or in JSON lines.

The counts stand beside the text, in the last line of a stream. Older versions leave out
``prompt_eval_count`` where the prompt was cached as a whole: then nobody knows how long it
was. It holds what was read from the cache, which newer versions count by itself. The time
that the machine took is kept in milliseconds, for those who price it by the hour.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.texts import GeneratedText
from tollkeeper.domain.usage import QUANTITY_MAX, Usage
from tollkeeper.wire.generated_text import NOTHING_SAID, text_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import Shape, compact_text, is_present
from tollkeeper.wire.object_stream import LINES, ObjectRule, ObjectStreamReader
from tollkeeper.wire.ollama_shapes import OllamaCounts, OllamaReply
from tollkeeper.wire.openai_chat import error_word
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import Glimpse
from tollkeeper.wire.token_counts import MISSING_COUNT, PARTS_EXCEED_WHOLE

_REPLY: Final = Shape(OllamaReply)
_COUNTS: Final = Shape(OllamaCounts)
_LAST: Final = (b'"done":true', b'"done": true', b'"error":"', b'"error": "')
_NS_PER_MS: Final = 1_000_000
_NOTHING_GENERATED: Final = frozenset({"load", "unload"})
_NOT_A_DURATION: Final = "not_a_duration"


def ollama_chat_reader() -> JsonReader:
    """Give a reader of a whole reply with generated text."""
    return JsonReader(_chat_reading)


class OllamaLineReader(ObjectStreamReader[OllamaReply]):
    """Reads a stream of JSON lines."""

    def __init__(self) -> None:
        super().__init__(_RULE, LINES)


def ollama_embed_reader() -> JsonReader:
    """Give a reader of embeddings. The older call of that name states no usage."""
    return JsonReader(_embed_reading)


def _usage(text: bytes, reply: OllamaReply, fault: str, *, generates: bool) -> Usage:
    quantities: dict[str, int | None] = {}
    duration_ms, duration_fault = _milliseconds(reply.total_duration)
    if reply.done_reason not in _NOTHING_GENERATED:
        prompt, cached = reply.prompt_eval_count, reply.prompt_eval_cached_count or 0
        if prompt is None or (generates and reply.eval_count is None):
            fault = fault or MISSING_COUNT
        elif cached > prompt:
            fault = fault or PARTS_EXCEED_WHOLE
        if not fault or fault == MISSING_COUNT:
            quantities = {
                u.INPUT: None if prompt is None else prompt - cached,
                u.CACHE_READ: cached,
                u.OUTPUT: reply.eval_count,
            }
    quantities[u.GPU_MS] = duration_ms
    counts, _ = _COUNTS.read(text)
    return Usage(
        {name: count for name, count in quantities.items() if count},
        reply.model or "",
        fault=fault or duration_fault,
        raw=compact_text(msgspec.json.encode(_present(counts))) if counts is not None else "",
    )


def _present(counts: OllamaCounts) -> dict[str, msgspec.Raw]:
    fields = ((name, getattr(counts, name)) for name in counts.__struct_fields__)
    return {name: value for name, value in fields if is_present(value)}


def _milliseconds(duration: msgspec.Raw) -> tuple[int | None, str]:
    """Round nanoseconds; gives a fault for what is no time."""
    if not is_present(duration):
        return None, ""
    text = bytes(duration)
    if not text.isdigit() or len(text) > len(str(QUANTITY_MAX * _NS_PER_MS)):
        return None, _NOT_A_DURATION
    duration_ms = (int(text) + _NS_PER_MS // 2) // _NS_PER_MS
    return (None, _NOT_A_DURATION) if duration_ms > QUANTITY_MAX else (duration_ms, "")


def _chat_reading(text: bytes, complete: bool) -> Reading:
    reply, fault = _REPLY.read(text)
    if reply is None:
        return Reading()
    if reply.error:
        return Reading(error_code=error_word(reply.error))
    if reply.done or fault:
        return Reading(_usage(text, reply, fault, generates=True))
    return Reading(None, "", _size(reply))


def _embed_reading(text: bytes, complete: bool) -> Reading:
    reply, fault = _REPLY.read(text)
    if reply is None or (not is_present(reply.embeddings) and not fault):
        return Reading()
    return Reading(_usage(text, reply, fault, generates=False))


def _last_reading(text: bytes, reply: OllamaReply, fault: str) -> Reading | None:
    if reply.error:
        return Reading(error_code=error_word(reply.error))
    if not reply.done:
        return None
    return Reading(_usage(text, reply, fault, generates=True))


def _look_at(reply: OllamaReply, glimpse: Glimpse) -> None:
    glimpse.model = glimpse.model or reply.model or ""
    glimpse.add(_size(reply))
    if reply.error:
        glimpse.error_code = error_word(reply.error)


def _size(reply: OllamaReply) -> GeneratedText:
    message = reply.message
    said = [reply.response, reply.thinking]
    if message is not None:
        said += [message.content, message.thinking, _written(message.tool_calls)]
    return sum((text_size(part) for part in said), NOTHING_SAID)


def _written(calls: Any) -> str:
    return msgspec.json.encode(calls).decode() if calls else ""


_RULE: Final = ObjectRule(_REPLY, _LAST, _last_reading, _look_at)
