"""Finding models: exact names, dated names, fine-tuned names, and never a guess."""

from __future__ import annotations

import pytest

from tollkeeper.domain.price_data import ModelRow, ProviderRow
from tollkeeper.domain.price_match import PriceList


def _list(provider: str, *models: ModelRow) -> PriceList:
    row: ProviderRow = {"provider": provider, "name": provider, "models": list(models)}
    return PriceList(row)


def _model(name: str, *aliases: str) -> ModelRow:
    return {"model": name, "aliases": list(aliases), "prices": [{"usd": {"input": "1"}}]}


OPENAI = _list(
    "openai",
    _model("gpt-4.1"),
    _model("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-latest-name"),
    _model("gpt-4o-2024-05-13"),
    _model("ft:gpt-4o"),
    _model("gpt-4o-mini-2024-07-18.ft-"),
    _model("davinci"),
)
GOOGLE = _list("google", _model("gemini-2.0-flash"), _model("gemini-2.5-flash-preview"))
ANTHROPIC = _list("anthropic", _model("claude-sonnet-4-5", "claude-sonnet-4.5"))


@pytest.mark.parametrize(
    ("prices", "name", "model", "rule"),
    [
        (OPENAI, "gpt-4.1", "gpt-4.1", "exact"),
        (OPENAI, "GPT-4.1", "gpt-4.1", "exact"),
        (OPENAI, "gpt-4o-2024-08-06", "gpt-4o", "alias"),
        (OPENAI, "gpt-4o-2024-05-13", "gpt-4o-2024-05-13", "exact"),
        (OPENAI, "gpt-4o-2024-11-20", "gpt-4o", "dated"),
        (OPENAI, "gpt-4o-20241120", "gpt-4o", "dated"),
        (OPENAI, "gpt-4.1-latest", "gpt-4.1", "dated"),
        (OPENAI, "ft:gpt-4o-2024-08-06:acme::abc123", "ft:gpt-4o", "fine_tuned"),
        (OPENAI, "gpt-4o-mini-2024-07-18.ft-0a1b", "gpt-4o-mini-2024-07-18.ft-", "fine_tuned"),
        (GOOGLE, "models/gemini-2.0-flash", "gemini-2.0-flash", "exact"),
        (
            GOOGLE,
            "projects/p/locations/l/publishers/google/models/gemini-2.0-flash-001",
            "gemini-2.0-flash",
            "dated",
        ),
        (GOOGLE, "gemini-2.5-flash-preview-05-20", "gemini-2.5-flash-preview", "dated"),
        (GOOGLE, "gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash-preview", "dated"),
        (ANTHROPIC, "claude-sonnet-4-5@20250929", "claude-sonnet-4-5", "dated"),
        (ANTHROPIC, "claude-sonnet-4-5@default", "claude-sonnet-4-5", "dated"),
        (ANTHROPIC, "claude-sonnet-4.5", "claude-sonnet-4-5", "alias"),
        (ANTHROPIC, "claude-sonnet-4.5-20250929", "claude-sonnet-4-5", "dated"),
    ],
)
def test_a_model_is_found(prices: PriceList, name: str, model: str, rule: str) -> None:
    found = prices.find(name, 0)
    assert found is not None
    assert (found.row["model"], found.rule) == (model, rule)


@pytest.mark.parametrize(
    ("prices", "name"),
    [
        (OPENAI, "gpt-4.1-nano"),  # a prefix is another model: this one costs a twentieth
        (OPENAI, "gpt-4"),
        (OPENAI, "gpt-4.1-0414"),
        (OPENAI, "gpt-4.1-2025-13-14"),  # no such month
        (OPENAI, "davinci-002"),  # a version number is not a date, except at Google
        (OPENAI, "ft:gpt-9:acme"),
        (OPENAI, "davinci:2023-07-21-v2"),
        (OPENAI, ""),
        (OPENAI, "my/gpt-4.1"),
        (GOOGLE, "gemini-2.0-flash-lite"),
        (GOOGLE, "gemini-2.5-flash-preview-tts"),
        (ANTHROPIC, "claude-sonnet-4-5-fast"),
    ],
)
def test_what_is_not_listed_is_not_guessed(prices: PriceList, name: str) -> None:
    assert prices.find(name, 0) is None


def test_a_name_of_its_own_comes_before_an_alias() -> None:
    prices = _list("openai", _model("a", "b"), _model("b"))
    found = prices.find("b", 0)
    assert found is not None
    assert found.row["model"] == "b"
