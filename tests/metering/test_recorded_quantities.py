"""All recorded replies of OpenAI, Anthropic, Gemini, Azure and Vertex are read, and read right.

Quantities are compared with a recount of the recorded usage object.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provider_replies import pieces
from recorded_replies import STITCHED, Both, Record, is_refused, read_reply, records
from tollkeeper.domain import usage as u
from tollkeeper.domain.usage import Usage


def test_the_usage_of_every_record_is_read(billed: Both) -> None:
    assert len(billed) > 3_000
    assert [record.name for record, made in billed if made.reading.usage is None] == []
    without = {record.api for record, _ in billed if not record.stated()}
    assert without == {"rawPredict", "embeddings"}  # Vertex AI counts in other fields there


def test_quantities_are_those_of_the_recorded_usage_object(billed: Both) -> None:
    recounted = 0
    for record, made in billed:
        if made.reading.usage is None or made.reading.usage.fault or record.name in STITCHED:
            continue
        recount = RECOUNTS.get(record.reader)
        stated = record.stated()
        if recount is None or not stated:
            continue
        expected = recount(stated, record)
        assert _inclusive(made.reading.usage) == expected, record.name
        recounted += 1
    assert recounted > 3_400


def _inclusive(usage: Usage) -> dict[str, int]:
    """Put our exclusive quantities together again to the totals that providers state."""
    counted = Counter(usage.quantities)
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
    hidden = 0
    if record.corpus == "gemini":  # its total holds the thoughts
        hidden = stated["total_tokens"] - stated["prompt_tokens"] - stated["completion_tokens"]
    return _recount(
        stated["prompt_tokens"],
        stated.get("completion_tokens", 0) + hidden,
        prompt.get("cached_tokens") or 0,
        prompt.get("cache_write_tokens") or 0,
        0,
        (output.get("reasoning_tokens") or 0) + hidden,
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


def _recount_tokens(stated: dict[str, Any], _: Record) -> dict[str, int]:
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


RECOUNTS: dict[str, Callable[[dict[str, Any], Record], dict[str, int]]] = {
    "openai_chat": _recount_chat,
    "openai_completions": _recount_chat,
    "openai_embeddings": _recount_chat,
    "openai_responses": _recount_responses,
    "openai_images": _recount_tokens,
    "openai_transcription": _recount_tokens,
    "anthropic_messages": _recount_anthropic,
    "gemini": _recount_gemini,
}


def test_recorded_streams_are_read_alike_wherever_they_are_cut(billed: Both) -> None:
    chance = random.Random(20261120)
    streams = [(record, made) for record, made in billed if record.streamed]
    for record, made in streams:
        size = len(record.body)
        cuts = [chance.randrange(size + 1) for _ in range(chance.randrange(1, 40))]
        assert read_reply(record, pieces(record.body, cuts)) == made.reading, record.name
    assert len(streams) > 700


def test_replies_without_usage_are_recognised_as_such(shared: Path) -> None:
    """Streams that never asked for usage, errors, and work in the background."""
    found = Counter()
    for record in records(shared, ("_nousage",)):
        row = record.row
        if row["provider"] not in {"openai", "anthropic", "azure", "gemini", "vertex"}:
            continue
        if row["body_kind"] not in {"json", "sse"} or not record.reader:
            continue
        reading = read_reply(record)
        if reading.usage is not None:
            found["counted otherwise"] += 1
            named = {*reading.usage.quantities}
            assert named <= {"images", "audio_ms"}, record.name
        elif reading.pending:
            found["pending"] += 1
        elif record.streamed and row["status"] == 200 and reading.output_bytes:
            found["sized"] += 1
        elif record.streamed and row["status"] == 200:
            found["nothing was said"] += 1  # a quota error, and events of a realtime session
        else:
            found["nothing"] += 1
    assert found["nothing was said"] == 2
    assert found["sized"] > 110
    assert found["pending"] == 6
    assert found["counted otherwise"] > 15
