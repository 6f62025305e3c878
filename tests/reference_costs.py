"""What a recorded reply costs by genai-prices, put right by the rules that it is known to break.

genai-prices reads the recorded usage object by itself and prices it with decimals; it knows
nothing of our readers and of our price book. Each rule names one of its known faults or gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple, Protocol

from genai_prices import calc_price, extract_usage

from recorded_replies import Record, is_refused
from tollkeeper.wire.readings import Reading


class Made(Protocol):
    """What we made of a record: enough to look its price up elsewhere."""

    @property
    def reading(self) -> Reading: ...
    @property
    def model(self) -> str: ...


class Other(NamedTuple):
    """Another model of the same reply."""

    reading: Reading
    model: str


NO_ORACLE = {
    "Unable to find model": "no oracle: a model name it does not know",
    "openai_transcription": "no oracle: it reads no transcripts",
    "Missing value at": "no oracle: it wants a completion count of zero spelled out",
    "No usage information": "no oracle: it does not read embeddings of Vertex AI",
    "'int' object": "no oracle: kinds written as numbers",
}


def expected(record: Record, made: Made) -> tuple[int | None, list[str]]:
    """Give what the oracle says, put right by the rules that apply, and those rules' names."""
    usage = made.reading.usage
    assert usage is not None
    try:
        oracle = _oracle(record, made)
    except (LookupError, ValueError, AttributeError) as error:
        return None, [why for words, why in NO_ORACLE.items() if words in str(error)]
    rules: list[str] = []
    nanos = Decimal(oracle) * 10**9
    for name, rule in RULES.items():
        changed = rule(nanos, record, made)
        if changed is not None:
            rules.append(name)
            nanos = changed
    return int(nanos.quantize(Decimal(1), ROUND_HALF_EVEN)), rules


FLAVOURS = {
    "openai_chat": "chat",
    "openai_completions": "chat",
    "openai_embeddings": "embeddings",
    "openai_responses": "responses",
    "openai_images": "images",
    "anthropic_messages": "default",
    "gemini": "default",
}


def _oracle(record: Record, made: Made, stated: dict[str, Any] | None = None) -> Decimal:
    """Price the recorded usage object by genai-prices, at the recorded time."""
    flavour = FLAVOURS.get(record.reader)
    if flavour is None:
        raise LookupError(record.reader)
    place = "usageMetadata" if record.reader == "gemini" else "usage"
    reply = {"model": made.model, "modelVersion": made.model, place: stated or record.stated()}
    usage = made.reading.usage
    context = {}
    if record.provider in {"openai", "azure"} and usage is not None and usage.tier:
        context["service_tier"] = usage.tier
    counted = extract_usage(reply, provider_id=record.provider, api_flavor=flavour).usage
    return calc_price(
        counted,
        made.model,
        provider_id=record.provider,
        genai_request_timestamp=record.at,
        price_context=context,
    ).total_price


Rule = Callable[[Decimal, Record, Made], Decimal | None]


def _output_items(record: Record, kind: str) -> list[dict[str, Any]]:
    if record.reader != "openai_responses":
        return []
    return [item for item in record.final().get("output", ()) if item["type"] == kind]


def _searches(record: Record) -> int:
    made = _output_items(record, "web_search_call")
    return sum(item.get("action", {}).get("type") == "search" for item in made)


def _is_preview(record: Record) -> bool:
    tools = record.final().get("tools", ()) if record.reader == "openai_responses" else ()
    return any(tool["type"].startswith("web_search_preview") for tool in tools)


