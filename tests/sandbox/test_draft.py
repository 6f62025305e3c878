"""What a reply says, how it is cut into pieces, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.sandbox.asked import Asked, Caching, Mark, Tool, Weight, size_of
from tollkeeper.sandbox.behaviour import ORDINARY, Behaviour
from tollkeeper.sandbox.counts import tokens_of
from tollkeeper.sandbox.draft import ECHO_CHARS_MAX, draft_of
from tollkeeper.sandbox.prompt_cache import PREFIXES_MAX, CacheUse, PromptCache, prefixes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
ASKED = st.builds(
    Asked,
    st.just("m"),
    TEXTS,
    weight=st.builds(Weight, st.integers(0, 5_000), st.integers(0, 300), st.integers(0, 300)),
    choices=st.integers(1, 4),
    max_output_tokens=st.none() | st.integers(0, 200),
    tool=st.none() | st.just(Tool("f", {"type": "object"})),
    schema=st.none() | st.just({"type": "object"}),
    reasoning_tokens=st.integers(0, 300),
    shows_thinking=st.booleans(),
    cached_tokens=st.integers(0, 100),
)
BEHAVIOURS = st.builds(
    Behaviour,
    chunks=st.none() | st.integers(1, 300),
    output_tokens=st.none() | st.integers(1, 500),
    cached_tokens=st.none() | st.integers(0, 9_000),
    reasoning_tokens=st.none() | st.integers(0, 400),
)
USES = st.builds(CacheUse, *[st.integers(0, 3_000)] * 3)


@given(ASKED, BEHAVIOURS, USES)
def test_a_draft_adds_up(asked: Asked, behaviour: Behaviour, cache: CacheUse) -> None:
    draft = draft_of(asked, behaviour, cache)
    counts = draft.counts
    said = "".join(draft.pieces)
    assert said == (draft.tool.arguments if draft.tool else draft.text)
    name = draft.tool.name if draft.tool else ""
    assert counts.output == asked.choices * tokens_of(name + said)
    assert counts.prompt == sum(asked.weight)
    assert min(counts) >= 0
    assert list(draft.output_after) == sorted(draft.output_after)
    assert len(draft.output_after) == len(draft.pieces) + 1
    assert draft.counts_after(len(draft.pieces)) == counts
    if asked.max_output_tokens is not None:
        assert counts.output + counts.reasoning <= asked.choices * asked.max_output_tokens
    if draft.thinking:
        assert asked.choices * tokens_of(draft.thinking) == counts.reasoning
    assert all(draft.pieces) or said == ""


@given(TEXTS, st.integers(1, 300), st.integers(1, 500))
def test_pieces_and_tokens_are_as_many_as_asked_for(said: str, chunks: int, tokens: int) -> None:
    asked = Asked("m", said)
    draft = draft_of(asked, Behaviour(chunks=chunks), CacheUse())
    assert len(draft.pieces) == chunks
    draft = draft_of(asked, Behaviour(output_tokens=tokens), CacheUse())
    assert draft.counts.output == tokens
    draft = draft_of(asked, Behaviour(chunks=chunks, output_tokens=tokens), CacheUse())
    assert draft.counts.output == tokens
    assert len(draft.pieces) <= chunks


def test_a_long_saying_is_not_repeated_to_its_end() -> None:
    draft = draft_of(Asked("m", "x" * 5_000), ORDINARY, CacheUse())
    assert draft.text == f"You said: {'x' * ECHO_CHARS_MAX}…"
    assert draft_of(Asked("m"), ORDINARY, CacheUse()).text == "You said nothing."


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    ("content", "weight"),
    [
        ("abcde", (2, 0, 0)),
        (["ab", {"text": "cd", "type": "text-is-not-counted"}], (1, 0, 0)),
        ({"content": "ü" * 4, "signature": "x" * 100, "cache_control": {"type": "y"}}, (2, 0, 0)),
        ({"type": "image_url", "image_url": {"url": "data:" + "A" * 999}}, (0, 258, 0)),
        ({"type": "image", "source": {"data": "A" * 999}}, (0, 258, 0)),
        ({"type": "input_audio", "input_audio": {"data": "A" * 4_268}}, (0, 0, 2)),
        ({"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}, (0, 0, 1)),
        ({"fileData": {"mimeType": "video/mp4", "fileUri": "x" * 99}}, (0, 258, 0)),
        ({"numbers": [1, 2.5, True, None]}, (1, 0, 0)),
    ],
)
def test_content_is_weighed(content: Any, weight: tuple[int, int, int]) -> None:
    assert size_of(content).weight == weight


# ---------------------------------------------------------------------- the cache


def marks(*tokens: int) -> tuple[Mark, ...]:
    return tuple(Mark(str(count).encode(), count) for count in tokens)


def test_only_what_is_new_is_written() -> None:
    cache = PromptCache()
    assert cache.use(Caching(marks(100, 300), bills_writes=True)) == CacheUse(0, 300, 0)
    assert cache.use(Caching(marks(100, 300), bills_writes=True)) == CacheUse(300, 0, 0)
    more = Caching((*marks(100, 300), Mark(b"x", 350, an_hour=True)), bills_writes=True)
    assert cache.use(more) == CacheUse(300, 0, 50)
    assert cache.use(Caching(marks(100, 400), bills_writes=True)) == CacheUse(100, 300, 0)
    cache.clear()
    assert cache.use(Caching(marks(100))) == CacheUse(0, 0, 0)


def test_steps_and_minimum() -> None:
    cache = PromptCache()
    asked = Caching(marks(1_000, 1_300), step_tokens=128, min_tokens=1_024)
    assert cache.use(asked).read == 0
    assert cache.use(asked).read == 1_280
    assert cache.use(asked._replace(marks=marks(1_000))).read == 0


def test_prefixes_depend_on_all_that_comes_before() -> None:
    first = list(prefixes("m", ["a" * 4, "b" * 4]))
    assert [mark.tokens for mark in first] == [1, 2]
    assert first[0] == next(prefixes("m", ["a" * 4]))
    assert first[1] != list(prefixes("m", ["x" * 4, "b" * 4]))[1]
    assert first[0] != next(prefixes("n", ["a" * 4]))


def test_the_cache_is_bounded() -> None:
    cache = PromptCache()
    for number in range(PREFIXES_MAX + 5):
        cache.use(Caching((Mark(b"%d" % number, 10),)))
    assert cache.use(Caching((Mark(b"0", 10),))).read == 0
    assert cache.use(Caching((Mark(b"%d" % PREFIXES_MAX, 10),))).read == 10
