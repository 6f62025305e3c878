"""Estimates: of what came and of what was asked, never zero for something, never an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Held, Profile
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.texts import ANY_TOOL, RequestText
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services import vocabulary
from tollkeeper.services.estimates import input_tokens, output_tokens
from tollkeeper.services.picture_tokens import UNKNOWN_TOKENS
from tollkeeper.services.settlement import Ending, Hints, settle
from tollkeeper.services.token_families import family_of
from tollkeeper.wire.generated_text import REASONED, call_size, text_size
from tollkeeper.wire.request_text import request_text

CHAT = "chat/completions"
SENTENCE = "The quick brown fox jumps over the lazy dog. "
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": SENTENCE}]}


def _asked(**fields: Any) -> RequestText | None:
    return request_text(json.dumps({**ASKED, **fields}).encode())


def _held(model: str, endpoint: str) -> Held:
    texts = [""] * len(Profile._fields)
    profile = Profile(*texts)._replace(
        price_provider="openai", model=model, endpoint=endpoint, flat_rate=False
    )
    return Held("e", "c", 1_790_000_000_000_000, 1, True, 400, 77, profile)


def test_a_reply_of_openai_is_counted_as_openai_counts() -> None:
    family = family_of("gpt-4o-2024-08-06", CHAT)
    assert output_tokens(text_size(SENTENCE), family) == vocabulary.count(SENTENCE) == 11
    assert output_tokens(text_size(SENTENCE), family_of("gpt-4o", "responses")) == 12
    call = call_size("get_weather", '{"city":"Paris"}')
    told = vocabulary.count('get_weather{"city":"Paris"}')
    assert output_tokens(call, family) == told + 7
    assert output_tokens(call + call, family) == pytest.approx(2 * told + 14 + 14, abs=1)


def test_claude_has_more_tokens_for_the_same_text_and_the_newest_most() -> None:
    text = text_size(SENTENCE * 20)
    openai, older, newer = (
        output_tokens(text, family_of(model, CHAT))
        for model in ("gpt-4o", "claude-sonnet-4-5-20250929", "claude-opus-4-8")
    )
    assert openai * 1.05 < older < openai * 1.2
    assert openai * 1.3 < newer < openai * 1.6


@pytest.mark.parametrize(
    ("model", "other"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-haiku-4-5"),
        ("anthropic/claude-4.5-sonnet", "claude-sonnet-4-5"),
        ("claude-3-5-sonnet-20240620", "claude-sonnet-4-20250514"),
        ("claude-opus-4-1-20250805", "claude-sonnet-4-6"),
        ("claude-sonnet-5", "claude-opus-4-7"),
        ("anthropic/claude-4.8-opus-20260801", "claude-fable-5-2"),
        ("models/gemini-2.5-flash", "google/gemini-2.5-pro"),
        ("gemini-3-pro-preview", "models/gemini-3.6-flash"),
        ("mistral-small-latest", "magistral-medium-2506"),
        ("openai/o3", "gpt-4.1-nano"),
        ("gpt-5.4-2026-03-05", "gpt-5.5"),
        ("something-new", "another-thing"),
    ],
)
def test_names_of_one_family(model: str, other: str) -> None:
    assert family_of(model, CHAT) == family_of(other, CHAT)


def test_a_long_reply_is_taken_to_go_on_like_its_beginning() -> None:
    family = family_of("gpt-4o", CHAT)
    long = text_size(SENTENCE * 1_000)
    assert len(long.sample) < int(long)
    assert output_tokens(long, family) == pytest.approx(vocabulary.count(SENTENCE) * 1_000, rel=0.1)


def test_a_long_prompt_is_looked_at_from_its_beginning_to_its_end() -> None:
    family = family_of("gpt-4o", CHAT)
    text = SENTENCE * 500 + "0123456789 " * 2_000
    asked = _asked(messages=[{"role": "user", "content": text}])
    assert input_tokens(asked, 0, family, 0) == pytest.approx(vocabulary.count(text), rel=0.1)


def test_a_prompt_is_counted_with_what_stands_around_it() -> None:
    family = family_of("gpt-4o", CHAT)
    asked = _asked()
    assert input_tokens(asked, 0, family, 0) == vocabulary.count(SENTENCE) + 4 + 3
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    with_tools = input_tokens(_asked(tools=tools), 0, family, 0)
    assert 20 < with_tools - input_tokens(asked, 0, family, 0) < 50


def test_digits_and_blanks_count_as_each_family_counts_them() -> None:
    number, lines = text_size("1234567890"), text_size("a\n\nb\n\nc\n\nd")
    gpt, gemini, claude = (
        family_of(model, CHAT) for model in ("gpt-4o", "gemini-2.5-flash", "claude-sonnet-4-5")
    )
    assert output_tokens(number, gpt) == 4  # by three digits
    assert output_tokens(number, gemini) == 10  # one by one
    ends = text_size("[\n" * 9)
    assert output_tokens(ends, gemini) == 2 * output_tokens(ends, gpt) == 18
    assert output_tokens(lines, claude) > output_tokens(lines, gpt) + claude.reply_start


def test_thinking_and_prescribed_answers_cost_a_prompt_more() -> None:
    family = family_of("claude-sonnet-4-5", "messages")
    plain = input_tokens(_asked(), 0, family, 0)
    thinks = input_tokens(_asked(thinking={"type": "enabled"}), 0, family, 0)
    assert thinks == plain + family.thinking
    schema = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
    assert input_tokens(_asked(output_format=schema), 0, family, 0) > plain + 90


def test_sealed_thoughts_count_where_they_are_read_again() -> None:
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "x" * 1_160}
    contents = [{"role": "model", "parts": [part]}]
    asked = request_text(json.dumps({"contents": contents}).encode())
    family = family_of("gemini-3-pro", "generateContent")
    read_again = input_tokens(asked, 0, family, 0)
    assert read_again == input_tokens(asked, 0, family._replace(reads_seals=False), 0) + 192


def test_a_picture_is_put_down_for_something() -> None:
    family = family_of("gpt-4o", CHAT)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}
    content = [{"type": "text", "text": SENTENCE}, picture]
    asked = _asked(messages=[{"role": "user", "content": content}])
    expected = vocabulary.count(SENTENCE) + 7 + UNKNOWN_TOKENS
    assert input_tokens(asked, 9_000, family, 0) == expected


def test_a_picture_whose_size_is_known_is_booked_by_its_size() -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}}
    body = json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()
    held = _held("gpt-4o", CHAT)
    ending = Ending(200, Outcome.OK, 9, hints=Hints(request_text(body)))
    (part_booked,) = settle(held, ending, shipped_price_book()).parts
    assert part_booked.quantities[u.INPUT] == 7 + 85 + 170


def test_a_request_that_is_gone_is_estimated_by_its_size() -> None:
    family = family_of("gpt-4o", CHAT)
    assert input_tokens(None, 40_000, family, 0) == 10_000
    assert input_tokens(None, 40_000, family, 5.0) == 8_000
    assert input_tokens(request_text(b"no json"), 40, family, 0) == 10
    assert input_tokens(None, 0, family, 0) == 1


def test_the_beginning_of_a_call_that_must_be_made_is_not_generated() -> None:
    family = family_of("gpt-4o", CHAT)
    call = call_size("get_weather", '{"city":"Paris"}')
    assert output_tokens(call, family, "get_weather") == vocabulary.count('{"city":"Paris"}')
    assert output_tokens(call, family, ANY_TOOL) == output_tokens(call, family)
    claude = family_of("claude-haiku-4-5", "messages")
    free, some, named = (
        output_tokens(call, claude, must) for must in ("", ANY_TOOL, "get_weather")
    )
    assert free > some > named > 0


@settings(deadline=None)  # the vocabulary is loaded by whichever comes first
@given(st.text(max_size=300), st.sampled_from(["gpt-4o", "claude-opus-5", "gemini-3", "x"]))
def test_whatever_is_said_has_tokens_but_nothing_has_none(text: str, model: str) -> None:
    tokens = output_tokens(text_size(text), family_of(model, CHAT))
    assert bool(tokens) == bool(text)


@settings(deadline=None)  # the vocabulary is loaded by whichever comes first
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["messages", "content", "tools", "system", "type", "input", "text"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_request_breaks_an_estimate(body: bytes) -> None:
    family = family_of("claude-opus-5", "messages")
    assert input_tokens(request_text(body), len(body), family, 0) >= 1


@pytest.mark.parametrize("said", [None, 0, text_size("Grüße " * 30) + REASONED])
def test_a_reply_without_usage_is_booked_as_estimated(said: int | None) -> None:
    held = _held("gpt-5-mini", "responses")
    hints = Hints(request_text(b'{"input": "hello"}'), 0, 50)
    ending = Ending(200, Outcome.OK, 9, output_bytes=said, hints=hints)
    (part,) = settle(held, ending, shipped_price_book()).parts
    assert part.basis == Basis.ESTIMATED
    assert not part.stated
    assert part.quantities[u.INPUT] == vocabulary.count("hello") + 4 + 2
    if said is None:
        assert part.quantities[u.OUTPUT] == 77  # nothing was seen: the usual
    elif not said:
        assert part.quantities.keys() == {u.INPUT}
    else:
        assert part.quantities[u.REASONING] == 50
        assert part.quantities[u.OUTPUT] == vocabulary.count("Grüße " * 30) + 1
    assert part.cost_nanos
