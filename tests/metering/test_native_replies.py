"""Recorded replies of Cohere, Ollama, Voyage, Mistral and watsonx are read, and read right.

Each record is recognised by its path, as the gateway does it. Its quantities are compared
with a recount of the recorded usage object, which knows nothing of the readers.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provider_replies import pieces
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading
from whole_corpus import NO_USAGE, Booked, Recorded, all_records, booked, read

PROVIDERS = {"cohere", "ollama", "voyage", "mistral", "watsonx"}
READ = {
    # (provider, endpoint) → how many records carry usage
    ("cohere", "chat"): 91,
    ("cohere", "embed"): 9,
    ("cohere", "embeddings"): 1,
    ("cohere", "generate"): 3,
    ("cohere", "rerank"): 7,
    ("mistral", "audio/transcriptions"): 4,
    ("mistral", "chat/completions"): 118,
    ("mistral", "embeddings"): 7,
    ("ollama", "chat"): 10,
    ("ollama", "chat/completions"): 63,
    ("ollama", "embeddings"): 7,
    ("ollama", "generate"): 8,
    ("voyage", "embeddings"): 6,
    ("voyage", "rerank"): 2,
    ("watsonx", "text/generation"): 3,
}
CACHED_PROMPTS = {"ollama-ollama-chat-f6714e15bf3a333f", "ollama-ollama-generate-0f4ea77f5dd3394f"}
"""Ollama of 2024 did not count a prompt that it had read before."""

FREE_OF_CHARGE = {"voyage-embeddings-a136bd68590325b7"}
"""A fixture in which Voyage counts no token."""


@pytest.fixture(scope="module")
def native(shared: Path) -> list[tuple[Recorded, Booked]]:
    book = shipped_price_book()
    found = []
    for record in all_records(shared):
        is_one = record.row["provider"] in PROVIDERS and record.corpus != NO_USAGE
        if is_one and record.api != "batch":  # collected by another call
            found.append((record, booked(record, read(record), book)))
    return found


def test_the_usage_of_every_record_is_read(native: list[tuple[Recorded, Booked]]) -> None:
    assert [record.name for record, made in native if made.reading.usage is None] == []
    counted = Counter((record.corpus, record.endpoint) for record, _ in native)
    assert counted == READ
    assert all(made.reading.final for _, made in native)
    faults = {record.name for record, made in native if _fault(made.reading)}
    assert faults == CACHED_PROMPTS


def _fault(reading: Reading) -> str:
    return reading.usage.fault if reading.usage else ""


def test_quantities_are_those_of_the_recorded_usage_object(
    native: list[tuple[Recorded, Booked]],
) -> None:
    for record, made in native:
        assert made.reading.usage is not None
        assert made.reading.usage.quantities == _recounted(record), record.name


def _recounted(record: Recorded) -> Mapping[str, int]:
    """Count again what a record's own usage objects say, in its provider's way."""
    stated = [entry.get("usage", entry) for entry in record.row["usage"]]
    assert stated, record.name
    if record.corpus == "watsonx":
        put_in = sum(each["input_token_count"] for each in stated)
        return _positive(input=put_in, output=stated[-1]["generated_token_count"])
    last = stated[-1]
    if "billed_units" in last:
        billed = last["billed_units"]
        return _positive(
            input=billed.get("input_tokens"),
            input_image=billed.get("image_tokens"),
            output=billed.get("output_tokens"),
            rerank_searches=billed.get("search_units"),
        )
    if "eval_count" in last:
        spent = json.loads(record.row["response_body"].splitlines()[-1])["total_duration"]
        return _positive(
            input=last.get("prompt_eval_count"),
            output=last["eval_count"],
            gpu_ms=round(spent / 1_000_000),  # none of them lies halfway
        )
    return _recounted_tokens(last, record.endpoint)


def _recounted_tokens(last: dict[str, Any], endpoint: str) -> Mapping[str, int]:
    heard = (last.get("prompt_audio_seconds") or 0) * 1000
    if endpoint == "audio/transcriptions":
        return _positive(audio_ms=heard)
    details = last.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or last.get("num_cached_tokens") or 0
    put_in = last.get("prompt_tokens", last["total_tokens"])
    return _positive(
        input=put_in - cached,
        cache_read=cached,
        output=last.get("completion_tokens"),
        audio_ms=heard,
    )


def _positive(**counts: int | None) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def test_streams_are_read_alike_wherever_they_are_cut(
    native: list[tuple[Recorded, Booked]],
) -> None:
    chance = random.Random(20261127)
    streams = [(record, made) for record, made in native if record.streamed]
    for record, made in streams:
        size = len(record.body)
        for _ in range(5):
            cuts = [chance.randrange(size + 1) for _ in range(chance.randrange(1, 40))]
            reader = reader_for(record.reader, streamed=True, content_type=record.media_type)
            for piece in pieces(record.body, cuts):
                reader.feed(piece)
            assert reader.close(complete=True) == made.reading, record.name
    assert Counter(record.row["body_kind"] for record, _ in streams) == {"sse": 45, "jsonl": 10}


def test_what_is_not_priced_says_why(native: list[tuple[Recorded, Booked]]) -> None:
    reasons: dict[str, Counter[str]] = {}
    for record, made in native:
        (part,) = made.parts
        if part.cost_nanos is None:
            reasons.setdefault(record.corpus, Counter())[part.reason] += 1
        else:
            assert part.cost_nanos or record.name in FREE_OF_CHARGE, record.name
    # Servers of one's own and watsonx have no price list; the others lack single models.
    assert set(reasons["ollama"]) == {"unknown_model", "inconsistent_usage:missing_count"}
    assert reasons["ollama"].total() == 88
    assert set(reasons["watsonx"]) == {"unknown_model"}
    others = {
        reason for name in {"cohere", "voyage", "mistral"} for reason in reasons.get(name, ())
    }
    assert others <= {"unknown_model"}


def test_replies_without_usage_are_recognised_as_such(shared: Path) -> None:
    found: Counter[tuple[str, int, str]] = Counter()
    for record in all_records(shared):
        if record.row["provider"] not in PROVIDERS or record.corpus != NO_USAGE:
            continue
        reading = read(record)
        assert reading.usage is None, record.name
        word = "sized" if reading.output_bytes else "nothing"
        found[str(record.row["provider"]), int(record.row["status"]), word] += 1
    assert found == {
        ("cohere", 400, "nothing"): 1,
        ("cohere", 404, "nothing"): 3,
        ("mistral", 200, "nothing"): 1,  # speech, which is billed by what it was asked to say
        ("mistral", 401, "nothing"): 1,
        ("ollama", 200, "sized"): 2,
        ("ollama", 400, "nothing"): 1,
        ("ollama", 401, "nothing"): 1,
        ("ollama", 404, "nothing"): 1,
        ("voyage", 400, "nothing"): 1,
    }
