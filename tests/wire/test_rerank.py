"""Rerank calls of every vendor, and embeddings that are billed by tokens and pixels."""

from __future__ import annotations

from typing import Any

import pytest

from native_replies import JSON, MULTIMODAL, compact, multimodal, reranked
from provider_replies import read
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readings import Reading


def _usage(reading: Reading) -> Usage:
    assert reading.usage is not None
    return reading.usage


@pytest.mark.parametrize(
    ("said", "quantities"),
    [
        ({"usage": {"total_tokens": 43}}, {"input": 43}),
        ({"usage": {"total_tokens": 815, "prompt_tokens": 815}}, {"input": 815}),
        (
            {"usage": {"prompt_tokens": 30, "completion_tokens": 0, "total_tokens": 30}},
            {"input": 30},
        ),
        ({"usage": {"search_units": 1, "total_tokens": 150}}, {"rerank_searches": 1}),
        ({"meta": {"billed_units": {"search_units": 1}}}, {"rerank_searches": 1}),
        ({"usage": {"total_tokens": 0}}, {}),
    ],
)
def test_every_vendor_says_it_otherwise(said: dict[str, Any], quantities: dict[str, int]) -> None:
    reading = read("rerank", reranked(**said), JSON)
    usage = _usage(reading)
    assert (usage.quantities, usage.model, usage.fault) == (quantities, "rerank-2", "")
    assert reading.response_id == "r-1"


def test_openrouter_says_what_it_cost() -> None:
    usage = _usage(read("rerank", reranked(usage={"search_units": 1, "cost": 0.001}), JSON))
    assert usage.provider_cost_nanos == 1_000_000
    absurd = _usage(read("rerank", reranked(usage={"search_units": 1, "cost": -1}), JSON))
    assert absurd.fault == "stated_cost"


@pytest.mark.parametrize(
    ("usage", "fault"),
    [
        ({"total_tokens": -1}, "negative_count"),
        ({"total_tokens": 2**63}, "count_too_large"),
        ({"total_tokens": "43"}, "not_a_count"),
        ({"total_tokens": float("nan")}, "not_a_count"),
        ({"search_units": 0.5}, "fractional_count"),
        ({"total_tokens": None}, "missing_count"),
        ({}, "missing_count"),
        ({"prompt_tokens": 3, "total_tokens": 9}, "contradicts_total"),
        ([], "unreadable"),
    ],
)
def test_counts_that_are_none_are_a_state(usage: Any, fault: str) -> None:
    found = _usage(read("rerank", reranked(usage=usage), JSON))
    assert found.fault == fault


def test_a_reply_that_says_nothing_is_not_free() -> None:
    assert read("rerank", reranked(), JSON).usage is None
    assert read("rerank", reranked(meta={"api_version": {"version": "2"}}), JSON).usage is None
    assert read("rerank", b"[]", JSON).usage is None


# ---------------------------------------------------------------------- text and pictures


@pytest.mark.parametrize(
    ("usage", "quantities"),
    [
        (MULTIMODAL, {"input": 5, "image_pixels": 2_000_000}),
        ({"text_tokens": 5, "image_pixels": 0, "total_tokens": 5}, {"input": 5}),
        (
            {"text_tokens": 0, "image_pixels": 0, "video_pixels": 9_000_000, "total_tokens": 8036},
            {"video_pixels": 9_000_000},
        ),
    ],
)
def test_pictures_are_billed_by_their_pixels(
    usage: dict[str, int], quantities: dict[str, int]
) -> None:
    found = _usage(read("voyage_multimodal", multimodal(usage=usage), JSON))
    assert (found.quantities, found.fault) == (quantities, "")
    assert found.model == "voyage-multimodal-3"


@pytest.mark.parametrize(
    ("usage", "fault"),
    [
        ({"total_tokens": 43}, "missing_count"),
        ({"text_tokens": 9, "image_pixels": 0, "total_tokens": 5}, "contradicts_total"),
        ({"text_tokens": 5, "image_pixels": 0, "total_tokens": 9}, "contradicts_total"),
        ({"text_tokens": 5, "image_pixels": -1}, "negative_count"),
        ({"text_tokens": 5, "image_pixels": 2**63}, "count_too_large"),
        ({"text_tokens": "5", "image_pixels": 1}, "not_a_count"),
    ],
)
def test_pixels_that_are_no_count_are_a_state(usage: dict[str, Any], fault: str) -> None:
    assert _usage(read("voyage_multimodal", multimodal(usage=usage), JSON)).fault == fault
    assert read("voyage_multimodal", compact({"data": []}), JSON).usage is None
