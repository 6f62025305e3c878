"""All recorded replies of OpenAI, Anthropic, Gemini, Azure and Vertex are read, and read right.

Quantities are compared with a recount of the recorded usage object.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from provider_replies import pieces
from recorded_recounts import inclusive, recounted
from recorded_replies import STITCHED, Both, read_reply, records


def test_the_usage_of_every_record_is_read(billed: Both) -> None:
    assert len(billed) > 3_000
    assert [record.name for record, made in billed if made.reading.usage is None] == []
    without = {record.api for record, _ in billed if not record.stated()}
    assert without == {"rawPredict", "embeddings"}  # Vertex AI counts in other fields there


def test_quantities_are_those_of_the_recorded_usage_object(billed: Both) -> None:
    compared = 0
    for record, made in billed:
        if made.reading.usage is None or made.reading.usage.fault or record.name in STITCHED:
            continue
        expected = recounted(record)
        if expected is None:
            continue
        assert inclusive(made.reading.usage.quantities) == expected, record.name
        compared += 1
    assert compared > 3_400


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
