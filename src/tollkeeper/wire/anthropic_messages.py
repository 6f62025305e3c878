"""Usage in replies of Anthropic's Messages API, also as Vertex AI serves it.

A stream states the input at its start and the output at its end, where it may correct the
input too. A stream that breaks off in between has an exact input and no output.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.domain.usage import Usage
from tollkeeper.wire.anthropic_shapes import Event, Message
from tollkeeper.wire.anthropic_usage import anthropic_usage
from tollkeeper.wire.generated_text import call_size, sealed_size, thought_size
from tollkeeper.wire.json_body import JsonReader
from tollkeeper.wire.late_reading import End
from tollkeeper.wire.lenient_json import Shape, is_present, merged_objects
from tollkeeper.wire.readings import Reading
from tollkeeper.wire.sse import (
    EventStream,
    Glimpse,
    RecentEvents,
    data_of,
    event_around,
    first_place,
)

MESSAGE_END: Final = End(b"message_stop")

_NO_OUTPUT: Final = b'{"output_tokens":0,"output_tokens_details":{}}'
_REFUSAL: Final = "refusal"


_MESSAGE: Final = Shape(Message)
_EVENT: Final = Shape(Event)


class MessageStreamReader:
    """Reads a reply that is a stream of events."""

    def __init__(self) -> None:
        self.finished = False
        self._events = EventStream()
        self._recent = RecentEvents(_EVENT, look_at_event)
        self._start: Message | None = None
        self._usage = b""
        self._ended = False
        self._stop_reason = ""
        self._model = ""
        self._has_content = False

    def feed(self, data: bytes, *, marked: bool = True) -> None:
        """Take the next bytes of the body (see ``late_reading``)."""
        if self.finished:
            return
        region = self._events.feed(data)
        if not region:
            return
        if marked and region.rfind(b"message_stop") >= 0:
            region = self._until_stop(region)
        if self._start is None:
            self._take_start(region)
        self._has_content = self._has_content or region.find(b"content_block_delta") >= 0
        self._take_all(region, b'"fallback"')
        self._take_all(region, b'"message_delta"')
        self._recent.keep(region)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without the final counts, the output is sized for an estimate."""
        self.feed(self._events.rest())
        start = self._start
        response_id = (start.id if start else "") or ""
        if self._ended and self._usage:
            billed = self._stop_reason != _REFUSAL or self._has_content
            usage = anthropic_usage(self._usage, self._model, billed=billed)
            return Reading(usage, response_id)
        seen = self._recent.glimpse()
        return Reading(
            self._usage_so_far(),
            response_id,
            seen.text_bytes,
            seen.error_code,
            final=self.finished or not (start or seen.known),
            marked=True,
            partial=True,
        )

    def _usage_so_far(self) -> Usage | None:
        """Give what is known of a stream that broke off: its input."""
        if not self._usage:
            return None
        return anthropic_usage(merged_objects(self._usage, _NO_OUTPUT), self._model)

    def _until_stop(self, region: bytes) -> bytes:
        """Cut a region at the end marker, unless the words only stand in a text."""
        at = first_place(region, b"message_stop")
        while at >= 0:
            start, end = event_around(region, at)
            event, _ = _EVENT.read(data_of(region[start:end]))
            if event is not None and event.type == "message_stop":
                self.finished = True
                return region[:start]
            at = region.find(b"message_stop", end)
        return region

    def _take_start(self, region: bytes) -> None:
        """Take the event that begins the message, wherever it comes."""
        at = region.find(b'"message_start"')
        while at >= 0:
            start, end = event_around(region, at)
            event, _ = _EVENT.read(data_of(region[start:end]))
            if event is not None:
                self._take(event)
            if self._start is not None:
                return
            at = region.find(b'"message_start"', end)

    def _take_all(self, region: bytes, marker: bytes) -> None:
        """Take every event with a marker, in order. They are found from behind, where most are."""
        found = []
        at = region.rfind(marker)
        while at >= 0:
            start, end = event_around(region, at)
            found.append(region[start:end])
            at = region.rfind(marker, 0, start)
        for text in reversed(found):
            event, _ = _EVENT.read(data_of(text))
            if event is not None:
                self._take(event)

    def _take(self, event: Event) -> None:
        match event.type:
            case "message_start" if event.message is not None and self._start is None:
                self._start = event.message
                self._model = event.message.model or ""
                if is_present(event.message.usage):
                    self._usage = bytes(event.message.usage)
            case "message_delta":
                if event.delta is not None and event.delta.stop_reason:
                    self._stop_reason = event.delta.stop_reason
                if is_present(event.usage):
                    self._ended = True
                    self._usage = merged_objects(self._usage or b"{}", bytes(event.usage))
            case "content_block_start":
                block = event.content_block
                if block is not None and block.type == "fallback" and block.to is not None:
                    self._model = block.to.model or self._model


def message_reader() -> JsonReader:
    """Give a reader of a reply that is one JSON object."""
    return JsonReader(_message_reading)


def look_at_event(event: Event, glimpse: Glimpse) -> None:
    """Add to a glimpse what one event says and generates."""
    delta = event.delta
    if delta is not None:
        glimpse.hear(delta.text or delta.partial_json or "")
        if delta.thinking:
            glimpse.add(thought_size(delta.thinking))
        elif delta.signature:
            glimpse.add(sealed_size(delta.signature))
    elif event.content_block is not None:
        glimpse.add(call_size(event.content_block.name, None))
        if event.content_block.type == "redacted_thinking":
            glimpse.add(sealed_size(event.content_block.data))
    elif event.error is not None:
        glimpse.error_code = event.error.type or "error"


def _message_reading(text: bytes, complete: bool) -> Reading:
    message, _ = _MESSAGE.read(text)
    if message is None:
        return Reading()
    error = (message.error.type or "error") if message.error else ""
    if not is_present(message.usage):
        return Reading(None, message.id or "", None, error)
    billed = message.stop_reason != _REFUSAL or bytes(message.content) != b"[]"
    usage = anthropic_usage(message.usage, message.model or "", billed=billed)
    return Reading(usage, message.id or "", None, error)
