"""From the bytes of a reply to its cost, for replies that are easily billed wrongly."""

from __future__ import annotations

from typing import Any

import pytest

from provider_replies import (
    SSE,
    chat_reply,
    gemini,
    images_reply,
    message,
    message_begin,
    message_end,
    message_text,
    read,
    read_cut,
    response,
    sse,
    text_of,
)
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book

NOW_US = instant_us("2026-11-12T12:00")


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return shipped_price_book()


def _cost(book: PriceBook, provider: str, usage: Usage | None, asked: str = "") -> int | None:
    """Price a usage with everything it billed; None if any of it has no price."""
    assert usage is not None
    total = 0
    for part in (usage, *usage.components):
        priced = book.price(provider, part.model or usage.model or asked, part, NOW_US)
        if priced.nanos is None:
            return None
        total += priced.nanos
    return total


def _message(**fields: Any) -> Usage | None:
    return read("anthropic_messages", text_of(message(**fields)).encode()).usage


def test_a_compaction_of_55196_hidden_tokens(book: PriceBook) -> None:
    usage = {
        "input_tokens": 160,
        "output_tokens": 20,
        "iterations": [
            {"type": "compaction", "input_tokens": 55_196, "output_tokens": 125},
            {"type": "message", "input_tokens": 160, "output_tokens": 20},
        ],
    }
    found = _message(model="claude-sonnet-4-6", usage=usage)
    assert _cost(book, "anthropic", found) == 168_243_000  # $0.168243, the top alone is $0.00078


def test_steps_that_are_short_one_by_one_are_not_billed_as_one_long_prompt(book: PriceBook) -> None:
    step = {"type": "message", "input_tokens": 60_000, "output_tokens": 100}
    usage = {"input_tokens": 120_000, "output_tokens": 200, "iterations": [step, step]}
    found = _message(model="claude-haiku-5-5", usage=usage)
    assert _cost(book, "anthropic", found) == 2 * (60_000 * 100 + 100 * 500)
    whole = _message(model="claude-haiku-5-5", usage=usage | {"iterations": None})
    assert _cost(book, "anthropic", whole) == 120_000 * 500 + 200 * 2_500


def test_a_batch_reply_in_the_us_in_fast_mode(book: PriceBook) -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 0, "inference_geo": "us"}
    served = {"service_tier": "batch"}
    found = _message(model="claude-sonnet-4-6", usage=usage | served)
    assert _cost(book, "anthropic", found) == 1_650_000_000
    fast = _message(model="claude-opus-5", usage=usage | {"speed": "fast"})
    assert _cost(book, "anthropic", fast) == 11_000_000_000
    both = _message(model="claude-opus-5", usage=usage | served | {"speed": "fast"})
    assert _cost(book, "anthropic", both) is None


def test_a_refusal_costs_nothing(book: PriceBook) -> None:
    found = _message(model="claude-fable-5", content=[], stop_reason="refusal")
    assert _cost(book, "anthropic", found) == 0


def test_pictures_and_transcripts_are_priced_by_the_model_that_was_asked_for(
    book: PriceBook,
) -> None:
    pictures = read("openai_images", images_reply()).usage
    assert _cost(book, "openai", pictures, "gpt-image-1.5") == 43 * 5_000 + 388 * 8_000 + (
        308 * 10_000 + 1_056 * 32_000
    )
    seconds = text_of({"text": "hi", "usage": {"type": "duration", "seconds": 90}}).encode()
    heard = read("openai_transcription", seconds).usage
    assert _cost(book, "openai", heard, "whisper-1") == 9_000_000
    assert _cost(book, "openai", heard, "gpt-4o-transcribe") is None


def test_a_tool_that_makes_pictures_is_a_model_of_its_own(book: PriceBook) -> None:
    image_gen = {"input_tokens": 40, "output_tokens": 1_000}
    tools = [{"type": "image_generation", "model": "gpt-image-1"}]
    usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
    body = response(model="gpt-4.1", usage=usage, tools=tools, tool_usage={"image_gen": image_gen})
    found = read("openai_responses", text_of(body).encode()).usage
    assert _cost(book, "openai", found) == 100 * 2_000 + 10 * 8_000 + 40 * 5_000 + 1_000 * 40_000


def test_vertex_serves_claude(book: PriceBook) -> None:
    usage = {"input_tokens": 1_000, "output_tokens": 100}
    found = _message(model="claude-sonnet-4-5@20250929", usage=usage)
    assert _cost(book, "vertex", found) == 1_000 * 3_000 + 100 * 15_000


def test_thoughts_and_tool_prompts_of_gemini_are_billed(book: PriceBook) -> None:
    usage = {
        "promptTokenCount": 1_000,
        "candidatesTokenCount": 10,
        "thoughtsTokenCount": 500,
        "toolUsePromptTokenCount": 200,
        "totalTokenCount": 1_710,
    }
    body = text_of(gemini(usageMetadata=usage, modelVersion="gemini-2.5-flash")).encode()
    found = read("gemini", body).usage
    assert _cost(book, "google", found) == 1_200 * 300 + 510 * 2_500


def test_a_cut_stream_of_anthropic_has_a_price_for_its_input(book: PriceBook) -> None:
    reading = read_cut("anthropic_messages", sse(message_begin(), message_text("x")), SSE)
    nanos = 25 * 3_000 + 1_000 * 300 + 100 * 3_750 + 200 * 6_000
    assert _cost(book, "anthropic", reading.usage) == nanos
    whole = read("anthropic_messages", sse(message_begin(), message_text("x"), message_end()), SSE)
    assert _cost(book, "anthropic", whole.usage) == nanos + 34 * 15_000


def test_contradictory_counts_have_no_price(book: PriceBook) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 900}
    assert _cost(book, "openai", read("openai_chat", chat_reply(usage=usage)).usage) is None
