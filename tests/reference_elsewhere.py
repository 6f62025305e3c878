"""What a recorded reply of any provider costs, from a source that is not us.

In this order: what the provider itself stated that the call cost; genai-prices' reading and
price of the usage object, put right by named rules (``reference_costs``); genai-prices' price
of the recounted totals, or a published price where its own is known to be stale. Where none of
them can say, there is no reference, and the record counts neither for nor against anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from genai_prices import Usage as Counted
from genai_prices import calc_price

from recorded_replies import CORPORA, STITCHED
from reference_costs import expected
from tollkeeper.domain import usage as u
from whole_corpus import Booked, Recorded
from whole_recounts import totals_of

STATED = "stated by the provider"
EQUAL = "genai-prices"
COUNTED = "genai-prices on recounted totals"
_TEXT = frozenset({u.INPUT, u.CACHE_READ, u.CACHE_WRITE, u.CACHE_WRITE_1H, u.OUTPUT, u.REASONING})


class Reference(NamedTuple):
    """A cost that is not ours. ``nanos`` is None where nobody can say; ``how`` says why then."""

    nanos: Decimal | None
    how: str
    rules: tuple[str, ...] = ()


def reference_of(
    record: Recorded, made: Booked, stated: Mapping[str, Mapping[str, Any]]
) -> Reference:
    """Find the reference of a record that was read."""
    if record.name in STITCHED:
        return Reference(None, "several replies in one fixture")
    row = stated.get(str(record.row["sha"]))
    usage = made.reading.usage
    if usage is None:
        return Reference(None, "bills of a job, several in one reply")
    if row is not None:
        if record.row["synthetic_suspect"] or not record.row["recorded_at"]:
            return Reference(None, "a made-up cost in a fixture")
        nanos = Decimal(row["reported_cost_usd"]) * 10**9
        return Reference(nanos.quantize(Decimal(1), ROUND_HALF_EVEN), STATED)
    if usage.fault:
        return Reference(None, "a usage that contradicts itself")
    if not record.provider:
        return Reference(None, "no published price: a reseller, or a machine of one's own")
    if record.kind == "openrouter":
        return _openrouter(record)
    if any(reason.startswith(_UNKNOWABLE) for reason in made.reasons) or any(
        part.cost_nanos is None for part in made.parts[1:]
    ):
        return Reference(None, "a part that nobody prices, or a tier or place that is not told")
    if _is_disputed(record, made):
        return Reference(None, "disputed: the sources do not agree")
    if record.corpus in CORPORA and not _cached_beside(record):
        nanos, rules = expected(record, made)
        if nanos is not None:
            return Reference(Decimal(nanos), EQUAL, tuple(rules))
    return _on_totals(record, made)


_UNKNOWABLE = ("unknown_dimension", "unknown_tier", "unknown_geo")
DISPUTED = {
    # Nobody's price can be called the right one, so these count for nobody.
    ("mistral", "mistral-large-latest"): "the sources disagree on which model the name means",
    ("azure", "deepseek-v4-pro"): "genai-prices takes DeepSeek's own price, LiteLLM Azure's",
    ("azure", "grok-4-1-fast-non-reasoning"): "Azure's page names no price of its cached tokens",
    ("azure", "text-embedding-3-large"): "$0.13 or $0.143 for a million",
    ("vertex", "gemini-2.0-flash"): "genai-prices takes AI Studio's price, LiteLLM Vertex AI's",
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"): "$0.88 or $1.04 for a million",
    ("deepseek", "deepseek-chat"): "retired: the price of its last year differs by source",
    ("deepseek", "deepseek-reasoner"): "retired: the price of its last year differs by source",
}
REWRITTEN = {
    # Until then the source had another price, which its present release has forgotten.
    ("google", "gemini-3.6-flash"): datetime(2026, 8, 16, tzinfo=UTC),
}
_V32 = datetime(2025, 9, 1, tzinfo=UTC)
_LONG_PROMPT_TOKENS = 200_000


def _is_disputed(record: Recorded, made: Booked) -> bool:
    usage = made.reading.usage
    assert usage is not None
    if record.kind == "deepseek" and record.at < _V32:
        return False
    if record.kind == "perplexity":
        return True  # the fee of a request depends on what was asked, and no cost was stated
    if record.kind == "anthropic" and u.WEB_SEARCHES in usage.quantities:
        # Searches read the prompt anew: no single one of the prompts may have been long.
        return usage.prompt_tokens() > _LONG_PROMPT_TOKENS
    until = REWRITTEN.get((record.kind, made.model))
    return (record.kind, made.model) in DISPUTED or (until is not None and record.at < until)


def _openrouter(record: Recorded) -> Reference:
    """What OpenRouter states, also where its row is not in the table of stated costs.

    It states 0 where the caller's own key paid. Its list prices move from day to day.
    """
    cost = record.stated().get("cost")
    if record.row["synthetic_suspect"] and cost:
        return Reference(None, "a made-up cost in a fixture")
    if cost is None:
        return Reference(None, "disputed: a reseller's list price moves, and it stated no cost")
    nanos = Decimal(str(cost)) * 10**9
    return Reference(nanos.quantize(Decimal(1), ROUND_HALF_EVEN), STATED)


def _cached_beside(record: Recorded) -> bool:
    """Tell whether the cached tokens stand beside the prompt's, as the total proves (Grok)."""
    stated = record.stated()
    cached = (stated.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return cached > (stated.get("prompt_tokens") or 0) > 0


def _on_totals(record: Recorded, made: Booked) -> Reference:
    usage = made.reading.usage
    assert usage is not None
    totals = totals_of(record)
    if record.kind == "mistral" and u.CACHE_READ in usage.quantities:
        return Reference(None, "disputed: the sources do not agree")  # one has no cached rate
    if totals is None or usage.components or not usage.quantities.keys() <= _TEXT:
        return Reference(None, "more than text was billed")
    if usage.tier not in _STANDARD or usage.batch or usage.speed or usage.geo:
        return Reference(None, "a tier or place of its own")
    counted: dict[str, Any] = {
        "input_tokens": totals["in"],
        "cache_read_tokens": totals["cached"] or None,
        "cache_write_tokens": totals["written"] or None,
        "cache_write_1h_tokens": totals["hour"] or None,
        "output_tokens": totals["out"],
    }
    try:
        price = calc_price(
            Counted(**counted),
            made.model,
            provider_id=record.provider,
            genai_request_timestamp=record.at,
        ).total_price
    except (LookupError, ValueError):
        return Reference(None, "a model that genai-prices does not know")
    if not price:
        return Reference(None, "genai-prices has the name, and no price")
    nanos = (Decimal(price) * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN)
    return Reference(nanos, COUNTED)


_STANDARD = frozenset({"", "default", "standard", "on_demand", "STANDARD", "ON_DEMAND"})
