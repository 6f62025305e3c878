"""What recorded usage objects say, counted in the providers' own way.

Nothing of our readers is used here: this is what they are held against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from recorded_replies import Record, is_refused
from tollkeeper.domain import usage as u


def recounted(record: Record) -> dict[str, int] | None:
    """Give the totals that a record's own usage object states, None where it has none."""
    recount = _RECOUNTS.get(record.reader)
    stated = record.stated()
    return recount(stated, record) if recount is not None and stated else None


def inclusive(quantities: Mapping[str, int]) -> dict[str, int]:
    """Put our exclusive quantities together again to the totals that providers state."""
    counted = Counter(quantities)
    cached = {u.CACHE_READ, u.CACHE_READ_AUDIO, u.CACHE_READ_IMAGE, u.CACHE_READ_VIDEO}
    return {
        "in": sum(counted[name] for name in u.INPUT_TOKENS),
        "out": sum(counted[name] for name in u.OUTPUT_TOKENS),
        "cached": sum(counted[name] for name in cached),
        "written": counted[u.CACHE_WRITE] + counted[u.CACHE_WRITE_1H],
        "hour": counted[u.CACHE_WRITE_1H],
        "thought": counted[u.REASONING],
    }


def _recount(
    total_in: int,
    total_out: int,
    cached: int = 0,
    written: int = 0,
    hour: int = 0,
    thought: int = 0,
) -> dict[str, int]:
    return {
        "in": total_in,
        "out": total_out,
        "cached": cached,
        "written": written,
        "hour": hour,
        "thought": thought,
    }


def _recount_chat(stated: dict[str, Any], record: Record) -> dict[str, int]:
    prompt = stated.get("prompt_tokens_details") or {}
    output = stated.get("completion_tokens_details") or {}
    thought = output.get("reasoning_tokens") or 0
    if record.reader == "openai_embeddings" and "prompt_tokens" not in stated:
        return _recount(stated["total_tokens"], 0)
    spoken = stated.get("completion_tokens", 0)
    beside = stated["total_tokens"] - stated["prompt_tokens"] - spoken
    if record.corpus == "gemini":  # its total holds the thoughts, which no other field names
        thought = beside
    for inner in record.single_models():
        thought += (inner.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    cached = [
        *(prompt.get("cached_tokens"), stated.get("prompt_cache_hit_tokens")),
        *(stated.get("cached_tokens"), stated.get("num_cached_tokens")),
    ]
    return _recount(
        stated["prompt_tokens"],
        spoken + beside,
        next((count for count in cached if count is not None), 0),
        prompt.get("cache_write_tokens") or 0,
        0,
        thought,
    )


def _recount_responses(stated: dict[str, Any], _: Record) -> dict[str, int]:
    prompt = stated.get("input_tokens_details") or {}
    return _recount(
        stated["input_tokens"],
        stated["output_tokens"],
        prompt.get("cached_tokens") or 0,
        prompt.get("cache_write_tokens") or 0,
        0,
        (stated.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    )


def _recount_tokens(stated: dict[str, Any], record: Record) -> dict[str, int]:
    if "prompt_tokens" in stated:
        return _recount_chat(stated, record)
    return _recount(stated.get("input_tokens", 0), stated.get("output_tokens", 0))


def _recount_anthropic(stated: dict[str, Any], record: Record) -> dict[str, int]:
    if is_refused(record):
        return _recount(0, 0)
    read = stated.get("cache_read_input_tokens") or 0
    written = stated.get("cache_creation_input_tokens") or 0
    return _recount(
        stated["input_tokens"] + read + written,
        stated["output_tokens"],
        read,
        written,
        (stated.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0),
        (stated.get("output_tokens_details") or {}).get("thinking_tokens", 0),
    )


def _recount_gemini(stated: dict[str, Any], _: Record) -> dict[str, int]:
    thought = stated.get("thoughtsTokenCount", 0)
    return _recount(
        stated.get("promptTokenCount", 0) + stated.get("toolUsePromptTokenCount", 0),
        stated.get("candidatesTokenCount", 0) + thought,
        stated.get("cachedContentTokenCount", 0),
        0,
        0,
        thought,
    )


_RECOUNTS: dict[str, Callable[[dict[str, Any], Record], dict[str, int]]] = {
    "openai_chat": _recount_chat,
    "openai_completions": _recount_chat,
    "openai_embeddings": _recount_chat,
    "openai_responses": _recount_responses,
    "openai_images": _recount_tokens,
    "openai_transcription": _recount_tokens,
    "anthropic_messages": _recount_anthropic,
    "gemini": _recount_gemini,
}
