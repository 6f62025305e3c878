"""Anthropic's cache counts, and singular details, in usages of OpenAI's shape."""

from __future__ import annotations

from typing import Any

import pytest

from provider_replies import chat_reply, read
from tollkeeper.domain.usage import Usage

CACHED = {"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200}
QUANTITIES = {"input": 300, "cache_read": 1000, "cache_write": 200, "output": 40}


def _usage(**usage: Any) -> Usage:
    reading = read("openai_chat", chat_reply(usage=usage))
    assert reading.usage is not None
    return reading.usage


@pytest.mark.parametrize(
    ("prompt", "total"), [(1500, 1540), (1500, None), (300, 1540)], ids=["in", "unsaid", "beside"]
)
def test_the_total_tells_whether_the_prompt_holds_what_was_cached(
    prompt: int, total: int | None
) -> None:
    counts = {"prompt_tokens": prompt, "completion_tokens": 40, "total_tokens": total}
    found = _usage(**counts, **CACHED)
    assert (found.quantities, found.fault) == (QUANTITIES, "")


def test_openais_own_details_come_first() -> None:
    counts = {"prompt_tokens": 1500, "completion_tokens": 40, "total_tokens": 1540}
    details = {"cached_tokens": 1000, "cache_write_tokens": 200}
    found = _usage(**counts, **CACHED, prompt_tokens_details=details)
    assert (found.quantities, found.fault) == (QUANTITIES, "")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"total_tokens": 1541}, "contradicts_total"),
        ({"prompt_tokens": 300, "total_tokens": 340}, "parts_exceed_whole"),
        ({"cache_read_input_tokens": -1}, "negative_count"),
        ({"cache_creation_input_tokens": 2**63}, "count_too_large"),
        ({"cache_read_input_tokens": "1000"}, "not_a_count"),
    ],
)
def test_counts_that_contradict_are_a_state(change: dict[str, Any], fault: str) -> None:
    counts = {"prompt_tokens": 1500, "completion_tokens": 40, "total_tokens": 1540}
    assert _usage(**counts | CACHED | change).fault == fault


def test_zeros_change_nothing() -> None:
    counts = {"prompt_tokens": 458, "completion_tokens": 60, "total_tokens": 518}
    none = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    assert _usage(**counts, **none).quantities == {"input": 458, "output": 60}


def test_writer_says_its_details_in_the_singular() -> None:
    counts = {"prompt_tokens": 40, "completion_tokens": 300, "total_tokens": 340}
    found = _usage(
        **counts,
        prompt_token_details={"cached_tokens": 30},
        completion_token_details={"reasoning_tokens": 100},
    )
    assert found.quantities == {"input": 10, "cache_read": 30, "output": 200, "reasoning": 100}
