"""Turns a release of genai-prices into rows of our book: one provider after the other.

What the release says stays as it is, quantity by quantity, rid only of the noise that binary
floating point left in its numbers. What it says in a way that we do not know is left out and
named, so that nothing is priced by half.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any, Final, cast

from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import (
    REQUESTS,
    ModelRow,
    PriceRow,
    ProviderRow,
    VariantRow,
)
from tollkeeper.providers.genai_source import UnusableSource

SIGNIFICANT_DIGITS: Final = 12

# The source's price keys and our quantities. Both are for the same number of pieces, except
# that hours stay hours (our quantity is milliseconds, its price is per 3,600,000).
QUANTITIES: Final[Mapping[str, str]] = {
    "input_mtok": u.INPUT,
    "cache_read_mtok": u.CACHE_READ,
    "cache_write_mtok": u.CACHE_WRITE,
    "cache_write_1h_mtok": u.CACHE_WRITE_1H,
    "input_audio_mtok": u.INPUT_AUDIO,
    "input_image_mtok": u.INPUT_IMAGE,
    "input_video_mtok": u.INPUT_VIDEO,
    "cache_audio_read_mtok": u.CACHE_READ_AUDIO,
    "cache_image_read_mtok": u.CACHE_READ_IMAGE,
    "output_mtok": u.OUTPUT,
    "output_reasoning_mtok": u.REASONING,
    "output_audio_mtok": u.OUTPUT_AUDIO,
    "output_image_mtok": u.OUTPUT_IMAGE,
    "output_video_mtok": u.OUTPUT_VIDEO,
    "output_citation_mtok": u.CITATION_TOKENS,
    "input_mchars": u.INPUT_CHARACTERS,
    "audio_hours": u.AUDIO_MS,
    "input_audio_hours": u.AUDIO_MS,
    "input_document_kpages": u.PAGES,
    "input_annotated_document_kpages": u.ANNOTATED_PAGES,
    "input_text_messages_kcount": u.MESSAGES,
    "web_searches_kcount": u.WEB_SEARCHES,
    "social_searches_kcount": u.SOCIAL_SEARCHES,
    "storage_searches_kcount": u.FILE_SEARCHES,
    "rerank_searches_kcount": u.RERANK_SEARCHES,
    "code_executions_kcount": u.CODE_EXECUTIONS,
    "requests_kcount": REQUESTS,
}
CONDITIONS: Final = {"processing": "tier", "service_tier": "tier", "speed": "speed"}

# Days on which the source looked at the tier and batch tables of these providers ("verified
# on … history before then is not modelled"). The offers are older, so a variant that starts
# on such a day holds before it as well, in proportion where the ordinary price moved.
LOOKED: Final = frozenset({"2026-10-12", "2026-10-14", "2026-10-15"})
LOOKED_AT: Final = frozenset({"anthropic", "google", "groq", "mistral", "openai", "x-ai"})

# Models without a price that the source itself calls free or part of a subscription.
FREE: Final = frozenset(
    {
        "github-copilot/gpt-3.5-turbo",
        "github-copilot/gpt-4.1",
        "github-copilot/gpt-4o",
        "github-copilot/gpt-4o-mini",
        "google/gemma-3",
        "google/gemma-3n",
        "google/gemma-4-26b-a4b-it",
        "google/gemma-4-31b-it",
        "openai/moderation",
    }
)
_NO_CHARGE: Final = {u.INPUT: "0", u.OUTPUT: "0"}
_DIVISION_DIGITS: Final = 40
_THOUSAND: Final = 1_000

Steps = list[tuple[int, Decimal]]
Amounts = dict[str, Steps]


def provider_rows(providers: Iterable[Mapping[str, Any]]) -> tuple[list[ProviderRow], list[str]]:
    """Give the rows of a release, sorted, and the price keys that could not be read.

    Raises UnusableSource for a release that contradicts itself.
    """
    unread: set[str] = set()
    rows = [_provider_row(provider, unread) for provider in providers]
    names = [row["provider"] for row in rows]
    if len(set(names)) != len(names):
        raise UnusableSource("a provider is listed twice")
    return sorted(rows, key=lambda row: row["provider"]), sorted(unread)


def _provider_row(provider: Mapping[str, Any], unread: set[str]) -> ProviderRow:
    row: ProviderRow = {"provider": provider["id"], "name": provider["name"], "models": []}
    if provider.get("fallback_model_providers"):
        row["borrows"] = list(provider["fallback_model_providers"])
    models = [_model_row(provider["id"], model, unread) for model in provider["models"]]
    row["models"] = sorted((it for it in models if it), key=lambda model: model["model"])
    return row


def _model_row(provider: str, model: Mapping[str, Any], unread: set[str]) -> ModelRow | None:
    """Give the row of a model; none where no price is listed and nobody says that it is free."""
    name = model["id"]
    history = _history(model, unread)
    free = name.endswith(":free") or f"{provider}/{name}" in FREE
    if not history or not (free or all(amounts for _, amounts in history)):
        return None
    row: ModelRow = {"model": name, "prices": []}
    aliases = sorted({it.lower() for it in _names(model.get("match") or {})} - {name.lower()})
    if aliases:
        row["aliases"] = aliases
    prices = [_price_row(when, amounts) for when, amounts in history]
    row["prices"] = [it if it["usd"] else {**it, "usd": _NO_CHARGE} for it in prices]
    variants = list(_variants(provider, model, history, unread))
    if variants:
        row["variants"] = variants
    return row


def _names(clause: Mapping[str, Any]) -> Iterator[str]:
    """Give every name a clause stands for: a beginning or a part counts as that name only.

    Patterns are left out: they allow a date behind a name that is listed anyway, which the
    book's own date rule does.
    """
    for kind, rest in clause.items():
        if kind in {"or", "and"}:
            for inner in rest:
                yield from _names(inner)
        elif kind in {"starts_with", "contains"}:
            yield rest.rstrip("@")
        elif kind in {"equals", "ends_with"}:
            yield rest


def _history(model: Mapping[str, Any], unread: set[str]) -> list[tuple[dict[str, Any], Amounts]]:
    """Give (``since`` or ``daily``, prices) for each row, in the source's order."""
    rows = model.get("prices") or {}
    if not isinstance(rows, list):
        rows = [{"prices": rows}]
    return [(_when(row.get("constraint")), _amounts(row["prices"], unread)) for row in rows]


