"""Sizes of generated text are numbers of bytes that keep the beginning of what they count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.texts import NO_THOUGHTS, SAMPLE_CHARACTERS_MAX, GeneratedText, Thoughts
from tollkeeper.wire.generated_text import (
    NOTHING_SAID,
    REASONED,
    call_size,
    sealed_size,
    text_size,
    thought_size,
)


@given(st.lists(st.text(max_size=50), max_size=12))
def test_a_sum_is_the_size_of_all_and_begins_as_they_do(texts: list[str]) -> None:
    whole = "".join(texts)
    added = sum((text_size(text) for text in texts), NOTHING_SAID)
    assert added == len(whole.encode("utf-8", "replace"))
    assert added.sample == whole
    at_once = 0
    for text in texts:
        at_once += text_size(text)
    assert at_once == added


def test_a_sample_has_an_end_wherever_it_is_cut() -> None:
    piece = "x" * 1_000
    added: GeneratedText = NOTHING_SAID
    for _ in range(20):
        added += text_size(piece)
    assert added == 20_000
    assert added.sample == "x" * SAMPLE_CHARACTERS_MAX == text_size(piece * 20).sample


def test_calls_and_thoughts_are_told_apart() -> None:
    said = text_size([{"text": "a"}, {"text": "bc"}, {"image": 1}, "odd"])
    said += call_size("look", '{"x"') + call_size(None, ":1}") + call_size("", "")
    assert (int(said), said.sample, said.calls) == (14, 'abclook{"x":1}', 1)
    assert said.thoughts == NO_THOUGHTS
    assert (said + thought_size("hm")).thoughts == Thoughts(2, 1)
    assert (said + thought_size(None)).thoughts == NO_THOUGHTS


def test_what_is_told_of_reasoning_adds_up() -> None:
    said = text_size("a") + thought_size("hm") + sealed_size("x" * 100) + sealed_size("y" * 20)
    assert said.thoughts == Thoughts(2, 3, 2, 120)
    assert (int(said), said.sample) == (3, "ahm")
    assert (3 + said + 4 + REASONED).thoughts == Thoughts(2, 4, 2, 120)
    for nothing in (None, "", 7, []):
        assert sealed_size(nothing).thoughts == NO_THOUGHTS


def test_plain_numbers_add_up_too() -> None:
    assert 3 + text_size("ab") == 5
    assert (3 + text_size("ab")).sample == "ab"
    assert (text_size("ab") + 3).calls == 0
    assert text_size(None) == text_size(7) == text_size({}) == 0
