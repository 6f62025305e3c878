"""IBM watsonx: an input that is stated once, and an output that grows from event to event."""

from __future__ import annotations

from typing import Any

import pytest

from native_replies import JSON, SSE, watsonx, watsonx_event, watsonx_events
from provider_replies import read, read_cut
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readings import Reading

TEXT = "watsonx_text"
MODEL = "ibm/granite-3-8b"


def _usage(reading: Reading) -> Usage:
    assert reading.usage is not None
    return reading.usage


def _result(**counts: Any) -> dict[str, Any]:
    return {"generated_text": "2", "stop_reason": "eos_token", **counts}


def test_a_reply_is_billed_by_the_counts_of_its_results() -> None:
    usage = _usage(read(TEXT, watsonx(), JSON))
    assert (usage.quantities, usage.model, usage.fault) == ({"input": 7, "output": 2}, MODEL, "")
    assert usage.raw == '{"input_token_count":7,"generated_token_count":2}'
    one = _result(input_token_count=7, generated_token_count=2)
    assert _usage(read(TEXT, watsonx(one, one), JSON)).quantities == {"input": 14, "output": 4}


def test_the_output_of_a_stream_is_the_last_one() -> None:
    reading = read(TEXT, watsonx_events(), SSE)
    usage = _usage(reading)
    assert (usage.quantities, usage.model, usage.fault) == ({"input": 8, "output": 3}, MODEL, "")
    assert reading.final
    assert reading.output_bytes == len("Grüße".encode())
    late = watsonx_events() + watsonx_events(watsonx_event("x", 5, 9))
    assert _usage(read(TEXT, late, SSE)) == usage


def test_a_stream_without_its_end_is_no_whole_one() -> None:
    reading = read_cut(TEXT, watsonx_events(end=False), SSE)
    assert _usage(reading).quantities == {"input": 8, "output": 2}
    assert (reading.final, reading.marked) == (False, True)


def test_an_output_that_shrinks_is_a_state() -> None:
    reading = read(TEXT, watsonx_events(watsonx_event("x", 0, 1)), SSE)
    assert _usage(reading).fault == "contradicts_total"


def test_embeddings_and_reranks_state_their_input_outside() -> None:
    reply = watsonx({"embedding": [0.1]}, input_token_count=11)
    assert _usage(read("watsonx_counts", reply, JSON)).quantities == {"input": 11}


@pytest.mark.parametrize(
    ("counts", "fault"),
    [
        ({"input_token_count": -1, "generated_token_count": 2}, "negative_count"),
        ({"input_token_count": 2**63, "generated_token_count": 2}, "count_too_large"),
        ({"input_token_count": "7", "generated_token_count": 2}, "not_a_count"),
        ({"input_token_count": 7, "generated_token_count": float("nan")}, "not_a_count"),
        ({"generated_token_count": 2}, "missing_count"),
        ({"input_token_count": 7}, "missing_count"),
    ],
)
def test_counts_that_are_none_are_a_state(counts: dict[str, Any], fault: str) -> None:
    assert _usage(read(TEXT, watsonx(_result(**counts)), JSON)).fault == fault
    event = b"data: " + watsonx(_result(**counts)) + b"\n\n"
    assert _usage(read(TEXT, event, SSE)).fault == fault


def test_a_reply_without_counts_is_sized() -> None:
    reading = read(TEXT, watsonx(_result()), JSON)
    assert (reading.usage, reading.output_bytes) == (None, 1)
    assert read(TEXT, watsonx(errors=[{"code": "quota_exceeded"}]), JSON).error_code == (
        "quota_exceeded"
    )
    failed = b'event: error\ndata: {"errors":[{"code":"downstream"}]}\n\n'
    assert read(TEXT, failed, SSE).error_code == "downstream"
