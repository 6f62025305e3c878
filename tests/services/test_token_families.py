"""Which family a model's name is of, however its provider writes it."""

from __future__ import annotations

import pytest

from tollkeeper.services.token_families import AS_TEXTS, AS_TYPESCRIPT, OTHER, family_of

CHAT = "chat/completions"


@pytest.mark.parametrize(
    ("model", "other", "same"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "us.meta.llama3-1-8b-instruct-v1:0", True),
        ("llama3-8b-8192", "llama-4-scout", True),
        ("llama3-8b-8192", "llama-3.1-8b", False),
        ("us.amazon.nova-2-lite-v1:0", "amazon.nova-micro-v1:0", False),
        ("gemini-1.5-flash", "gemma-3", True),
        ("gemini-2.0-flash", "gemini-2.5-flash", False),
        ("gpt-5-mini", "gpt-5.1", True),
        ("gpt-5-mini", "gpt-4.1", False),
        ("gpt-oss-120b", "gpt-4o", False),
    ],
)
def test_names(model: str, other: str, *, same: bool) -> None:
    assert (family_of(model, CHAT) == family_of(other, CHAT)) is same


def test_what_is_not_known_is_of_no_family() -> None:
    assert family_of("my-own-model", CHAT) == OTHER


def test_how_tools_are_written() -> None:
    assert family_of("gpt-4o", CHAT).tools_as == AS_TYPESCRIPT
    assert family_of("gemini-3-pro", "generateContent").tools_as == AS_TEXTS
    assert family_of("gpt-5", CHAT).tools_start > family_of("gpt-5", "responses").tools_start


@pytest.mark.parametrize("endpoint", ["completions", "embeddings", "embed"])
def test_a_bare_text_has_nothing_around_it(endpoint: str) -> None:
    family = family_of("gpt-4o", endpoint)
    assert (family.message, family.start, family.reply_start) == (0, 0, 0)
