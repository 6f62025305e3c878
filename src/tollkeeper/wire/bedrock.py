"""Usage in replies of Amazon Bedrock: Converse and Invoke, whole and as event streams.

Converse ends its stream with a metadata event. Invoke carries the maker's own events, in
base64, the last of which has Bedrock's counts beside its own. Anthropic's are read as
Anthropic's own stream is. A failure within a stream is a message of the kind exception.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Final

from tollkeeper.domain.usage import Usage
from tollkeeper.wire.anthropic_messages import MessageStreamReader
from tollkeeper.wire.aws_event_stream import EVENT, AwsEventStream
from tollkeeper.wire.bedrock_shapes import (
    ConverseEvent,
    ConverseReply,
    InvokedChunk,
    NativeReply,
    ToolUse,
)
from tollkeeper.wire.bedrock_usage import (
    Head,
    converse_usage,
    counted_usage,
    invoked_usage,
    served_as,
)
from tollkeeper.wire.generated_text import call_size, text_size
from tollkeeper.wire.json_body import JsonBody, JsonReader
from tollkeeper.wire.lenient_json import Shape, is_present
from tollkeeper.wire.readings import Reading

_REFUSAL: Final = "refusal"
_KEPT_BYTES_MAX: Final = 32 << 10
_METADATA: Final = "metadata"
_CHUNK: Final = "chunk"
_BYTES: Final = b'{"bytes":"'
_METRICS: Final = b'"amazon-bedrock-invocationMetrics"'
_ANTHROPIC_START: Final = b'"message_start"'

_CONVERSE: Final = Shape(ConverseReply)
_CONVERSE_EVENT: Final = Shape(ConverseEvent)
_NATIVE: Final = Shape(NativeReply)
_INVOKED: Final = Shape(InvokedChunk)
_NO_HEAD: Final = Head()


def converse_reader() -> JsonReader:
    """Give a reader of Converse's whole replies."""
    return JsonReader(_converse_reading)


def _converse_reading(text: bytes, complete: bool) -> Reading:
    reply, _ = _CONVERSE.read(text)
    return Reading() if reply is None else Reading(_usage_of(reply))


def _usage_of(reply: ConverseReply) -> Usage | None:
    if not is_present(reply.usage):
        return None
    return converse_usage(reply.usage, reply.service_tier, reply.performance_config)


