"""Tokens are counted as OpenAI's published vocabulary splits a text, also where it is odd."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.services import vocabulary


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Counted by GitHub's own implementation of o200k_base (bpe-openai 0.1.4).
        ("", 0),
        ("Hello, world!", 4),
        ("hello world", 2),
        ("I'll say it's 12345678 o'clock.", 10),
        ("    def f(x):\n        return x + 1\n\n", 12),
        ('{"city":"Mexico City","n":[1,2,3]}', 14),
        ("Привет, мир! Как дела?", 8),
        ("नमस्ते दुनिया", 5),
        ("こんにちは世界", 2),
        ("naïve café Straße", 5),
        ("emoji 🌍🤖 mix", 6),
        ("\r\n\r\n  \t x", 3),
    ],
)
def test_a_text(text: str, tokens: int) -> None:
    assert vocabulary.count(text) == tokens


@settings(deadline=None)
@given(st.text(max_size=400))
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    counted = vocabulary.count(text)
    assert 0 <= counted <= len(text.encode("utf-8", "replace"))
    assert bool(counted) == bool(text)


@settings(deadline=None)
@given(st.text(alphabet="abc XY.,1", max_size=100), st.text(alphabet="abc XY.,1", max_size=100))
def test_ascii_and_other_text_are_split_alike(left: str, right: str) -> None:
    beside = f"{left}\n{right}"
    pieces = vocabulary._ascii_pattern().findall(beside)
    assert vocabulary._pattern().findall(beside) == pieces
    assert "".join(pieces) == beside


def test_a_run_of_letters_that_is_no_language_is_counted_in_bounded_time() -> None:
    assert 1_000 < vocabulary.count("qzjxkvbw" * 4_000) <= 32_000
