"""Usage in replies of Cohere's own API: chat, generate, embed, rerank and classify.

What is billed stands in ``billed_units``. ``tokens`` beside it are more: Cohere adds tokens
of its own to a prompt, which nobody pays for. They are kept with the raw usage. A stream
states its usage in its last event: of the second version in server-sent events, of the first
in JSON lines.
"""

from __future__ import annotations

from typing import Any, Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.texts import GeneratedText
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.cohere_shapes import CohereUsage, Event, Reply, Tokens
from tollkeeper.wire.generated_text import NOTHING_SAID, text_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.late_reading import End
from tollkeeper.wire.lenient_json import Shape, compact_text, is_present
from tollkeeper.wire.object_stream import EVENTS, LINES, ObjectRule, ObjectStreamReader
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import Glimpse
from tollkeeper.wire.token_counts import MISSING_COUNT

_REPLY: Final = Shape(Reply)
_USAGE: Final = Shape(CohereUsage)
_EVENT: Final = Shape(Event)
_LAST: Final = (b'"message-end"', b'"stream-end"')
COHERE_END: Final = End(b'-end"')
COHERE_LINES_END: Final = End(b'-end"', (b"\n",))
_FAILURES: Final = ("ERROR", "TIMEOUT")


def cohere_usage(raw: bytes, *, generates: bool = False) -> Usage | None:
    """Read a ``usage`` or ``meta`` object, None where it says nothing of what was used.

    ``generates`` tells that output is expected, so that a missing count of it is a fault.
    """
    counts, fault = _USAGE.read(raw)
    if counts is None:
        return Usage(fault=fault)
    billed = counts.billed_units
    if billed is None:
        if counts.tokens is None and not fault:
            return None
        # What was counted is more than what is billed: shown, and not taken for it.
        return Usage(
            _counted(counts.tokens or Tokens()),
            fault=fault or MISSING_COUNT,
            raw=compact_text(raw),
        )
    quantities = {
        u.INPUT: billed.input_tokens,
        u.INPUT_IMAGE: billed.image_tokens,
        u.OUTPUT: billed.output_tokens,
        u.RERANK_SEARCHES: billed.search_units,
        u.IMAGES: billed.images,
        u.CLASSIFICATIONS: billed.classifications,
    }
    lacks = set(quantities.values()) == {None} or (
        generates and (billed.input_tokens is None) != (billed.output_tokens is None)
    )
    return Usage(
        {name: count for name, count in quantities.items() if count},
        fault=fault or (MISSING_COUNT if lacks else ""),
        raw=compact_text(raw),
    )


def cohere_chat_reader() -> JsonReader:
    """Give a reader of a whole reply with generated text."""
    return JsonReader(_reading_of)


class CohereEventReader(ObjectStreamReader[Event]):
    """Reads a stream of server-sent events."""

    def __init__(self) -> None:
        super().__init__(_RULE, EVENTS)


class CohereLineReader(ObjectStreamReader[Event]):
    """Reads a stream of JSON lines."""

    def __init__(self) -> None:
        super().__init__(_RULE, LINES)


def _counted(tokens: Tokens) -> dict[str, int]:
    counts = {u.INPUT: tokens.input_tokens, u.OUTPUT: tokens.output_tokens}
    return {name: count for name, count in counts.items() if count}


def _reading_of(text: bytes, complete: bool) -> Reading:
    reply, _ = _REPLY.read(text)
    if reply is None:
        return Reading()
    identity = reply.response_id or reply.id or ""
    for raw in (reply.usage, reply.meta):
        if is_present(raw):
            usage = cohere_usage(bytes(raw), generates=True)
            if usage is not None:
                return Reading(usage, identity, error_code=_failure(reply.finish_reason))
    message = reply.message if isinstance(reply.message, dict) else None
    said = (reply.text, *(reply.generations or ()), message)
    size = sum(_size(part) for part in said)
    return Reading(None, identity, size, _failure(reply.finish_reason))


def _last_reading(text: bytes, event: Event, fault: str) -> Reading | None:
    """Read the event that ends a stream."""
    if event.type == "message-end":
        delta = event.delta
        if delta is None:
            return Reading()
        raw = delta.usage
        failure = delta.error or _failure(delta.finish_reason)
        identity = event.id or ""
    elif event.event_type == "stream-end":
        response = event.response
        if response is None:
            return Reading(error_code=_failure(event.finish_reason))
        raw = response.meta
        failure = _failure(event.finish_reason)
        identity = response.response_id or response.id or ""
    else:
        return None
    usage = cohere_usage(bytes(raw), generates=True) if is_present(raw) else None
    return Reading(usage, identity, error_code=failure)


def _look_at(event: Event, glimpse: Glimpse) -> None:
    if not glimpse.response_id:
        glimpse.response_id = event.id or event.generation_id or ""
    if event.delta is not None and event.delta.message is not None:
        glimpse.add(_size(event.delta.message))
    if event.text and event.event_type == "text-generation":
        glimpse.add(text_size(event.text))


def _size(part: Any) -> GeneratedText:
    """Count the bytes of generated text, wherever a message has it."""
    if isinstance(part, str):
        return text_size(part)
    if isinstance(part, list):
        return sum((_size(inner) for inner in part), NOTHING_SAID)
    if isinstance(part, dict):
        said = (_size(part[name]) for name in _SAID if name in part)
        return sum(said, NOTHING_SAID)
    return NOTHING_SAID


_SAID: Final = ("content", "text", "thinking", "tool_plan", "tool_calls", "function", "arguments")


def _failure(reason: str | None) -> str:
    """Give the word for a reply that ended in a fault of the provider's, else ""."""
    return reason if reason and reason.startswith(_FAILURES) else ""


_RULE: Final = ObjectRule(_EVENT, _LAST, _last_reading, _look_at)