class ConverseStreamReader:
    """Reads Converse's event stream."""

    def __init__(self) -> None:
        self.finished = False
        self._stream = AwsEventStream()
        self._usage: Usage | None = None
        self._error = ""
        self._kept: list[bytes] = []
        self._room_bytes = _KEPT_BYTES_MAX
        self._text_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self.finished:
            return
        kept = self._kept
        for kind, name, payload in self._stream.feed(data):
            if kind != EVENT:
                self._error = name or kind
            elif name == _METADATA:
                reply, _ = _CONVERSE.read(payload)
                self._usage = _usage_of(reply) if reply is not None else None
                self.finished = True
                return
            else:
                kept.append(payload)
                self._room_bytes -= len(payload)
        if self._room_bytes < 0:
            self._size_kept()

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; without the metadata, what went by is sized for an estimate."""
        if self.finished and self._usage is not None:
            return Reading(self._usage, error_code=self._error)
        self._size_kept()
        error = self._error or _fault_code(self._stream)
        return Reading(
            None, "", self._text_bytes, error, final=self.finished, marked=True, partial=True
        )

    def _size_kept(self) -> None:
        kept, self._kept, self._room_bytes = self._kept, [], _KEPT_BYTES_MAX
        for event in _CONVERSE_EVENT.read_all(kept):
            if event.delta is not None:
                reasoning = event.delta.reasoning_content
                text = event.delta.text or (reasoning.text if reasoning else None)
                self._text_bytes += text_size(text) + _tool_size(event.delta.tool_use)
            elif event.start is not None:
                self._text_bytes += _tool_size(event.start.tool_use)


def _tool_size(tool: ToolUse | None) -> int:
    return call_size(tool.name, tool.input) if tool is not None else 0


class InvokeReader:
    """Reads a maker's whole reply, and the headers that it came with."""

    def __init__(self) -> None:
        self.finished = False
        self._head = _NO_HEAD
        self._body = JsonBody()

    def take_head(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the reply's header fields: for some makers they are all that counts."""
        self._head = Head(headers)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._body.feed(data)

    def close(self, *, complete: bool) -> Reading:
        """Say what was read."""
        text = self._body.text()
        reply, fault = _NATIVE.read(text)
        if reply is None:
            usage = counted_usage(self._head.counts, self._head.raw)
            usage = served_as(usage, self._head) if usage is not None else None
            return Reading(usage, final=not text or text.rstrip().endswith((b"}", b"]")))
        billed = reply.stop_reason != _REFUSAL or bytes(reply.content) != b"[]"
        return Reading(invoked_usage(reply, self._head, fault=fault, billed=billed))


class InvokeStreamReader:
    """Reads the event stream of an invoked model: the maker's events, one in each message.

    They are kept unread until the metrics come that end a stream, or until they are too many.
    """

    def __init__(self) -> None:
        self.finished = False
        self._stream = AwsEventStream()
        self._head = _NO_HEAD
        self._begun = False
        self._anthropic: MessageStreamReader | None = None
        self._kept: list[bytes] = []
        self._room_bytes = _KEPT_BYTES_MAX
        self._counted = NativeReply()
        self._fault = ""
        self._error = ""
        self._text_bytes = 0

    def take_head(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Take the reply's header fields: they say what was served."""
        self._head = Head(headers)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self.finished:
            return
        for kind, name, payload in self._stream.feed(data):
            if kind != EVENT:
                self._error = name or kind
            elif name == _CHUNK:
                event = _event_in(payload)
                if not self._begun:
                    self._begun = True
                    self._anthropic = _anthropic_reader(event)
                if event.rfind(_METRICS) >= 0 and self._is_end(event):
                    self.finished = True
                    return
                self._kept.append(event)
                self._room_bytes -= len(event)
        if self._room_bytes < 0:
            self._read_kept()

    def close(self, *, complete: bool) -> Reading:
        """Say what was read; a stream that broke off tells what it had counted until then."""
        error = self._error or ("" if self.finished else _fault_code(self._stream))
        if self._anthropic is not None:
            self._read_kept()
            return self._anthropic_reading(self._anthropic, error, complete=complete)
        if not self.finished:
            self._read_kept()
        usage = invoked_usage(self._counted, self._head, fault=self._fault)
        whole = self.finished or (complete and usage is not None and self._stream.at_boundary)
        if whole and usage is not None:
            return Reading(usage, error_code=error)
        return Reading(
            usage, "", self._text_bytes, error, final=self.finished, marked=True, partial=True
        )

    def _is_end(self, event: bytes) -> bool:
        """Take the metrics of an event that has them; False where they only stand in a text."""
        reply, fault = _NATIVE.read(event)
        if reply is None or reply.metrics is None:
            return False
        if self._anthropic is not None:
            self._kept.append(event)
        self._fault = self._fault or fault
        _count_in(self._counted, reply)
        return True

    def _read_kept(self) -> None:
        kept, self._kept, self._room_bytes = self._kept, [], _KEPT_BYTES_MAX
        if self._anthropic is not None:
            # A line break cannot stand within a JSON string, only between its parts.
            events = [b"data: " + event.replace(b"\n", b" ") + b"\n\n" for event in kept]
            self._anthropic.feed(b"".join(events))
            return
        for event in kept:
            reply, fault = _NATIVE.read(event)
            if reply is not None:
                self._fault = self._fault or fault
                self._text_bytes += _native_size(reply)
                _count_in(self._counted, reply)

    def _anthropic_reading(
        self, inner: MessageStreamReader, error: str, *, complete: bool
    ) -> Reading:
        reading = inner.close(complete=complete)
        usage = reading.usage
        if usage is None or reading.partial:
            counted = counted_usage(self._counted.metrics)
            if counted is not None:
                return Reading(served_as(counted, self._head), reading.response_id, None, error)
        if usage is not None:
            usage = served_as(usage, self._head)
        return reading._replace(usage=usage, error_code=error or reading.error_code)


def _anthropic_reader(event: bytes) -> MessageStreamReader | None:
    return MessageStreamReader() if _ANTHROPIC_START in event else None


def _event_in(payload: bytes) -> bytes:
    """Give the maker's own event that a message carries; nothing if it carries none."""
    coded: bytes | str
    end = payload.find(b'"', len(_BYTES)) if payload.startswith(_BYTES) else -1
    if end > 0 and payload.find(b"\\") < 0:
        coded = payload[len(_BYTES) : end]
    else:
        chunk, _ = _INVOKED.read(payload)
        coded = (chunk.bytes if chunk is not None else None) or ""
    try:
        return binascii.a2b_base64(coded)
    except (binascii.Error, ValueError):
        return b""


def _count_in(counted: NativeReply, event: NativeReply) -> None:
    """Lay the counts of one event over those of the events before it."""
    for name in _COUNTS:
        value = getattr(event, name)
        if value is not None:
            setattr(counted, name, value)
    if is_present(event.usage):
        counted.usage = event.usage
    if event.metadata is not None and is_present(event.metadata.usage):
        counted.metadata = event.metadata


_COUNTS: Final = (
    "metrics",
    "prompt_token_count",
    "generation_token_count",
    "input_text_token_count",
    "total_output_text_token_count",
)


def _native_size(reply: NativeReply) -> int:
    """Size the text that one event generated, for estimates."""
    size = text_size(reply.output_text or reply.generation or reply.completion or reply.text)
    for part in (*(reply.generations or ()), *(reply.outputs or ())):
        size += text_size(part.text)
    for choice in reply.choices or ():
        size += text_size(choice.text) + text_size(choice.delta.content if choice.delta else None)
    block = reply.content_block_delta
    if block is not None and block.delta is not None:
        size += text_size(block.delta.text) + _tool_size(block.delta.tool_use)
    return size


def _fault_code(stream: AwsEventStream) -> str:
    return f"event_stream_{stream.fault}" if stream.fault else ""
