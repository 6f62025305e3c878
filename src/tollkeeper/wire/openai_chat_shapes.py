"""The JSON of chat completions, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count
from tollkeeper.wire.stated_costs import Statement


class PromptDetails(msgspec.Struct):
    """Parts of the prompt's tokens."""

    cached_tokens: Count = None
    cache_write_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None
    video_tokens: Count = None
    cache_creation_input_tokens: Count = None  # Qwen's word for what was written


class OutputDetails(msgspec.Struct):
    """Parts of the output's tokens."""

    reasoning_tokens: Count = None
    audio_tokens: Count = None
    image_tokens: Count = None


class ChatUsage(Statement):
    """The ``usage`` object, with the fields that compatible servers add."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: Count = None  # DeepSeek
    cached_tokens: Count = None  # Moonshot, Together
    num_cached_tokens: Count = None  # Mistral, as both that follow
    prompt_audio_seconds: Count = None
    service_tier: str | None = None
    cache_read_input_tokens: Count = None  # Databricks and other places of Claude, as the next
    cache_creation_input_tokens: Count = None
    prompt_token_details: PromptDetails | None = None  # Writer, as the next
    completion_token_details: OutputDetails | None = None
    search_context_size: str | None = None  # Perplexity, as all that follow
    citation_tokens: Count = None
    num_search_queries: Count = None
    reasoning_tokens: Count = None


class Carrier(msgspec.Struct):
    usage: msgspec.Raw = ABSENT


class ChatReply(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = ABSENT
    x_groq: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class UnusualReply(msgspec.Struct):
    """Where else a usage may stand."""

    x_groq: Carrier | None = None
    choices: list[Carrier] = []


class OneModel(msgspec.Struct):
    """What one model of a compound system used."""

    model: str | None = None
    usage: msgspec.Raw = ABSENT


class Breakdown(msgspec.Struct):
    models: list[OneModel] = []


class CompoundCarrier(msgspec.Struct):
    usage_breakdown: Breakdown | None = None


class CompoundReply(msgspec.Struct):
    """A reply of Groq, as far as other models than the one that was asked had a part in it."""

    usage_breakdown: Breakdown | None = None
    x_groq: CompoundCarrier | None = None


class ExecutedTool(msgspec.Struct):
    index: int | None = None
    type: str | None = None


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    function: Function | None = None


class Speech(msgspec.Struct):
    transcript: str | None = None


class Message(msgspec.Struct):
    content: Any = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None
    audio: Speech | None = None
    executed_tools: list[ExecutedTool] | None = None


class Choice(msgspec.Struct):
    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """What a chunk says beside its usage; a whole reply can be read as one."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    error: Any = None


class UsageChunk(msgspec.Struct):
    choices: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
