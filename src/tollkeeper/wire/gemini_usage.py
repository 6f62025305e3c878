"""Google's usage metadata: what each of its counts contains, and what stands beside it.

The prompt contains what came from a cache. Thinking and what tools put into the prompt are
extra: the total is the sum of prompt, candidates, thoughts and tool use. The lists by kind
(text, image, …) are not complete; what they leave out is text. Embeddings of Vertex AI
count tokens per text, or else only characters. Source: recorded replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.gemini_shapes import OfKind, Prediction, PredictMetadata, UsageMetadata
from tollkeeper.wire.lenient_json import Shape, compact_text
from tollkeeper.wire.token_counts import CONTRADICTS_TOTAL, MISSING_COUNT, PARTS_EXCEED_WHOLE

# Kinds by name, and by number as the protocol buffers write them.
_AUDIO: Final = frozenset({"AUDIO", "4"})
_IMAGE: Final = frozenset({"IMAGE", "DOCUMENT", "2", "5"})  # a document is billed as images
_VIDEO: Final = frozenset({"VIDEO", "3"})
_TEXT: Final = frozenset({"TEXT", "1"})


_USAGE: Final = Shape(UsageMetadata)


def gemini_usage(
    raw: msgspec.Raw | bytes, model: str, searches: int, *, blocked: bool = False
) -> Usage:
    """Read usage metadata, and add the searches that were made for the reply.

    A prompt that was ``blocked`` in front of the model has no counts, and used nothing.
    """
    counts, fault = _USAGE.read(raw)
    if counts is None:
        return Usage(model=model, fault=fault, raw=compact_text(raw))
    tier = counts.service_tier or counts.traffic_type or ""
    quantities, contradiction = usage_quantities(counts)
    if blocked and contradiction == MISSING_COUNT and not quantities:
        contradiction = ""
    if searches:
        quantities[u.WEB_SEARCHES] = searches
    return Usage(quantities, model, str(tier), fault=fault or contradiction, raw=compact_text(raw))


def prediction_usage(
    predictions: Sequence[Prediction], metadata: PredictMetadata | None
) -> Usage | None:
    """Read the usage of embeddings: tokens where they are counted, else characters.

    None for predictions of another kind, such as pictures, which say nothing of their usage.
    """
    vectors = [prediction.embeddings for prediction in predictions]
    statistics = [vector.statistics for vector in vectors if vector and vector.statistics]
    tokens = sum(statistic.token_count or 0 for statistic in statistics)
    if tokens:
        return Usage({u.INPUT: tokens})
    characters = metadata.billable_character_count if metadata else None
    if characters:
        return Usage({u.INPUT_CHARACTERS: characters})
    return Usage() if statistics else None


def usage_quantities(counts: UsageMetadata) -> tuple[dict[str, int], str]:
    """Give the exclusive quantities of some counts, and a fault ("" if they agree)."""
    prompt = counts.prompt_token_count or 0
    output = counts.candidates_token_count or 0
    thoughts = counts.thoughts_token_count or 0
    tool = counts.tool_use_prompt_token_count or 0
    cached = counts.cached_content_token_count or 0
    fault = ""
    if counts.prompt_token_count is None:
        fault = MISSING_COUNT
    elif counts.total_token_count not in {None, prompt + output + thoughts + tool}:
        fault = CONTRADICTS_TOTAL
    if not (tool or cached or fault or counts.cache_tokens_details) and _is_text(counts):
        usual = ((u.INPUT, prompt), (u.OUTPUT, output), (u.REASONING, thoughts))
        return {name: count for name, count in usual if count}, fault
    into = _by_kind(counts.prompt_tokens_details or counts.prompt_token_details)
    read = _by_kind(counts.cache_tokens_details)
    made = _by_kind(counts.candidates_tokens_details)
    quantities = {
        u.INPUT: prompt - cached,
        u.CACHE_READ: cached - sum(read),
        u.INPUT_TOOL: tool,
        u.OUTPUT: output - sum(made),
        u.REASONING: thoughts,
    }
    kinds = (
        (u.INPUT_AUDIO, u.CACHE_READ_AUDIO, u.OUTPUT_AUDIO),
        (u.INPUT_IMAGE, u.CACHE_READ_IMAGE, u.OUTPUT_IMAGE),
        (u.INPUT_VIDEO, u.CACHE_READ_VIDEO, u.OUTPUT_VIDEO),
    )
    for names, went_in, came_from_cache, came_out in zip(kinds, into, read, made, strict=True):
        uncached = went_in - came_from_cache
        quantities[u.INPUT] -= uncached
        quantities.update(zip(names, (uncached, came_from_cache, came_out), strict=True))
    if min(quantities.values()) < 0:
        return {}, fault or PARTS_EXCEED_WHOLE
    return {name: count for name, count in quantities.items() if count}, fault


def _is_text(counts: UsageMetadata) -> bool:
    """Tell whether nothing but text went in and came out, as far as the lists by kind say."""
    lists = (
        counts.prompt_tokens_details,
        counts.prompt_token_details,
        counts.candidates_tokens_details,
    )
    return all(detail.modality in _TEXT for details in lists if details for detail in details)


def _by_kind(details: list[OfKind] | None) -> tuple[int, int, int]:
    """Sum tokens of audio, image and video."""
    audio = image = video = 0
    for detail in details or ():
        kind, count = str(detail.modality), detail.token_count or 0
        if kind in _AUDIO:
            audio += count
        elif kind in _IMAGE:
            image += count
        elif kind in _VIDEO:
            video += count
    return audio, image, video
