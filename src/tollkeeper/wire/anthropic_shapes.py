"""The JSON of Anthropic's messages, as far as it is read."""

from __future__ import annotations

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count


class Lifetimes(msgspec.Struct):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class OutputDetails(msgspec.Struct):
    thinking_tokens: Count = None


class ServerTools(msgspec.Struct):
    web_search_requests: Count = None


class Step(msgspec.Struct):
    """One element of ``iterations``, and the counts that the usage itself has too."""

    type: str | None = None
    model: str | None = None
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: Lifetimes | None = None


class MessageUsage(Step):
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerTools | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: list[Step] | None = None


class Error(msgspec.Struct):
    type: str | None = None


class Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    content: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: Error | None = None


class Delta(msgspec.Struct):
    stop_reason: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None


class Served(msgspec.Struct):
    model: str | None = None


class Block(msgspec.Struct):
    type: str | None = None
    to: Served | None = None
    name: str | None = None
    data: str | None = None


class Event(msgspec.Struct):
    """One event of the stream."""

    type: str | None = None
    message: Message | None = None
    delta: Delta | None = None
    content_block: Block | None = None
    usage: msgspec.Raw = ABSENT
    error: Error | None = None
