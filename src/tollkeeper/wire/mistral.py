"""Usage in replies that only Mistral has: documents that were read, and conversations.

Documents are billed by the page, and by a dearer page where annotations were asked for. A
conversation states its tokens, those that connectors put into the prompt, and how often each
connector was used. What else Mistral answers has OpenAI's shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import QUANTITY_MAX, Usage
from tollkeeper.wire.generated_text import text_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.late_reading import End
from tollkeeper.wire.lenient_json import Shape, compact_text, is_present
from tollkeeper.wire.mistral_shapes import (
    ConversationEvent,
    ConversationReply,
    ConversationUsage,
    DocumentReply,
    PageCounts,
)
from tollkeeper.wire.object_stream import EVENTS, ObjectRule, ObjectStreamReader
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import Glimpse
from tollkeeper.wire.token_counts import MISSING_COUNT, exclusive

_NAMES_MAX: Final = 64
SEVERAL_MODELS: Final = "several_models"
"""Agents handed a conversation on: its counts are of more than one model, and not told apart."""

_CONNECTORS: Final = {
    "web_search": u.WEB_SEARCHES,
    "code_interpreter": u.CODE_EXECUTIONS,
    "image_generation": u.IMAGES,
    "document_library": u.DOCUMENT_SEARCHES,
}
_NOT_A_COUNT: Final = "not_a_count"
_DOCUMENT: Final = Shape(DocumentReply)
_PAGES: Final = Shape(PageCounts)
_CONVERSATION: Final = Shape(ConversationReply)
_EVENT: Final = Shape(ConversationEvent)
_USAGE: Final = Shape(ConversationUsage)
_LAST: Final = (b"conversation.response.done", b"conversation.response.error")
CONVERSATION_END: Final = End(b"conversation.response.")
_MODEL: Final = b'"model"'
_MODEL_NAMED: Final = re.compile(rb'"model"\s*:\s*"([^"\\]{1,256})"')
_IDENTITY: Final = b'"conversation_id"'
_CONVERSATION_NAMED: Final = re.compile(rb'"conversation_id"\s*:\s*"([^"\\]{1,256})"')


def ocr_reader() -> JsonReader:
    """Give a reader of a document's reply."""
    return JsonReader(_document_reading)


def conversation_reader() -> JsonReader:
    """Give a reader of a conversation's whole reply."""
    return JsonReader(_conversation_reading)


class ConversationStreamReader(ObjectStreamReader[ConversationEvent]):
    """Reads the stream of a conversation."""

    def __init__(self) -> None:
        super().__init__(_RULE, EVENTS)
        self._models: set[bytes] = set()
        self._conversation = b""

    def close(self, *, complete: bool) -> Reading:
        """Say what was read, with the models that the events before the last one name."""
        reading = super().close(complete=complete)
        usage = reading.usage
        if usage is None:
            return reading
        names = [name.decode("utf-8", "replace") for name in self._models]
        identity = self._conversation.decode("utf-8", "replace")
        return Reading(_of_models(usage, names), identity)

    def _keep(self, region: bytes) -> None:
        if len(self._models) < _NAMES_MAX:
            self._models.update(_models_in(region))
        if not self._conversation:
            at = region.find(_IDENTITY)
            named = _CONVERSATION_NAMED.search(region, at) if at >= 0 else None
            self._conversation = named[1] if named else b""
        self._recent.keep(region)


def _models_in(region: bytes) -> list[bytes]:
    """Give the models that are named; mostly it is one, in every event."""
    at = region.find(_MODEL)
    first = _MODEL_NAMED.match(region, at) if at >= 0 else None
    # Nothing is left that could name another. Cutting from behind takes half the time of
    # cutting from the front, and less than counting.
    if first is not None and b"".join(region.rsplit(first[0])).rfind(_MODEL) < 0:
        return [first[1]]
    return _MODEL_NAMED.findall(region)


