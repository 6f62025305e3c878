"""Ollama's own API: counts beside the text, and a prompt that nobody counted."""

from __future__ import annotations

from typing import Any

import pytest

from native_replies import (
    JSON,
    NDJSON,
    OLLAMA_COUNTS,
    compact,
    lines,
    ollama_embedded,
    ollama_end,
    ollama_generated,
    ollama_line,
    ollama_stream,
)
from provider_replies import read, read_cut
from tollkeeper.domain.usage import Usage
from tollkeeper.wire.readings import Reading

CHAT = "ollama_chat"
QUANTITIES = {"input": 17, "output": 63, "gpu_ms": 3723}


def _usage(reading: Reading) -> Usage:
    assert reading.usage is not None
    return reading.usage


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (compact(ollama_end()), JSON),
        (ollama_generated(), JSON),
        (ollama_stream(), NDJSON),
        (ollama_stream()[:-1], NDJSON),
        (ollama_stream().replace(b'"done":true', b'"done": true'), NDJSON),
    ],
)
def test_the_last_object_says_what_was_used(body: bytes, content_type: str) -> None:
    reading = read(CHAT, body, content_type)
    usage = _usage(reading)
    assert (usage.quantities, usage.model, usage.fault) == (QUANTITIES, "llama3", "")
    assert usage.raw.encode() == compact(
        {
            "prompt_eval_count": 17,
            "eval_count": 63,
            **{name: value for name, value in OLLAMA_COUNTS.items() if "duration" in name},
        }
    )
    assert reading.final


def test_a_cached_prompt_is_not_free_it_is_not_counted() -> None:
    end = ollama_end()
    del end["prompt_eval_count"]
    for body, content_type in ((compact(end), JSON), (lines(ollama_line("a"), end), NDJSON)):
        usage = _usage(read(CHAT, body, content_type))
        assert usage.fault == "missing_count"
        assert usage.quantities == {"output": 63, "gpu_ms": 3723}


def test_newer_versions_count_what_they_read_from_the_cache() -> None:
    usage = _usage(read(CHAT, compact(ollama_end(prompt_eval_cached_count=12)), JSON))
    assert usage.quantities == {"input": 5, "cache_read": 12, "output": 63, "gpu_ms": 3723}
    usage = _usage(read(CHAT, compact(ollama_end(prompt_eval_cached_count=18)), JSON))
    assert (usage.quantities, usage.fault) == ({"gpu_ms": 3723}, "parts_exceed_whole")


@pytest.mark.parametrize(
    ("counts", "fault"),
    [
        ({"prompt_eval_count": -1}, "negative_count"),
        ({"eval_count": -1}, "negative_count"),
        ({"prompt_eval_count": 2**63}, "count_too_large"),
        ({"prompt_eval_count": "17"}, "not_a_count"),
        ({"eval_count": float("nan")}, "not_a_count"),
        ({"eval_count": 6.3}, "fractional_count"),
        ({"eval_count": None}, "missing_count"),
        ({"total_duration": -1}, "not_a_duration"),
        ({"total_duration": "1s"}, "not_a_duration"),
        ({"total_duration": 10**40}, "not_a_duration"),
        ({"total_duration": 1.5e9}, "not_a_duration"),
    ],
)
def test_counts_that_are_none_are_a_state(counts: dict[str, Any], fault: str) -> None:
    plain = _usage(read(CHAT, compact(ollama_end(**counts)), JSON))
    streamed = _usage(read(CHAT, ollama_stream(**counts), NDJSON))
    assert plain == streamed
    assert plain.fault == fault


def test_a_long_run_is_still_a_time() -> None:
    usage = _usage(read(CHAT, compact(ollama_end(total_duration=7_200_000_000_000)), JSON))
    assert (usage.quantities["gpu_ms"], usage.fault) == (7_200_000, "")


def test_a_reply_without_a_time_has_tokens_all_the_same() -> None:
    usage = _usage(read(CHAT, compact(ollama_end(total_duration=None)), JSON))
    assert (usage.quantities, usage.fault) == ({"input": 17, "output": 63}, "")


def test_loading_a_model_uses_the_machine_and_no_tokens() -> None:
    loaded = ollama_line(done=True, done_reason="load", total_duration=2_000_000_000)
    usage = _usage(read(CHAT, compact(loaded), JSON))
    assert (usage.quantities, usage.fault) == ({"gpu_ms": 2000}, "")


def test_counts_in_another_line_are_not_the_usage() -> None:
    early = ollama_line("a", **OLLAMA_COUNTS)
    reading = read(CHAT, lines(early), NDJSON)
    assert reading.usage is None
    assert (reading.final, reading.marked, reading.output_bytes) == (False, True, 1)
    behind = ollama_stream() + lines(ollama_end(eval_count=9))
    assert _usage(read(CHAT, behind, NDJSON)).quantities == QUANTITIES


def test_an_error_in_a_stream_is_seen() -> None:
    broken = lines(ollama_line("Grüße"), {"error": "llama runner process has terminated"})
    reading = read(CHAT, broken, NDJSON)
    assert (reading.usage, reading.error_code) == (None, "error")
    assert reading.output_bytes == 7
    assert read(CHAT, compact({"error": "no such model"}), JSON).error_code == "error"


def test_a_stream_that_broke_off_is_sized_with_what_it_thought_and_called() -> None:
    call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
    thought = ollama_line("", message={"content": "", "thinking": "hm", "tool_calls": [call]})
    reading = read_cut(CHAT, lines(ollama_line("Grüße"), thought), NDJSON)
    assert reading.usage is None
    assert reading.output_bytes == len("Grüße".encode()) + len("hm") + len(compact([call]))


def test_embeddings_state_their_prompt() -> None:
    usage = _usage(read("ollama_embed", ollama_embedded(), JSON))
    assert (usage.quantities, usage.model) == ({"input": 8, "gpu_ms": 14}, "all-minilm")
    cached = _usage(read("ollama_embed", ollama_embedded(prompt_eval_count=None), JSON))
    assert cached.fault == "missing_count"
    older = read("ollama_embed", compact({"embedding": [0.1, 0.2]}), JSON)
    assert older.usage is None
