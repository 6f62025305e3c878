"""The JSON of Gemini and Vertex AI, as far as it is read."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.wire.lenient_json import ABSENT, Count


class OfKind(msgspec.Struct, rename="camel"):
    modality: str | int | None = None
    token_count: Count = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """The ``usageMetadata`` object."""

    prompt_token_count: Count = None
    candidates_token_count: Count = None
    thoughts_token_count: Count = None
    tool_use_prompt_token_count: Count = None
    cached_content_token_count: Count = None
    total_token_count: Count = None
    prompt_tokens_details: list[OfKind] | None = None
    prompt_token_details: list[OfKind] | None = None  # embeddings spell it so
    cache_tokens_details: list[OfKind] | None = None
    candidates_tokens_details: list[OfKind] | None = None
    service_tier: str | None = None
    traffic_type: str | int | None = None


class Statistics(msgspec.Struct):
    token_count: Count = None


class Vector(msgspec.Struct):
    statistics: Statistics | None = None


class Prediction(msgspec.Struct):
    """One embedding, as Vertex AI's predict answers."""

    embeddings: Vector | None = None


class PredictMetadata(msgspec.Struct, rename="camel"):
    """What predict says of the whole request."""

    billable_character_count: Count = None


class Grounding(msgspec.Struct, rename="camel"):
    web_search_queries: list[str] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    grounding_metadata: Grounding | None = None


class Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class Error(msgspec.Struct):
    status: str | None = None
    code: Any = None


class Chunk(msgspec.Struct, rename="camel"):
    """One object of a stream, or a whole reply."""

    response_id: str | None = None
    model_version: str | None = None
    usage_metadata: msgspec.Raw = ABSENT
    candidates: list[Candidate] | None = None
    prompt_feedback: Feedback | None = None
    predictions: list[Prediction] | None = None
    metadata: PredictMetadata | None = None
    error: Error | None = None
    response: msgspec.Raw = ABSENT


class FunctionCall(msgspec.Struct):
    name: str | None = None
    args: msgspec.Raw = ABSENT


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct):
    parts: list[Part] | None = None


class Spoken(msgspec.Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | int | None = None


class TextChunk(msgspec.Struct, rename="camel"):
    """What an object of a stream says beside the usage."""

    response_id: str | None = None
    model_version: str | None = None
    candidates: list[Spoken] | None = None
    error: Error | None = None
    response: msgspec.Raw = ABSENT
