"""Recorded replies of work that is billed later: batches, results, runs, interactions.

What each bills is compared with a recount of the recording that knows nothing of the readers.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provider_replies import pieces
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.wire.readers import reader_for
from tollkeeper.wire.readings import Reading
from whole_corpus import Recorded, all_records, booked, read, usages_of

APIS = {"batch", "interactions", "assistants"}
OTHERS = {
    *("openai-other-fc7510d4f4fb19da", "openai-other-573eee59db83ef52"),  # files of results
    "xai-other-3e59dee6d7e2141c",  # a video
}
BILLS = {
    # (corpus, endpoint) → how many bills the recordings hold
    ("anthropic", "messages/batches"): 3,
    ("gemini", "batches"): 2,
    ("gemini", "interactions"): 15,
    ("mistral", "batches"): 2,
    ("openai", "batches"): 2,  # totals of two batches that have ended
    ("openai", "files"): 4,  # their lines
    ("openai", "threads/runs"): 5,
    ("openai", "threads/runs/stored"): 6,
    ("xai", "batches"): 2,
    ("xai", "videos/stored"): 1,
}
BEGUN = {
    # what only begins work, and has no price yet
    ("_nousage", "interactions"): 1,
    ("_nousage", "responses"): 6,
    ("openai", "batches"): 2,
}


@pytest.fixture(scope="module")
def replies(shared: Path) -> list[tuple[Recorded, Reading]]:
    return [
        (record, read(record))
        for record in all_records(shared)
        if (record.api in APIS or record.name in OTHERS or _is_unfinished(record))
        and record.has_answer()
        and record.reader
    ]


def test_every_bill_is_read_and_priced(replies: list[tuple[Recorded, Reading]]) -> None:
    book = shipped_price_book()
    counted: Counter[tuple[str, str]] = Counter()
    for record, reading in replies:
        made = booked(record, reading, book)
        counted[record.corpus, record.endpoint] += len(made.parts)
        assert made.reasons == (), record.name
        assert all(part.cost_nanos for part in made.parts)
    assert +counted == BILLS


def test_what_only_begins_work_is_pending(replies: list[tuple[Recorded, Reading]]) -> None:
    begun = Counter(
        (record.corpus, record.endpoint)
        for record, reading in replies
        if reading.job is not None and reading.job.begun and not reading.job.billed
    )
    assert begun == BEGUN


def test_totals_of_a_batch_are_the_sum_of_its_lines(
    replies: list[tuple[Recorded, Reading]],
) -> None:
    book = shipped_price_book()
    cost: Counter[str] = Counter()
    for record, reading in replies:
        if record.corpus == "openai" and record.endpoint in {"batches", "files"}:
            cost[record.endpoint] += booked(record, reading, book).nanos or 0
    assert cost["batches"] == cost["files"] > 0


def test_quantities_are_those_of_the_recording(replies: list[tuple[Recorded, Reading]]) -> None:
    for record, reading in replies:
        usages = usages_of(reading)
        if usages:
            wanted = list(_recounted(record))
            assert [_tokens(usage) for usage in usages] == wanted, record.name


def test_any_cut_gives_the_same_reading(replies: list[tuple[Recorded, Reading]]) -> None:
    source = random.Random(7)
    for record, whole in replies:
        for _ in range(20):
            cuts = [source.randrange(len(record.body) + 1) for _ in range(source.randrange(6))]
            reader = reader_for(
                record.reader, streamed=record.streamed, content_type=record.media_type
            )
            for piece in pieces(record.body, cuts):
                reader.feed(piece)
            assert reader.close(complete=True) == whole, record.name


def _is_unfinished(record: Recorded) -> bool:
    return record.corpus == "_nousage" and record.api in {"responses", "interactions"}


def _tokens(usage: Usage) -> dict[str, int]:
    kept = ("input", "cache_read", "input_image", "input_tool", "output", "reasoning")
    return {name: usage.quantities[name] for name in kept if usage.quantities.get(name)}


def _recounted(record: Recorded) -> Iterator[dict[str, int]]:
    for usage in _objects(record):
        prompt = usage.get("prompt_tokens", usage.get("input_tokens", 0)) or 0
        output = usage.get("completion_tokens", usage.get("output_tokens", 0)) or 0
        into = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
        out = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
        cached = into.get("cached_tokens") or 0
        thought = out.get("reasoning_tokens") or 0
        if record.corpus == "xai":  # beside the output, as its total says
            output += thought
        counts = {
            "input": prompt - cached,
            "cache_read": cached,
            "output": output - thought,
            "reasoning": thought,
        }
        if "total_input_tokens" in usage:
            images = sum(
                kind["tokens"]
                for kind in usage["input_tokens_by_modality"]
                if kind["modality"] == "image"
            )
            counts = {
                "input": usage["total_input_tokens"] - images,
                "input_image": images,
                "input_tool": usage["total_tool_use_tokens"],
                "output": usage["total_output_tokens"],
                "reasoning": usage["total_thought_tokens"],
            }
        if "promptTokenCount" in usage:
            counts = {
                "input": usage["promptTokenCount"],
                "output": usage["candidatesTokenCount"],
                "reasoning": usage["thoughtsTokenCount"],
            }
        yield {name: count for name, count in counts.items() if count}


def _objects(record: Recorded) -> Iterator[Mapping[str, Any]]:
    """Give the usage objects that bill something; a stream of a run repeats those of its steps."""
    body = record.row["response_body"]
    if record.row["body_kind"] == "sse":
        data = [line[5:] for line in body.splitlines() if line.startswith("data:")]
        values = [json.loads(text) for text in data if text.strip() != "[DONE]"]
        ended = [value.get("interaction", value) for value in values]
        yield [
            value["usage"]
            for value in ended
            if value.get("usage") and value.get("object") in {"thread.run", "interaction"}
        ][-1]
        return
    lines = body.splitlines() if record.row["body_kind"] == "jsonl" else [body]
    for line in lines:
        value = json.loads(line)
        # An operation of Gemini's has its output twice.
        yield from _found(value["metadata"] if record.reader == "operation" else value)


def _found(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _found(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in {"usage", "usageMetadata"} and inner:
                yield inner
            elif name not in {"tool_usage"}:
                yield from _found(inner)
