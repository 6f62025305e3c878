"""Usage in replies of the Gemini API and of Vertex AI."""

from __future__ import annotations

from typing import Any

import pytest

from provider_replies import (
    GEMINI_QUANTITIES,
    GEMINI_USAGE,
    SSE,
    gemini,
    gemini_array,
    gemini_chunks,
    gemini_stream,
    read,
    read_cut,
    sse,
    text_of,
)
from tollkeeper.domain.usage import Usage


def _usage(usage: Any, **fields: Any) -> Usage:
    found = read("gemini", text_of(gemini(usageMetadata=usage, **fields)).encode()).usage
    assert found is not None
    return found


def _grounded(*queries: str, model: str = "gemini-3.5-flash", **more: Any) -> dict[str, Any]:
    candidate = {"groundingMetadata": {"webSearchQueries": list(queries)}}
    return {"candidates": [candidate], "modelVersion": model, **more}


def test_a_plain_reply() -> None:
    reading = read("gemini", text_of(gemini(usageMetadata=GEMINI_USAGE)).encode())
    assert reading.response_id == "abc"
    assert reading.usage == Usage(
        GEMINI_QUANTITIES, "gemini-2.5-pro", "standard", raw=text_of(GEMINI_USAGE)
    )


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(gemini_stream(), SSE), (gemini_array(), "application/json"), (gemini_array(None), "")],
)
def test_in_a_stream_the_last_usage_counts(body: bytes, content_type: str) -> None:
    found = read("gemini", body, content_type).usage
    assert found is not None
    assert found.quantities == GEMINI_QUANTITIES
    assert found.model == "gemini-2.5-pro"


def test_code_assist_wraps_every_object() -> None:
    wrapped = [{"response": part, "traceId": "t"} for part in gemini_chunks()]
    for body, content_type in (
        (sse(*wrapped), SSE),
        (text_of(wrapped).encode(), "application/json"),
        (text_of(wrapped[-1]).encode(), "application/json"),
    ):
        found = read("gemini", body, content_type).usage
        assert found is not None
        assert found.quantities == GEMINI_QUANTITIES


def test_kinds_are_not_a_partition() -> None:
    usage = {
        "promptTokenCount": 257,
        "candidatesTokenCount": 1_283,
        "totalTokenCount": 1_540,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 196}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1_120}],
    }
    assert _usage(usage).quantities == {"input": 257, "output": 163, "output_image": 1_120}


def test_all_kinds_by_name_and_by_number() -> None:
    details = [("AUDIO", 1), ("IMAGE", 2), ("VIDEO", 4), ("DOCUMENT", 8), ("TEXT", 16), (4, 32)]
    usage = {
        "promptTokenCount": 100,
        "totalTokenCount": 100,
        "promptTokensDetails": [{"modality": kind, "tokenCount": count} for kind, count in details]
        + [{"modality": "AUDIO"}],
    }
    assert _usage(usage).quantities == {
        "input": 53,
        "input_audio": 33,
        "input_image": 10,
        "input_video": 4,
    }


def test_a_blocked_reply_has_no_output() -> None:
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    assert _usage(usage, candidates=None).quantities == {"input": 5}


def test_a_prompt_blocked_in_front_of_the_model_used_nothing() -> None:
    usage = {"trafficType": "ON_DEMAND"}
    feedback = {"blockReason": "MODEL_ARMOR"}
    blocked = _usage(usage, candidates=None, promptFeedback=feedback)
    assert (blocked.quantities, blocked.fault, blocked.tier) == ({}, "", "ON_DEMAND")
    assert _usage(usage, candidates=None).fault == "missing_count"
    counted = {"promptTokenCount": 5, "totalTokenCount": 5}
    assert _usage(counted, promptFeedback=feedback).quantities == {"input": 5}


def test_embeddings() -> None:
    body = {
        "embedding": {"values": [0.1, 0.2]},
        "usageMetadata": {
            "promptTokenCount": 261,
            "promptTokenDetails": [{"modality": "IMAGE", "tokenCount": 258}],
        },
    }
    found = read("gemini", text_of(body).encode()).usage
    assert found is not None
    assert found.quantities == {"input": 3, "input_image": 258}
    assert read("gemini", b'{"embedding":{"values":[0.1]}}').usage is None


