"""Usage in replies of the Gemini API, of AI Studio and of Vertex AI.

A stream comes as events, or as one JSON array of the same objects. Usage may stand in every
object and grows: the last one is it. Code Assist wraps each object in a ``response``.
Google searches are counted from the grounding metadata: Gemini 3 is billed per search
query, empty and repeated ones not counted; Gemini 2 per grounded prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from tollkeeper.domain.usage import Usage
from tollkeeper.wire.gemini_shapes import Chunk, Error, TextChunk
from tollkeeper.wire.gemini_usage import (
    gemini_usage,
    prediction_usage,
)
from tollkeeper.wire.generated_text import call_size, sealed_size, thought_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.lenient_json import ABSENT, Shape, is_present
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import EventStream, Glimpse, RecentEvents, data_of, event_around

_BILLED_PER_PROMPT: Final = ("gemini-1", "gemini-2", "gemini-live-2")


_CHUNK: Final = Shape(Chunk)
_TEXT_CHUNK: Final = Shape(TextChunk)
_ENDED: Final = (b'"finishReason"', b'"blockReason"')
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


class GeminiStreamReader:
    """Reads a reply that is a stream of events."""

    def __init__(self) -> None:
        self.finished = False  # the stream has no end marker of its own
        self._events = EventStream()
        self._recent = RecentEvents(_TEXT_CHUNK, look_at_chunk)
        self._usage_region = b""  # the last events with a usage, not taken apart yet
        self._queries: set[str] = set()
        self._ended = False

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        """Take the next bytes of the body (see ``late_reading``)."""
        region = self._events.feed(data)
        if not region:
            return
        if region.rfind(b'"usageMetadata"') >= 0:
            self._usage_region = region
        if region.rfind(b'"webSearchQueries"') >= 0:
            self._take_queries(region)
        self._ended = self._ended or any(region.rfind(name) >= 0 for name in _ENDED)
        self._recent.keep(region)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without a usage, what went by is looked at for an estimate."""
        self.feed(self._events.rest())
        at = self._usage_region.rfind(b'"usageMetadata"')
        if at >= 0:
            start, end = event_around(self._usage_region, at)
            reading = _reading_of([data_of(self._usage_region[start:end])], self._queries)
            if reading.usage is not None:
                if self._ended:
                    return reading
                error = self._recent.glimpse().error_code
                return reading._replace(final=False, error_code=error)
        seen = self._recent.glimpse()
        final = seen.ended or not seen.known
        return Reading(None, seen.response_id, seen.text_bytes, seen.error_code, final=final)

    def _take_queries(self, region: bytes) -> None:
        at = region.find(b'"webSearchQueries"')
        while at >= 0:
            start, end = event_around(region, at)
            chunk = _chunk_of(data_of(region[start:end]))
            self._queries.update(_queries_of(chunk))
            at = region.find(b'"webSearchQueries"', end)


def gemini_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object, or an array of them."""
    return JsonReader(_body_reading)


def look_at_chunk(chunk: TextChunk, glimpse: Glimpse) -> None:
    """Add to a glimpse what one object says and generates."""
    if is_present(chunk.response):
        chunk = _TEXT_CHUNK.read(chunk.response)[0] or TextChunk()
    glimpse.response_id = glimpse.response_id or chunk.response_id or ""
    glimpse.model = glimpse.model or chunk.model_version or ""
    if chunk.error is not None:
        glimpse.error_code = _error_word(chunk.error)
    for candidate in chunk.candidates or ():
        if candidate.finish_reason:
            glimpse.ended = True
        for part in (candidate.content.parts if candidate.content else None) or ():
            if part.thought:
                glimpse.add(thought_size(part.text))
            else:
                glimpse.hear(part.text or "")
            if part.thought_signature:
                glimpse.add(sealed_size(part.thought_signature))
            if part.function_call is not None:
                call = part.function_call
                arguments = bytes(call.args).decode("utf-8", "replace")
                glimpse.add(call_size(call.name, arguments))


def _body_reading(text: bytes, complete: bool) -> Reading:
    chunks = [text]
    if text.lstrip()[:1] == b"[":
        chunks = list(_elements(text))
    reading = _reading_of(chunks, set())
    if reading.usage is not None:
        broken_off = chunks != [text] and not text.rstrip().endswith(b"]")
        return reading._replace(final=False) if broken_off else reading
    glimpse = Glimpse()
    for chunk in _TEXT_CHUNK.read_all(chunks):
        look_at_chunk(chunk, glimpse)
    return reading._replace(
        output_bytes=glimpse.text_bytes, error_code=reading.error_code or glimpse.error_code
    )


def _elements(text: bytes) -> Iterable[bytes]:
    """Give the elements of a JSON array of objects, also of one that broke off."""
    try:
        return [bytes(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _complete_elements(text)


def _complete_elements(text: bytes) -> Iterable[bytes]:
    depth = start = 0
    for token in _TOKEN.finditer(text):
        match token.group():
            case b"{" | b"[":
                depth += 1
                if depth == 2:  # within the array
                    start = token.start()
            case b"}" | b"]":
                depth -= 1
                if depth == 1:
                    yield text[start : token.end()]


def _reading_of(texts: list[bytes], queries: set[str]) -> Reading:
    """Read the objects of one reply: the last usage, the last id, all search queries."""
    usage_raw = ABSENT
    response_id = model = error = ""
    blocked = False
    usage: Usage | None = None
    for text in texts:
        chunk = _chunk_of(text)
        response_id = chunk.response_id or response_id
        model = chunk.model_version or model
        queries |= _queries_of(chunk)
        blocked = blocked or bool(chunk.prompt_feedback and chunk.prompt_feedback.block_reason)
        if chunk.error is not None:
            error = _error_word(chunk.error)
        if is_present(chunk.usage_metadata):
            usage_raw = chunk.usage_metadata
        elif chunk.predictions is not None:
            usage = prediction_usage(chunk.predictions, chunk.metadata)
    if is_present(usage_raw):
        searches = billed_searches(model, queries)
        usage = gemini_usage(usage_raw, model, searches, blocked=blocked)
    return Reading(usage, response_id, None, error)


def _chunk_of(text: bytes) -> Chunk:
    chunk, _ = _CHUNK.read(text)
    if chunk is not None and is_present(chunk.response):
        chunk, _ = _CHUNK.read(chunk.response)
    return chunk or Chunk()


def _queries_of(chunk: Chunk) -> set[str]:
    found: set[str] = set()
    for candidate in chunk.candidates or ():
        if candidate.grounding_metadata is not None:
            found.update(candidate.grounding_metadata.web_search_queries or ())
    return found - {""}


def billed_searches(model: str, queries: set[str]) -> int:
    """Count the searches that a model's reply is billed for."""
    name = model.rpartition("/")[2]
    if name.startswith(_BILLED_PER_PROMPT):
        return 1 if queries else 0
    return len(queries)


def _error_word(error: Error) -> str:
    return str(error.status or error.code or "error")
