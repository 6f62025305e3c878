"""Recorded replies of everybody else who speaks OpenAI's dialect are read, and read right.

Quantities are compared with a recount of the recorded usage object, costs with what the
provider itself stated. Prices are compared in ``test_oracle``.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from provider_replies import pieces
from recorded_recounts import inclusive, recounted
from recorded_replies import COMPATIBLE, Record, read_reply, records
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readings import Reading

Read = list[tuple[Record, Reading]]

FAULTS = {
    # the same tokens of Gemini both read from and written to the cache: only the cost is known
    "openrouter-chat-da406a56146b663d": "parts_exceed_whole",
    # an error of the model's host: one token more of reasoning than of output
    "openrouter-chat-36cd5ea5c9ba47c9": "parts_exceed_whole",
}
NOT_COUNTED_IN_TOKENS = {
    # xAI states what a picture costs, and nothing else
    "xai-images-ebafdd2764cac5fe": {"images": 1},
    "xai-images-0be083525dd76fb1": {"images": 1},
}


@pytest.fixture(scope="module")
def compatible(shared: Path) -> Read:
    return [(record, read_reply(record)) for record in records(shared, COMPATIBLE) if record.reader]


def test_the_usage_of_every_record_is_read(compatible: Read) -> None:
    assert len(compatible) > 500
    assert [record.name for record, reading in compatible if reading.usage is None] == []
    faults = {
        record.name: reading.usage.fault
        for record, reading in compatible
        if reading.usage is not None and reading.usage.fault
    }
    assert faults == FAULTS


def test_quantities_are_those_of_the_recorded_usage_object(compatible: Read) -> None:
    compared = Counter()
    for record, reading in compatible:
        usage = reading.usage
        if usage is None or record.name in FAULTS:
            continue
        if record.name in NOT_COUNTED_IN_TOKENS:
            assert usage.quantities == NOT_COUNTED_IN_TOKENS[record.name]
            continue
        assert inclusive(_with_components(usage)) == recounted(record), record.name
        compared[record.corpus] += 1
    assert compared.total() == len(compatible) - len(FAULTS) - len(NOT_COUNTED_IN_TOKENS)
    assert compared.keys() == set(COMPATIBLE)


def _with_components(usage: Usage) -> Counter[str]:
    return sum(
        (Counter(component.quantities) for component in usage.components), Counter(usage.quantities)
    )


def test_streams_are_read_alike_wherever_they_are_cut(compatible: Read) -> None:
    chance = random.Random(20261127)
    streams = [(record, reading) for record, reading in compatible if record.streamed]
    for record, reading in streams:
        size = len(record.body)
        cuts = [chance.randrange(size + 1) for _ in range(chance.randrange(1, 40))]
        assert read_reply(record, pieces(record.body, cuts)) == reading, record.name
    assert len(streams) > 100


def test_a_compound_system_is_billed_model_by_model(compatible: Read) -> None:
    (usage,) = [
        reading.usage for record, reading in compatible if record.row["model"] == "groq/compound"
    ]
    assert usage is not None
    assert usage.quantities == {"web_searches": 1, "web_fetches": 1}
    assert [(part.model, part.total_tokens()) for part in usage.components] == [
        *(("meta-llama/llama-4-scout-17b-16e-instruct", n) for n in (121, 597, 3915, 5016)),
        ("openai/gpt-oss-120b", 5372),
    ]


def test_searches_are_counted_by_whoever_made_them(compatible: Read) -> None:
    """xAI's and DeepSeek's in the Responses API, OpenRouter's beside the tokens."""
    counted: dict[str, Counter[str]] = {}
    for record, reading in compatible:
        found = reading.usage.quantities.items() if reading.usage else ()
        units = {name: n for name, n in found if name.endswith(("searches", "executions"))}
        counted.setdefault(record.corpus, Counter()).update(units)
    assert {corpus: dict(units) for corpus, units in counted.items() if units} == {
        "deepseek": {"web_searches": 1},
        "groq": {"web_searches": 1},
        "openrouter": {"web_searches": 6},
        "xai": {"web_searches": 2, "social_searches": 1, "code_executions": 1},
    }


def test_every_call_of_perplexity_says_how_much_it_searched(compatible: Read) -> None:
    terms = Counter(
        reading.usage.terms
        for record, reading in compatible
        if record.corpus == "perplexity" and record.api == "chat" and reading.usage
    )
    assert terms == {"search_context=low": 17}


def test_replies_without_usage_are_recognised_as_such(shared: Path) -> None:
    """Errors, and streams that never asked for a usage: those are sized for an estimate."""
    found = Counter()
    for record in records(shared, ("_nousage",)):
        row = record.row
        if row["provider"] not in COMPATIBLE or row["body_kind"] not in {"json", "sse"}:
            continue
        if not record.reader:
            continue
        reading = read_reply(record)
        assert reading.usage is None, record.name
        kind = "stream" if record.streamed and row["body_kind"] == "sse" else "reply"
        found[f"{kind} {'sized' if reading.output_bytes else reading.error_code or 'empty'}"] += 1
    assert dict(found) == {
        "stream sized": 9,
        "reply sized": 1,
        "reply model_not_found": 2,
        "reply invalid_request_error": 3,
        "reply tool_use_failed": 1,
        "reply 400": 1,
        "reply 401": 2,
        "reply 429": 1,
        "reply empty": 1,  # a transcript as plain text
    }
