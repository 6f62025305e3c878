"""The JSON of the Responses API, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count
from tollkeeper.wire.openai_chat_shapes import OutputDetails, PromptDetails
from tollkeeper.wire.stated_costs import Statement


class ResponsesUsage(Statement):
    """The ``usage`` object."""

    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    input_tokens_details: PromptDetails | None = None
    output_tokens_details: OutputDetails | None = None


class ByKind(msgspec.Struct):
    text_tokens: Count = None
    image_tokens: Count = None


class ImageUsage(Statement):
    """Tokens of making pictures."""

    input_tokens: Count = None
    output_tokens: Count = None
    input_tokens_details: ByKind | None = None
    output_tokens_details: ByKind | None = None


class Searches(msgspec.Struct):
    num_requests: Count = None


class ToolUsage(msgspec.Struct):
    web_search: Searches | None = None
    image_gen: ImageUsage | None = None


class Action(msgspec.Struct):
    type: str | None = None


class Environment(msgspec.Struct):
    """Where a shell ran: in a container of the provider, or on the caller's machine."""

    container_id: str | None = None


class Item(msgspec.Struct):
    type: str | None = None
    action: Action | None = None
    container_id: str | None = None
    environment: Environment | None = None


class Tool(msgspec.Struct):
    type: str | None = None
    model: str | None = None


class Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = ABSENT
    tool_usage: ToolUsage | None = None
    output: list[Item] | None = None
    tools: list[Tool] | None = None
    error: Any = None
    background: bool | None = None
    created_at: Count = None


class LastEvent(msgspec.Struct):
    type: str | None = None
    response: msgspec.Raw = ABSENT


class Begun(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    background: bool | None = None


class StreamedItem(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    encrypted_content: str | None = None


class Event(msgspec.Struct):
    """What an event says beside the usage."""

    type: str | None = None
    delta: Any = None
    item: StreamedItem | None = None
    response: Begun | None = None
    code: str | None = None
    error: Any = None
