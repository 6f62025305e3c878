"""Pictures count as their makers publish it, and as recorded replies stated it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.texts import Picture
from tollkeeper.services.picture_tokens import UNKNOWN_TOKENS, picture_tokens


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        # OpenAI's own examples
        ("gpt-4o", 1_024, 1_024, 765),
        ("gpt-4o", 2_048, 4_096, 1_105),
        ("gpt-4.1-mini", 1_024, 1_024, 1_659),
        # stated in recorded replies, less the text beside the picture
        ("gpt-4.1-2025-04-14", 1, 1, 255),
        ("gpt-4o-mini-2024-07-18", 1, 1, 8_500),
        ("gpt-5-2025-08-07", 1, 1, 210),
        ("claude-sonnet-4-5-20250929", 166, 282, 62),
        ("gemini-2.5-flash", 8, 8, 258),
        # Anthropic's and Google's own examples
        ("claude-sonnet-4-5", 1_092, 1_092, 1_590),
        ("claude-haiku-4-5", 8_000, 6_000, 1_600),
        ("models/gemini-2.0-flash", 960, 540, 258 * 6),
        ("my-own-model", 640, 480, UNKNOWN_TOKENS),
    ],
)
def test_a_picture(model: str, width: int, height: int, tokens: int) -> None:
    assert picture_tokens((Picture(width, height),), model) == tokens


def test_a_small_copy_costs_little() -> None:
    assert picture_tokens((Picture(2_048, 2_048, low_detail=True),), "gpt-4o") == 85


def test_pictures_add_up() -> None:
    assert picture_tokens((Picture(1, 1), Picture(1, 1)), "gpt-4o") == 510
    assert picture_tokens((), "gpt-4o") == 0


@given(
    st.sampled_from(["gpt-4o", "gpt-5-nano", "claude-opus-4-8", "gemini-1.5-pro", "gemini-3", "x"]),
    st.integers(1, 16_384),
    st.integers(1, 16_384),
)
def test_no_picture_is_free_or_costs_without_end(model: str, width: int, height: int) -> None:
    assert 1 <= picture_tokens((Picture(width, height),), model) < 1_000_000