def conversation_usage(raw: bytes) -> Usage:
    """Read the ``usage`` of a conversation, without the model."""
    counts, fault = _USAGE.read(raw)
    if counts is None:
        return Usage(fault=fault)
    brought = counts.connector_tokens or 0
    prompt, total = counts.prompt_tokens, counts.total_tokens
    beside = (
        total is not None and total == (prompt or 0) + (counts.completion_tokens or 0) + brought
    )
    if brought and beside and prompt is not None:
        prompt += brought
    quantities, contradiction = exclusive(prompt, counts.completion_tokens, total, 0, 0)
    if brought and quantities.get(u.INPUT, 0) >= brought:
        quantities[u.INPUT_TOOL] = brought
        quantities[u.INPUT] -= brought
        if not quantities[u.INPUT]:
            del quantities[u.INPUT]
    wrong = ""
    if counts.connectors:
        units, wrong = _connector_units(counts.connectors)
        quantities |= units
    return Usage(quantities, fault=fault or contradiction or wrong, raw=compact_text(raw))


def _connector_units(connectors: dict[str, Any]) -> tuple[dict[str, int], str]:
    """Give how often each kind of tool ran; one of somebody else's is a tool like any other."""
    units: dict[str, int] = {}
    for name, count in connectors.items():
        if count is None:
            continue
        if type(count) is not int or not 0 <= count <= QUANTITY_MAX:
            return {}, _NOT_A_COUNT
        if count:
            unit = _CONNECTORS.get(name, u.TOOL_CALLS)
            units[unit] = units.get(unit, 0) + count
    return units, ""


def _document_reading(text: bytes, complete: bool) -> Reading:
    reply, _ = _DOCUMENT.read(text)
    if reply is None or not is_present(reply.usage_info):
        return Reading()
    model = reply.model or ""
    counts, fault = _PAGES.read(bytes(reply.usage_info))
    if counts is None:
        return Reading(Usage(model=model, fault=fault))
    pages, annotated = counts.pages_processed, counts.pages_processed_annotation
    if pages is None and annotated is None:
        fault = fault or MISSING_COUNT
    if annotated is None:
        annotated = (pages or 0) if _is_annotated(reply) else 0
    quantities = {u.PAGES: max(0, (pages or 0) - annotated), u.ANNOTATED_PAGES: annotated}
    return Reading(
        Usage(
            {name: count for name, count in quantities.items() if count},
            model,
            fault=fault,
            raw=compact_text(reply.usage_info),
        )
    )


def _is_annotated(reply: DocumentReply) -> bool:
    """Tell from a reply that does not count them whether its pages were annotated."""
    if is_present(reply.document_annotation):
        return True
    pictures = (picture for page in reply.pages or () for picture in page.images or ())
    return any(is_present(picture.image_annotation) for picture in pictures)


def _conversation_reading(text: bytes, complete: bool) -> Reading:
    reply, _ = _CONVERSATION.read(text)
    if reply is None:
        return Reading()
    identity, outputs = reply.conversation_id or "", reply.outputs or []
    if is_present(reply.usage):
        usage = conversation_usage(bytes(reply.usage))
        models = {output.model for output in outputs if output.model}
        return Reading(_of_models(usage, list(models)), identity)
    if not outputs:
        return Reading(None, identity)
    return Reading(None, identity, sum(text_size(output.content) for output in outputs))


def _of_models(usage: Usage, names: Sequence[str]) -> Usage:
    """Give the usage its model, of which there is at most one; the names are distinct."""
    if len(names) > 1:
        return usage._replace(fault=usage.fault or SEVERAL_MODELS)
    return usage._replace(model=names[0]) if names else usage


def _last_reading(text: bytes, event: ConversationEvent, fault: str) -> Reading | None:
    if event.type == "conversation.response.error":
        return Reading(error_code=str(event.code or "error"))
    if event.type != "conversation.response.done":
        return None
    return Reading(conversation_usage(bytes(event.usage)) if is_present(event.usage) else None)


def _look_at(event: ConversationEvent, glimpse: Glimpse) -> None:
    glimpse.response_id = glimpse.response_id or event.conversation_id or ""
    glimpse.add(text_size(event.content) + text_size(event.arguments))


_RULE: Final = ObjectRule(_EVENT, _LAST, _last_reading, _look_at)