def test_embeddings_of_vertex() -> None:
    vectors = [{"embeddings": {"values": [1], "statistics": {"token_count": n}}} for n in (3, 4)]
    body = {"predictions": vectors, "metadata": {"billableCharacterCount": 20}}
    assert read("gemini", text_of(body).encode()).usage == Usage({"input": 7})
    body["predictions"] = [{"embeddings": {"values": [1]}}]
    assert read("gemini", text_of(body).encode()).usage == Usage({"input_characters": 20})
    picture = {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": "QUJD"}]}
    assert read("gemini", text_of(picture).encode()).usage is None  # unknown, and not nothing


@pytest.mark.parametrize("tier", ["ON_DEMAND", "ON_DEMAND_FLEX", "PROVISIONED_THROUGHPUT"])
def test_vertex_names_its_traffic(tier: str) -> None:
    usage = {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": tier}
    assert _usage(usage).tier == tier


def test_gemini_3_is_billed_per_query_and_gemini_2_per_prompt() -> None:
    usage = {"promptTokenCount": 1, "totalTokenCount": 1}
    for model, searches in (("gemini-3.5-flash", 2), ("gemini-2.5-pro", 1), ("models/gemini-2", 1)):
        body = _grounded("a", "b", "", "a", model=model, usageMetadata=usage)
        found = read("gemini", text_of(body).encode()).usage
        assert found is not None
        assert found.quantities == {"input": 1, "web_searches": searches}
    body = _grounded("", model="gemini-2.5-pro", usageMetadata=usage)
    found = read("gemini", text_of(body).encode()).usage
    assert found is not None
    assert found.quantities == {"input": 1}


def test_queries_are_gathered_over_a_stream() -> None:
    usage = {"promptTokenCount": 1, "totalTokenCount": 1}
    parts = [_grounded("a"), _grounded("a", "b"), gemini("x"), _grounded(usageMetadata=usage)]
    for body, content_type in (
        (sse(*parts), SSE),
        (text_of(parts).encode(), "application/json"),
    ):
        found = read("gemini", body, content_type).usage
        assert found is not None
        assert found.quantities == {"input": 1, "web_searches": 2}


def test_a_stream_that_breaks_off_has_the_last_usage() -> None:
    whole = sse(*gemini_chunks()[:2])
    found = read_cut("gemini", whole + b'data: {"cand', SSE).usage
    assert found is not None
    assert found.quantities == {"input": 1258}
    array = gemini_array()
    cut = array[: array.rindex(b'"usageMetadata"')]
    found = read_cut("gemini", cut).usage
    assert found is not None
    assert found.quantities == {"input": 1258}


def test_without_a_usage_the_generated_text_is_sized() -> None:
    call = {"functionCall": {"name": "look", "args": {"a": 1}}}
    parts = [gemini("Grüße"), gemini() | {"candidates": [{"content": {"parts": [call]}}]}]
    sized = len("Grüßelook".encode()) + len('{"a":1}')
    for body, content_type in ((sse(*parts), SSE), (text_of(parts).encode(), "application/json")):
        reading = read_cut("gemini", body, content_type)
        assert (reading.usage, reading.output_bytes, reading.response_id) == (None, sized, "abc")


def test_errors() -> None:
    error = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}
    assert read("gemini", sse(gemini("a"), error), SSE).error_code == "UNAVAILABLE"
    assert read("gemini", text_of([gemini("a"), error]).encode()).error_code == "UNAVAILABLE"
    assert read("gemini", b'{"error":{"code":429}}').error_code == "429"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"totalTokenCount": 1297}, "contradicts_total"),
        ({"promptTokenCount": None}, "missing_count"),
        ({"thoughtsTokenCount": -10}, "negative_count"),
        ({"candidatesTokenCount": "34"}, "not_a_count"),
        ({"cachedContentTokenCount": 1300}, "parts_exceed_whole"),
        (
            {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9999}]},
            "parts_exceed_whole",
        ),
        ({"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -1}]}, "negative_count"),
        (
            {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 35}]},
            "parts_exceed_whole",
        ),
    ],
)
def test_counts_that_cannot_be_are_faults(change: dict[str, Any], fault: str) -> None:
    assert _usage(GEMINI_USAGE | change).fault == fault
