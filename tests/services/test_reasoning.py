"""Reasoning that is not in a reply's text: by its seal, by what the reply tells, else the usual."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.texts import GeneratedText
from tollkeeper.services.reasoning import hidden_tokens, manner_of
from tollkeeper.wire.generated_text import (
    NOTHING_SAID,
    REASONED,
    call_size,
    sealed_size,
    text_size,
    thought_size,
)

CHAT = "chat/completions"
USUAL = 90
YES = text_size("yes")
CALL = call_size("look", "{}")
SEAL = sealed_size("x" * 2_000)


def _hidden(said: int, model: str, endpoint: str = CHAT, *, asked: bool | None = None) -> int:
    return hidden_tokens(said, manner_of(model, endpoint), USUAL, asked=asked)


def test_the_usual_is_put_down_where_text_came_and_nothing_is_told() -> None:
    assert _hidden(YES, "o3-mini") == _hidden(3, "o3-mini") == USUAL
    assert _hidden(YES + thought_size("hm"), "deepseek-reasoner") == 0
    assert _hidden(NOTHING_SAID, "o3-mini") == _hidden(0, "o3-mini") == 0


@pytest.mark.parametrize(
    ("model", "endpoint", "tokens"),
    [
        ("gpt-5-mini", "responses", 176),
        ("gemini-3.5-flash", "streamGenerateContent", 345),
        ("models/gemini-2.5-flash", "generateContent", 344),
        ("claude-sonnet-4-5", "messages", 425),
        ("grok-4.3", "responses", 328),
    ],
)
def test_a_seal_is_as_long_as_what_is_in_it(model: str, endpoint: str, tokens: int) -> None:
    assert _hidden(YES + SEAL, model, endpoint) == tokens
    twice = _hidden(YES + SEAL + SEAL, model, endpoint)
    assert twice == pytest.approx(2 * tokens, abs=1)


def test_what_of_it_is_shown_is_not_put_down_twice() -> None:
    shown = thought_size("hm " * 100)
    assert 200 < _hidden(YES + shown + SEAL, "claude-sonnet-4-5", "messages") < 380
    assert _hidden(YES + thought_size("hm " * 1_000) + SEAL, "claude-sonnet-4-5", "messages") == 0


def test_an_empty_seal_tells_only_that_there_was_reasoning() -> None:
    assert _hidden(YES + sealed_size("blotted out"), "gemini-3.5-flash", "generateContent") == USUAL


@pytest.mark.parametrize(
    ("said", "model", "endpoint", "tokens"),
    [
        (YES, "gpt-5", "responses", 0),
        (YES + REASONED, "gpt-5", "responses", USUAL),
        (REASONED, "gpt-5", "responses", USUAL),
        (YES, "gemini-3-pro-preview", "generateContent", 0),
        (YES, "gemini-2.5-flash", "generateContent", USUAL),
        (CALL, "gemini-2.5-flash", "generateContent", 0),
        (CALL, "google/gemini-2.5-flash", CHAT, USUAL),
        (YES, "claude-sonnet-5", "messages", 0),
    ],
)
def test_a_reply_that_would_tell_and_does_not_has_none(
    said: GeneratedText, model: str, endpoint: str, tokens: int
) -> None:
    assert _hidden(said, model, endpoint) == tokens


@pytest.mark.parametrize(
    ("model", "asked", "tokens"),
    [
        ("gpt-5-mini", False, 0),
        ("gpt-5-mini", None, USUAL),
        ("gpt-5.4", None, 0),
        ("gpt-5.4", True, USUAL),
        ("gpt-5.2-pro", None, USUAL),
        ("gemini-2.5-flash", False, 0),
    ],
)
def test_what_was_asked_for_decides_where_the_reply_tells_nothing(
    model: str, asked: bool | None, tokens: int
) -> None:
    assert _hidden(YES, model, asked=asked) == tokens


@settings(deadline=None)  # the vocabulary is loaded by whichever comes first
@given(
    st.sampled_from(["gpt-5", "gemini-3", "gemini-2.5", "claude-opus-5", "grok-4", "x"]),
    st.sampled_from([CHAT, "responses", "messages", "generateContent"]),
    st.integers(0, 9_000),
    st.text(max_size=50),
)
def test_it_is_never_negative(model: str, endpoint: str, sealed: int, thought: str) -> None:
    said = YES + thought_size(thought) + sealed_size("s" * sealed)
    assert _hidden(said, model, endpoint) >= 0
