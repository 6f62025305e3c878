"""What only Mistral has: pages, conversations and seconds of sound."""

from __future__ import annotations

from typing import Any

import pytest

from native_replies import (
    CONVERSATION_BEGIN,
    CONVERSATION_END,
    CONVERSATION_USAGE,
    HEARD_USAGE,
    JSON,
    PAGES,
    SSE,
    compact,
    conversation,
    conversation_events,
    document,
    events,
    heard,
    said,
)
from provider_replies import read, read_cut
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readings import Reading

OCR = "mistral_ocr"
TALK = "mistral_conversations"
MODEL = "mistral-medium-latest"
TALKED = {"input": 100, "input_tool": 5000, "output": 20, "web_searches": 2, "code_executions": 1}


def _usage(reading: Reading) -> Usage:
    assert reading.usage is not None
    return reading.usage


# ---------------------------------------------------------------------------- documents


@pytest.mark.parametrize(
    ("more", "quantities"),
    [
        ({}, {"pages": 3}),
        ({"document_annotation": '{"title":"x"}'}, {"annotated_pages": 3}),
        ({"document_annotation": None}, {"pages": 3}),
        ({"usage_info": PAGES | {"pages_processed_annotation": 0}}, {"pages": 3}),
        (
            {"usage_info": PAGES | {"pages_processed_annotation": 2}},
            {"pages": 1, "annotated_pages": 2},
        ),
        (
            # Azure counts a page either here or there.
            {"usage_info": {"pages_processed": 0, "pages_processed_annotation": 2}},
            {"annotated_pages": 2},
        ),
        (
            {"pages": [{"images": [{"id": "i", "image_annotation": '{"kind":"chart"}'}]}]},
            {"annotated_pages": 3},
        ),
    ],
)
def test_documents_are_billed_by_the_page(more: dict[str, Any], quantities: dict[str, int]) -> None:
    usage = _usage(read(OCR, document(**more), JSON))
    assert (usage.quantities, usage.model, usage.fault) == (quantities, "mistral-ocr-2505", "")


@pytest.mark.parametrize(
    ("pages", "fault"),
    [
        (-1, "negative_count"),
        (2**63, "count_too_large"),
        ("3", "not_a_count"),
        (0.5, "fractional_count"),
        (float("nan"), "not_a_count"),
        (None, "missing_count"),
    ],
)
def test_pages_that_are_no_count_are_a_state(pages: Any, fault: str) -> None:
    usage = _usage(read(OCR, document(usage_info={"pages_processed": pages}), JSON))
    assert (usage.quantities, usage.fault) == ({}, fault)


def test_a_document_without_usage_says_nothing() -> None:
    assert read(OCR, document(usage_info=None), JSON).usage is None
    assert read(OCR, b'{"usage_info"', JSON).usage is None


# ------------------------------------------------------------------------- conversations


def test_a_conversation_is_billed_with_what_its_tools_brought() -> None:
    reading = read(TALK, conversation(), JSON)
    usage = _usage(reading)
    assert (usage.quantities, usage.model, usage.fault) == (TALKED, MODEL, "")
    assert reading.response_id == "conv_1"
    streamed = read(TALK, conversation_events(), SSE)
    assert _usage(streamed) == usage
    assert streamed.response_id == "conv_1"


def test_tokens_of_tools_may_also_stand_within_the_prompt() -> None:
    within = CONVERSATION_USAGE | {"prompt_tokens": 5100}
    assert _usage(read(TALK, conversation(usage=within), JSON)).quantities == TALKED


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"total_tokens": 7}, "contradicts_total"),
        ({"prompt_tokens": -1}, "negative_count"),
        ({"prompt_tokens": None}, "missing_count"),
        ({"completion_tokens": 2**63}, "count_too_large"),
        ({"connector_tokens": "x"}, "not_a_count"),
        ({"connectors": {"web_search": -1}}, "not_a_count"),
        ({"connectors": {"web_search": "2"}}, "not_a_count"),
        ({"connectors": {"web_search": 2**63}}, "not_a_count"),
    ],
)
def test_counts_that_are_none_are_a_state(change: dict[str, Any], fault: str) -> None:
    usage = CONVERSATION_USAGE | change
    plain = _usage(read(TALK, conversation(usage=usage), JSON))
    streamed = _usage(read(TALK, conversation_events(end=CONVERSATION_END | {"usage": usage}), SSE))
    assert plain.fault == streamed.fault == fault


