"""All recorded replies of Bedrock, as real frames again: read, counted alike, priced by region."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from botocore.eventstream import EventStreamBuffer

from aws_frames import EVENTS
from bedrock_records import AGENTS, recounted
from provider_replies import pieces
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.wire.readers import reader_for, take_head
from tollkeeper.wire.readings import Reading
from whole_corpus import Recorded, all_records, booked, read

NOT_PRICED = {
    "unknown_model": 12,  # a fixture that names none (9), and a model from before Titan's release
    "unknown_model:application-inference-profile": 2,
    "unknown_model:endpoint": 1,  # a model on a machine of one's own at SageMaker
    "unknown_dimension:cache_write": 3,  # Nova: what a write costs is published nowhere
    "unknown_tier:flex": 1,
    "inconsistent_usage:missing_count": 1,  # a recording whose input was taken out
}


@pytest.fixture(scope="module")
def records(shared: Path) -> list[Recorded]:
    return [
        record
        for record in all_records(shared)
        if record.corpus == "bedrock" or "/model/" in str(record.row["path"])
    ]


@pytest.fixture(scope="module")
def with_usage(records: list[Recorded]) -> list[tuple[Recorded, Reading]]:
    mine = [it for it in records if it.corpus != "_nousage" and it.api != AGENTS]
    return [(record, read(record)) for record in mine]


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return shipped_price_book()


def test_the_usage_of_every_record_is_read(with_usage: list[tuple[Recorded, Reading]]) -> None:
    assert len(with_usage) > 470
    assert [record.name for record, reading in with_usage if reading.usage is None] == []
    assert all(reading.final for _, reading in with_usage)


def test_quantities_are_those_of_an_independent_recount(
    with_usage: list[tuple[Recorded, Reading]],
) -> None:
    by_api: Counter[str] = Counter()
    for record, reading in with_usage:
        usage = reading.usage
        assert usage is not None
        expected = recounted(record)
        if expected is None:
            assert usage.fault == "missing_count"
            continue
        assert dict(usage.quantities) == {k: n for k, n in expected.items() if n}, record.name
        assert not usage.fault
        by_api[record.api] += 1
    assert by_api["converse"] > 260
    assert by_api["converse-stream"] > 40
    assert by_api["invoke"] > 100
    assert by_api["invoke-stream"] > 40


def test_every_record_is_priced_or_says_why_not(
    with_usage: list[tuple[Recorded, Reading]], book: PriceBook
) -> None:
    reasons: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    for record, reading in with_usage:
        if record.corpus == "local":
            continue
        made = booked(record, reading, book)
        if made.nanos is None:
            reasons.update(set(made.reasons))
            continue
        assert made.nanos > 0 or not sum(made.parts[0].quantities.values()), record.name
        rules[made.parts[0].price_key.partition("rule=")[2].split()[0]] += 1
    assert reasons == NOT_PRICED
    assert rules.keys() == {"exact", "alias", "version", "regional", "region:us", "region:eu"}
    assert rules["region:us"] > 200


def test_recorded_streams_are_read_alike_wherever_they_are_cut(
    with_usage: list[tuple[Recorded, Reading]],
) -> None:
    chance = random.Random(20261127)
    streams = [(record, reading) for record, reading in with_usage if record.media_type == EVENTS]
    for record, whole in streams:
        cuts = [chance.randrange(len(record.body) + 1) for _ in range(chance.randrange(1, 40))]
        for parts in (pieces(record.body, cuts), pieces(record.body, range(len(record.body)))):
            reader = reader_for(record.reader, streamed=True, content_type=EVENTS)
            for part in parts:
                reader.feed(part)
            assert reader.close(complete=True) == whole, record.name
    assert len(streams) > 85


def test_replies_without_usage_are_recognised_as_such(records: list[Recorded]) -> None:
    found: Counter[str] = Counter()
    for record in records:
        if record.corpus != "_nousage" or record.row["body_kind"] == "text":
            continue
        reading = read(record)
        if not record.has_answer():
            assert reading.usage is None
            found["error"] += 1
        elif reading.usage is not None:
            assert reading.usage.fault == "searches_not_stated"
            found["ranking"] += 1
        elif record.media_type == EVENTS:
            assert not reading.final
            assert reading.output_bytes
            found["sized"] += 1
        else:
            found["nothing"] += 1
    assert found == {"error": 24, "ranking": 1, "sized": 3, "nothing": 2}


def test_frames_that_were_recorded_as_they_came_are_read(records: list[Recorded]) -> None:
    """A few recordings have Amazon's own bytes, with Amazon's own checksums."""
    read_alike = 0
    for record in records:
        text = str(record.row["response_body"])
        if record.row["body_kind"] != "text" or "elided" in text:
            continue
        body = base64.b64decode(text.removeprefix("base64:"))
        for parts in ([body], pieces(body, range(len(body)))):
            reader = reader_for(record.reader, streamed=True, content_type=EVENTS)
            take_head(reader, [])
            for part in parts:
                reader.feed(part)
            reading = reader.close(complete=True)
            assert reading.usage is not None, record.name
            assert reading.final
            assert not reading.error_code
            counted = {name: reading.usage.quantities[name] for name in ("input", "output")}
            assert counted == _counted_by_amazons_reader(body)
        read_alike += 1
    assert read_alike > 1


def _counted_by_amazons_reader(body: bytes) -> dict[str, int]:
    """Find the counts in the last frame with AWS's own reader, and nothing of ours."""
    frames = EventStreamBuffer()
    frames.add_data(body)
    last = json.loads(list(frames)[-1].payload)
    if "usage" in last:
        return {name: last["usage"][f"{name}Tokens"] for name in ("input", "output")}
    counts = json.loads(base64.b64decode(last["bytes"]))["amazon-bedrock-invocationMetrics"]
    return {name: counts[f"{name}TokenCount"] for name in ("input", "output")}
