"""The official SDKs pointed at a gateway, and what they say of a call in the ledger's words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

from booked import quantities_of
from price_oracle import is_text, oracle_nanos
from running import EMAIL, TEAM
from tollkeeper.domain import usage as u
from tollkeeper.domain.ledger import LedgerEntry, Outcome
from tollkeeper.providers.price_data import shipped_price_book

TOOLS = {
    "openai-python": version("openai"),
    "anthropic-python": version("anthropic"),
    "google-genai-python": version("google-genai"),
}
"""How the ledger calls the SDKs, and the versions that are installed."""

OPENAI_MODEL = "gpt-4.1-mini"
ANTHROPIC_MODEL = "claude-sonnet-4-6"
GOOGLE_MODEL = "gemini-2.5-flash"
TIMEOUT_S = 30.0


def openai_client(url: str, key: str, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries, timeout=TIMEOUT_S)


def anthropic_client(url: str, key: str, retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=key, max_retries=retries, timeout=TIMEOUT_S)


def google_client(url: str, key: str) -> genai.Client:
    options = types.HttpOptions(base_url=url, timeout=int(TIMEOUT_S * 1_000))
    return genai.Client(api_key=key, http_options=options)


# ---------------------------------------------------------------------- what an SDK says


def of_chat(usage: Any) -> dict[str, int]:
    """Give the exclusive quantities of a chat completion's usage."""
    assert usage is not None
    prompt = usage.prompt_tokens_details
    output = getattr(usage, "completion_tokens_details", None)
    cached = (prompt and prompt.cached_tokens) or 0
    heard = (prompt and prompt.audio_tokens) or 0
    seen = getattr(prompt, "image_tokens", 0) or 0
    thought = (output and output.reasoning_tokens) or 0
    return _without_zeros(
        {
            u.INPUT: usage.prompt_tokens - cached - heard - seen,
            u.CACHE_READ: cached,
            u.INPUT_AUDIO: heard,
            u.INPUT_IMAGE: seen,
            u.OUTPUT: usage.completion_tokens - thought,
            u.REASONING: thought,
        }
    )


def of_response(usage: Any) -> dict[str, int]:
    """Give the exclusive quantities of a usage of the Responses API."""
    assert usage is not None
    cached = usage.input_tokens_details.cached_tokens
    thought = usage.output_tokens_details.reasoning_tokens
    return _without_zeros(
        {
            u.INPUT: usage.input_tokens - cached,
            u.CACHE_READ: cached,
            u.OUTPUT: usage.output_tokens - thought,
            u.REASONING: thought,
        }
    )


def of_message(usage: Any) -> dict[str, int]:
    """Give the exclusive quantities of a usage of the Messages API."""
    written = usage.cache_creation
    details = usage.output_tokens_details
    thought = (details and details.thinking_tokens) or 0
    return _without_zeros(
        {
            u.INPUT: usage.input_tokens,
            u.CACHE_READ: usage.cache_read_input_tokens or 0,
            u.CACHE_WRITE: written.ephemeral_5m_input_tokens if written else 0,
            u.CACHE_WRITE_1H: written.ephemeral_1h_input_tokens if written else 0,
            u.OUTPUT: usage.output_tokens - thought,
            u.REASONING: thought,
        }
    )


def of_content(usage: Any) -> dict[str, int]:
    """Give the exclusive quantities of Gemini's usage metadata, pictures and sounds apart."""
    assert usage is not None
    kinds = {it.modality.value: it.token_count for it in usage.prompt_tokens_details or ()}
    cached = usage.cached_content_token_count or 0
    seen, heard = kinds.get("IMAGE", 0), kinds.get("AUDIO", 0)
    return _without_zeros(
        {
            u.INPUT: usage.prompt_token_count - cached - seen - heard,
            u.CACHE_READ: cached,
            u.INPUT_IMAGE: seen,
            u.INPUT_AUDIO: heard,
            u.OUTPUT: usage.candidates_token_count or 0,
            u.REASONING: usage.thoughts_token_count or 0,
        }
    )


def _without_zeros(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counted.items() if count}


# ---------------------------------------------------------------------- what the ledger says


def require_booked(
    entry: LedgerEntry, tool: str, quantities: Mapping[str, int], **expected: Any
) -> None:
    """A call that went well is booked under its caller's name, at the price of what it used.

    ``expected`` are further fields of the entry. The cost must be the sum of the price
    book's lines, and what genai-prices says of the same text tokens.
    """
    require_attributed(entry, tool)
    assert quantities_of(entry) == dict(quantities)
    usual = {"outcome": Outcome.OK, "status": 200, "basis": "measured", "streamed": False}
    usual |= expected
    assert {name: getattr(entry, name) for name in usual} == usual
    assert entry.ttft_ms is not None
    assert 0 <= entry.ttft_ms <= entry.duration_ms
    if usual["basis"] == "measured":
        require_cost_of_lines(entry)
        if is_text(entry):
            assert entry.cost_nanos == oracle_nanos(entry)


def require_attributed(entry: LedgerEntry, tool: str, key_name: str = "laptop") -> None:
    """The entry says who called, for which team, with what."""
    assert (entry.team, entry.user_name, entry.key_name) == (TEAM, EMAIL, key_name)
    assert (entry.tool, entry.tool_version) == (tool, TOOLS[tool]), entry[:20]


def require_cost_of_lines(entry: LedgerEntry) -> None:
    """The cost is the sum of the lines that explain it, each a count times a price."""
    usage = u.Usage(quantities_of(entry), tier=entry.tier)
    model, at_us = entry.model_served, entry.started_at_us
    lines = shipped_price_book().explain(entry.provider, model, usage, at_us)
    assert {line.quantity for line in lines} == quantities_of(entry).keys()
    total = sum(Decimal(line.count) * Decimal(line.price) / line.per for line in lines)
    nanos = (Decimal(total) * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert entry.cost_nanos == int(nanos)


def require_refused(entry: LedgerEntry, tool: str, code: str, key_name: str = "laptop") -> None:
    """A call that was refused is in the ledger under its caller's name, and costs nothing."""
    require_attributed(entry, tool, key_name)
    assert (entry.outcome, entry.error_code) == (Outcome.REFUSED, code)
    assert (entry.basis, entry.cost_nanos, quantities_of(entry)) == ("free", 0, {})


def require_failed(entry: LedgerEntry, tool: str, status: int) -> None:
    """A call that its provider answered with an error costs nothing."""
    require_attributed(entry, tool)
    assert (entry.outcome, entry.status) == (Outcome.UPSTREAM_ERROR, status)
    assert (entry.basis, entry.cost_nanos, quantities_of(entry)) == ("free", 0, {})
    assert entry.error_code