def _when(constraint: Mapping[str, str] | None) -> dict[str, Any]:
    if not constraint:
        return {}
    if "start_date" in constraint:
        return {"since": constraint["start_date"]}
    return {"daily": (constraint["start_time"][:5], constraint["end_time"][:5])}


def _amounts(prices: Mapping[str, Any], unread: set[str]) -> Amounts:
    found: Amounts = {}
    for key, value in prices.items():
        name = QUANTITIES.get(key)
        if value is None or name is None:
            unread.update(() if value is None else (key,))
            continue
        steps: Steps = [(-1, value)]
        if isinstance(value, dict):
            steps = [(-1, value["base"])]
            steps += sorted((int(tier["start"]), tier["price"]) for tier in value["tiers"])
        if found.setdefault(name, steps) != steps:
            raise UnusableSource(f"two prices for {name}")
    return found


def _price_row(when: Mapping[str, Any], amounts: Amounts) -> PriceRow:
    row: dict[str, Any] = {**when, "usd": {it: plain(steps[0][1]) for it, steps in amounts.items()}}
    noise = {
        name: str(steps[0][1])
        for name, steps in amounts.items()
        if Decimal(row["usd"][name]) != steps[0][1]
    }
    if noise:
        row["source_usd"] = noise
    tiers: dict[str, dict[int, dict[str, str]]] = {}
    for name, steps in amounts.items():
        for start, price in steps[1:]:
            # The source knows "more than" only: "200,000 or more" is written as 199,999.
            whole = start % _THOUSAND != _THOUSAND - 1
            kind, tokens = ("above", start) if whole else ("at_least", start + 1)
            tiers.setdefault(kind, {}).setdefault(tokens, {})[name] = plain(price)
    for kind, found in tiers.items():
        row[kind] = sorted(found.items())
    return cast("PriceRow", row)


def plain(price: Decimal) -> str:
    """Write a price plainly, rid of the noise that binary floating point left in it."""
    rounded = Decimal(f"{price:.{SIGNIFICANT_DIGITS}g}").normalize()
    return f"{rounded:f}"


# ------------------------------------------------------------------------ variants


def _variants(
    provider: str,
    model: Mapping[str, Any],
    history: list[tuple[dict[str, Any], Amounts]],
    unread: set[str],
) -> Iterator[VariantRow]:
    for variant in model.get("price_variants") or ():
        amounts = _amounts(variant["prices"], unread)
        when = _conditions(variant["when"])
        if not when or not (amounts or variant["when"].get("processing")):
            continue  # a condition we do not know, or the name of the ordinary price
        starts = _when(variant.get("constraint"))
        if "daily" in starts:
            continue
        since = starts.get("since")
        if since in LOOKED and provider in LOOKED_AT:
            yield from _from_the_beginning(when, amounts, since, history)
        else:
            yield _variant_row(when, since, amounts)


def _conditions(words: Mapping[str, str]) -> dict[str, str]:
    if not words.keys() <= CONDITIONS.keys():
        return {}
    return {CONDITIONS[key]: word for key, word in words.items()}


def _variant_row(when: dict[str, str], since: str | None, amounts: Amounts) -> VariantRow:
    return cast(
        "VariantRow", {"when": when, **_price_row({"since": since} if since else {}, amounts)}
    )


def _from_the_beginning(
    when: dict[str, str],
    amounts: Amounts,
    looked: str,
    history: list[tuple[dict[str, Any], Amounts]],
) -> Iterator[VariantRow]:
    """Give a variant as it is since it was looked at, and before in proportion to the ordinary.

    The latest comes first, for the first variant that is active decides.
    """
    stretches = [(limit.get("since"), it) for limit, it in history if "daily" not in limit]
    stretches = [(since, it) for since, it in stretches if since is None or since <= looked]
    since, ordinary = stretches[-1] if stretches else (None, {})
    yield _variant_row(when, since or looked, amounts)
    before: dict[str, Any] = {"when": when}
    fixed: Amounts = {}
    factors: dict[str, str] = {}
    for name, steps in amounts.items():
        factor = _factor(steps, ordinary.get(name))
        if factor is None:
            fixed[name] = steps
        else:
            factors[name] = factor
    if fixed:
        before.update(_price_row({}, fixed))
    if factors:
        before["multiply"] = factors
    yield cast("VariantRow", before)


def _factor(steps: Steps, ordinary: Steps | None) -> str | None:
    """Give the one factor that leads from the ordinary price to another, if there is one."""
    if ordinary is None or not ordinary[0][1]:
        return None
    with localcontext(prec=_DIVISION_DIGITS):
        factor = steps[0][1] / ordinary[0][1]
        if len(factor.normalize().as_tuple().digits) > SIGNIFICANT_DIGITS:
            return None
        exact = [(start, price * factor) for start, price in ordinary]
    return f"{factor.normalize():f}" if exact == steps else None