def test_somebody_elses_tool_is_a_tool_without_a_price() -> None:
    usage = CONVERSATION_USAGE | {"connectors": {"acme": 3, "image_generation": 1, "x": None}}
    quantities = _usage(read(TALK, conversation(usage=usage), JSON)).quantities
    assert (quantities["tool_calls"], quantities["images"]) == (3, 1)


def test_counts_of_several_models_are_not_told_apart() -> None:
    other = {"type": "message.output", "model": "devstral-latest", "content": "x"}
    mine = {"type": "message.output", "model": MODEL, "content": "y"}
    usage = _usage(read(TALK, conversation(outputs=[mine, other]), JSON))
    assert usage.fault == "several_models"
    streamed = conversation_events(said("x", "devstral-latest"))
    assert _usage(read(TALK, streamed, SSE)).fault == "several_models"


def test_a_conversation_that_breaks_off_is_sized() -> None:
    reading = read_cut(TALK, conversation_events(end=None), SSE)
    assert reading.usage is None
    assert reading.response_id == "conv_1"
    assert reading.output_bytes == len("Grüße conversation.response.done".encode())
    assert (reading.final, reading.marked) == (False, True)


def test_an_error_in_a_conversation_is_seen() -> None:
    failed = {"type": "conversation.response.error", "message": "no", "code": 3001}
    reading = read(TALK, events(CONVERSATION_BEGIN, said("Grüße"), failed), SSE)
    assert (reading.usage, reading.error_code, reading.output_bytes) == (None, "3001", 7)


def test_openai_keeps_conversations_and_says_nothing_of_usage() -> None:
    kept = {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}}
    assert read(TALK, compact(kept), JSON) == Reading()


# --------------------------------------------------------------------------------- sound


def test_a_transcript_is_billed_by_the_second() -> None:
    reply = {"model": "voxtral-mini-latest", "text": "Grüße", "usage": HEARD_USAGE}
    usage = _usage(read("openai_transcription", compact(reply), JSON))
    assert usage.quantities == {"audio_ms": 3000}
    assert '"audio_tokens":375' in usage.raw
    assert _usage(read("openai_transcription", heard(), SSE)) == usage


def test_sound_in_a_chat_stands_beside_its_tokens() -> None:
    reply = {"id": "1", "model": "voxtral-small-latest", "choices": [], "usage": HEARD_USAGE}
    usage = _usage(read("openai_chat", compact(reply), JSON))
    assert usage.quantities == {"input": 9, "output": 248, "audio_ms": 3000}
    assert (usage.fault, usage.tier) == ("", "standard")
    older = {"prompt_audio_seconds": 36, "prompt_tokens": 13, "completion_tokens": 151}
    for total in ({"total_tokens": 164}, {}):
        usage = _usage(read("openai_chat", compact(reply | {"usage": older | total}), JSON))
        assert usage.quantities == {"input": 13, "output": 151, "audio_ms": 36_000}
        assert usage.fault == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"total_tokens": 633}, "contradicts_total"),
        ({"prompt_audio_seconds": -3}, "negative_count"),
        ({"prompt_audio_seconds": "3"}, "not_a_count"),
        ({"prompt_audio_seconds": 2**63}, "count_too_large"),
    ],
)
def test_sound_that_contradicts_is_a_state(change: dict[str, Any], fault: str) -> None:
    reply = {"id": "1", "choices": [], "usage": HEARD_USAGE | change}
    assert _usage(read("openai_chat", compact(reply), JSON)).fault == fault


def test_speech_is_billed_by_what_was_asked_for() -> None:
    done = {"type": "speech.audio.done", "usage": {"prompt_tokens": 4, "completion_tokens": 90}}
    assert read("openai_speech", events(done), SSE).usage is None
    assert read("openai_speech", compact({"audio_data": "QUJD"}), JSON).usage is None
