"""Embeddings: vectors that depend on the text alone, in OpenAI's and in Google's reply."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from hashlib import shake_128
from typing import Any, Final

from tollkeeper.domain.errors import BadRequest
from tollkeeper.sandbox.asked import (
    Json,
    in_camel_case,
    last_text_of,
    object_at,
    objects_at,
    size_of,
    text_at,
)
from tollkeeper.sandbox.behaviour import UsageStyle
from tollkeeper.sandbox.counts import Counts, tokens_of
from tollkeeper.sandbox.reply import Reply, json_reply
from tollkeeper.sandbox.stated_usage import put_usage

_DIMENSIONS: Final[Mapping[str, int]] = {
    "text-embedding-3-large": 3_072,
    "text-embedding-3-small": 1_536,
    "text-embedding-ada-002": 1_536,
    "gemini-embedding-001": 3_072,
    "text-embedding-004": 768,
}
_DIMENSIONS_ELSE: Final = 1_536
_DIMENSIONS_MAX: Final = 4_096
_INPUTS_MAX: Final = 2_048
_MIDDLE: Final = 127.5


def embeddings_reply(body: Json, model: str, style: UsageStyle, headers: bytes) -> Reply:
    """Answer OpenAI's embeddings call. Raises BadRequest for an input that is none."""
    inputs = _inputs(body.get("input"))
    dimensions = _dimensions(model, body.get("dimensions"))
    coded = body.get("encoding_format") == "base64"
    tokens = 0
    data = []
    for index, given in enumerate(inputs):
        tokens += len(given) if isinstance(given, list) else tokens_of(given)
        vector = vector_of(str(given), dimensions)
        data.append(
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector) if coded else vector,
            }
        )
    whole = {"object": "list", "data": data, "model": model}
    put_usage(whole, {"prompt_tokens": tokens, "total_tokens": tokens}, style)
    return json_reply(whole, counts=Counts(input=tokens), model=model, headers=headers)


def gemini_embeddings_reply(body: Json, model: str, style: UsageStyle, headers: bytes) -> Reply:
    """Answer Google's embedContent or batchEmbedContents, whichever the body is of."""
    requests = objects_at(body, "requests")
    vectors = [_gemini_vector(request, model) for request in requests or [body]]
    tokens = sum(size_of(request.get("content")).weight.text for request in requests or [body])
    whole: dict[str, Any] = {"embeddings": vectors} if requests else {"embedding": vectors[0]}
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    usage = {"promptTokenCount": tokens, "promptTokenDetails": details}
    put_usage(whole, usage, style, "usageMetadata")
    return json_reply(whole, counts=Counts(input=tokens), model=model, headers=headers)


def vector_of(text: str, dimensions: int) -> list[float]:
    """Give a vector of length one for a text."""
    drawn = shake_128(text.encode("utf-8", "replace")).digest(dimensions)
    length = math.sqrt(sum((value - _MIDDLE) ** 2 for value in drawn))
    return [(value - _MIDDLE) / length for value in drawn]


def _inputs(given: Any) -> list[str | list[int]]:
    """Read what is to be embedded: a text, texts, tokens, or lists of tokens."""
    found = [given] if isinstance(given, str) else given
    if isinstance(found, list) and found and all(isinstance(item, int) for item in found):
        found = [found]
    fits = isinstance(found, list) and all(isinstance(item, str | list) for item in found)
    if not fits or not 0 < len(found) <= _INPUTS_MAX:
        raise BadRequest(
            f"the field 'input' must be a text, or 1 to {_INPUTS_MAX} of them", code="field_invalid"
        )
    return list(found)


def _dimensions(model: str, wanted: Any) -> int:
    if wanted is None:
        return _DIMENSIONS.get(model, _DIMENSIONS_ELSE)
    if not isinstance(wanted, int) or not 1 <= wanted <= _DIMENSIONS_MAX:
        raise BadRequest(
            f"the number of dimensions must be from 1 to {_DIMENSIONS_MAX}", code="field_invalid"
        )
    return wanted


def _gemini_vector(request: Json, model: str) -> dict[str, Any]:
    request = in_camel_case(request)
    content = object_at(request, "content")
    text = last_text_of(content.get("parts")) or text_at(content, "text")
    config = in_camel_case(object_at(request, "embedContentConfig"))
    wanted = request.get("outputDimensionality", config.get("outputDimensionality"))
    return {"values": vector_of(text, _dimensions(model, wanted))}


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
