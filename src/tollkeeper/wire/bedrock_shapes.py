"""The JSON of Amazon Bedrock's replies, as far as it is read.

Converse has one shape for all models; Invoke passes on the reply of each maker. Of those,
every field stands here that any of them counts in; each is read by who knows what it means.
"""

from __future__ import annotations

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count


class CacheWrite(msgspec.Struct):
    """So many tokens were written to the cache for a time to live ("5m" or "1h")."""

    ttl: str | None = None
    tokens: Count = msgspec.field(default=None, name="inputTokens")


class TokenUsage(msgspec.Struct, rename="camel"):
    """Converse's counts, and Nova's own, which spells those of the cache differently."""

    input_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_write_input_tokens: Count = None
    cache_read_input_token_count: Count = None
    cache_write_input_token_count: Count = None
    cache_details: list[CacheWrite] | None = None


class Tier(msgspec.Struct):
    type: str | None = None


class Performance(msgspec.Struct):
    latency: str | None = None


class ConverseReply(msgspec.Struct, rename="camel"):
    """A whole reply, or the metadata that ends a stream."""

    usage: msgspec.Raw = ABSENT
    service_tier: Tier | None = None
    performance_config: Performance | None = None


class ToolUse(msgspec.Struct):
    name: str | None = None
    input: str | None = None


class Reasoning(msgspec.Struct):
    text: str | None = None


class BlockDelta(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None


class BlockStart(msgspec.Struct, rename="camel"):
    tool_use: ToolUse | None = None


class ConverseEvent(msgspec.Struct):
    """A piece of a message, of which only the size matters."""

    start: BlockStart | None = None
    delta: BlockDelta | None = None


class InvokedChunk(msgspec.Struct):
    """What one event of an invoked stream carries: the maker's own event, in base64."""

    bytes: str | None = None


class InvocationMetrics(msgspec.Struct, rename="camel"):
    """Bedrock's own counts, in the last event of an invoked stream."""

    input_token_count: Count = None
    output_token_count: Count = None
    cache_read_input_token_count: Count = None
    cache_write_input_token_count: Count = None


class Result(msgspec.Struct, rename="camel"):
    """One of Titan's texts, or one document that was ranked."""

    token_count: Count = None
    relevance_score: float | None = msgspec.field(default=None, name="relevance_score")


class ReplyMetadata(msgspec.Struct):
    usage: msgspec.Raw = ABSENT


class Generation(msgspec.Struct):
    """One of several texts: Cohere's generations, Mistral's outputs."""

    text: str | None = None


class MessageDelta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    """One choice of a maker that answers as OpenAI does."""

    text: str | None = None
    delta: MessageDelta | None = None


class NovaDelta(msgspec.Struct):
    delta: BlockDelta | None = None


class NativeReply(msgspec.Struct, rename="camel"):
    """A maker's own reply, or one event of its stream."""

    stop_reason: str | None = msgspec.field(default=None, name="stop_reason")
    content: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT  # Anthropic, Nova, and who answers as OpenAI does
    metadata: ReplyMetadata | None = None  # Nova, in a stream
    metrics: InvocationMetrics | None = msgspec.field(
        default=None, name="amazon-bedrock-invocationMetrics"
    )
    prompt_token_count: Count = msgspec.field(default=None, name="prompt_token_count")  # Llama
    generation_token_count: Count = msgspec.field(default=None, name="generation_token_count")
    input_text_token_count: Count = None  # Titan
    total_output_text_token_count: Count = None
    results: list[Result] | None = None
    images: list[msgspec.Raw] | None = None  # pictures, billed by the piece
    output_text: str | None = None  # Titan's text, in a stream
    generation: str | None = None  # Llama's
    completion: str | None = None  # Claude 2's
    text: str | None = None  # Cohere's
    generations: list[Generation] | None = None
    outputs: list[Generation] | None = None
    choices: list[Choice] | None = None
    content_block_delta: NovaDelta | None = None