def _tool_fees(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """The oracle counts no tools: $10 for 1,000 searches, $2.50 for 1,000 file searches."""
    searches = 0 if _is_preview(record) else _searches(record)
    files = len(_output_items(record, "file_search_call"))
    fee = searches * 10_000_000 + files * 2_500_000
    return nanos + fee if fee else None


def _preview_fee(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """The older tool costs $25 for 1,000 searches with models that do not reason."""
    fee = _searches(record) * 25_000_000 if _is_preview(record) else 0
    return nanos + fee if fee else None


def _container_fee(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Code interpreters and hosted shells run in containers: $0.03 for each, $0.033 on Azure."""
    containers = {call["container_id"] for call in _output_items(record, "code_interpreter_call")}
    shells = [call.get("environment") or {} for call in _output_items(record, "shell_call")]
    containers |= {shell["container_id"] for shell in shells if "container_id" in shell}
    fee = 33_000_000 if record.corpus == "azure" else 30_000_000
    return nanos + len(containers) * fee if containers else None


def _search_model_fee(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    is_search_model = made.model.startswith(("gpt-4o-search", "gpt-4o-mini-search"))
    return nanos + 25_000_000 if is_search_model else None


def _audio_rates(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Audio models are listed at text rates: $40/$80, the small one $10/$20, for a million."""
    if "audio-preview" not in made.model:
        return None
    stated = record.stated()
    heard = stated["prompt_tokens_details"]["audio_tokens"]
    spoken = stated["completion_tokens_details"]["audio_tokens"]
    if "mini" in made.model:
        return nanos + heard * (10_000 - 150) + spoken * (20_000 - 600)
    return nanos + heard * (40_000 - 2_500) + spoken * (80_000 - 10_000)


def _earlier_tier(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Priority prices are in the source from the day it looked; these calls are older."""
    usage = made.reading.usage
    if usage is None or usage.tier != "priority" or record.provider != "openai":
        return None
    factor = {"gpt-5-2025-08-07": 2, "gpt-5.4-2026-03-05": 2, "gpt-4.1-nano-2025-04-14": 2}
    return nanos * factor[made.model]


def _lost_history(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Its releases up to August had twice the price; its newest says the half of all time.

    OpenRouter, which passes the price on, stated the double one on 2026-08-12 as well.
    """
    halved = datetime(2026, 8, 15, 0, 10, 30, tzinfo=UTC)
    is_older = made.model == "gemini-3.6-flash" and record.at < halved
    return nanos * 2 if is_older else None


def _iterations(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Steps beside the message steps are billed on top, each at its own model."""
    steps = record.stated().get("iterations") or []
    extra = [step for step in steps if step["type"] in {"compaction", "advisor_message"}]
    if not extra:
        return None
    for step in extra:
        own = Other(made.reading, step.get("model") or made.model)
        nanos += _oracle(record, own, step) * 10**9
    return nanos


def _refused(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    return Decimal(0) if record.corpus == "anthropic" and is_refused(record) else None


def _grounding(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Google searches: $35 for 1,000 prompts of Gemini 2, $14 for 1,000 queries of Gemini 3."""
    if record.reader != "gemini":
        return None
    queries = {
        query
        for item in record.objects()
        for candidate in item.get("candidates", ())
        for query in candidate.get("groundingMetadata", {}).get("webSearchQueries", ())
        if query
    }
    if not queries:
        return None
    is_second = made.model.startswith("gemini-2")
    return nanos + (35_000_000 if is_second else 14_000_000 * len(queries))


def _flex(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    flex = record.stated().get("trafficType") == "ON_DEMAND_FLEX"
    return nanos / 2 if flex else None


def _hidden_thoughts(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Gemini's OpenAI-compatible total holds thoughts that no other field names."""
    if record.name != "gemini-chat-5435a54ac6ab4d0f":
        return None
    stated = record.stated()
    hidden = stated["total_tokens"] - stated["prompt_tokens"] - stated["completion_tokens"]
    return nanos + hidden * 10_000


def _embedding_details(nanos: Decimal, record: Record, made: Made) -> Decimal | None:
    """Embeddings spell the list of kinds differently; a picture costs 0.45 and not 0.20."""
    details = record.stated().get("promptTokenDetails", ())
    pictures = sum(detail["tokenCount"] for detail in details if detail["modality"] == "IMAGE")
    return nanos + pictures * 250 if pictures else None


RULES: dict[str, Rule] = {
    "tool fees": _tool_fees,
    "web_search_preview fee": _preview_fee,
    "container fee": _container_fee,
    "search model fee": _search_model_fee,
    "audio rates": _audio_rates,
    "tier before the source looked": _earlier_tier,
    "history that the source has lost": _lost_history,
    "iterations": _iterations,
    "refused": _refused,
    "grounding": _grounding,
    "flex": _flex,
    "hidden thoughts": _hidden_thoughts,
    "details of embeddings": _embedding_details,
}
