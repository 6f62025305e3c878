"""Compiles the genai-prices data into the price book file that the package ships.

Run `.venv/bin/python tools/compile_prices.py` after raising the pinned version; the same
version always gives the same bytes. One line per provider, followed by one per model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

FOLDER = Path(__file__).resolve().parent.parent / "src" / "tollkeeper" / "prices"
SIGNIFICANT_DIGITS = 12

# The source's price keys and our quantities. Both are for the same number of pieces, except
# that hours stay hours (our quantity is milliseconds, its price is per 3,600,000).
QUANTITIES = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "input_video_mtok": "input_video",
    "cache_audio_read_mtok": "cache_read_audio",
    "cache_image_read_mtok": "cache_read_image",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "output_image_mtok": "output_image",
    "output_video_mtok": "output_video",
    "input_mchars": "input_characters",
    "audio_hours": "audio_ms",
    "input_audio_hours": "audio_ms",
    "input_document_kpages": "pages",
    "web_searches_kcount": "web_searches",
    "storage_searches_kcount": "file_searches",
    "requests_kcount": "requests",
}
# Quantities that no reader reports yet. A model that charges for them is not fully covered.
NOT_READ = {
    "output_citation_mtok",
    "input_annotated_document_kpages",
    "input_text_messages_kcount",
}
CONDITIONS = {"processing": "tier", "service_tier": "tier", "speed": "speed"}

# Days on which the source looked at the tier and batch tables of these providers ("verified
# on … history before then is not modelled"). The offers are older, so a variant that starts
# on such a day is taken back to the beginning, in proportion where the ordinary price moved.
LOOKED = {date(2026, 10, 12), date(2026, 10, 14), date(2026, 10, 15)}
LOOKED_AT = {"anthropic", "google", "groq", "mistral", "openai", "x-ai"}

# Models without a price that the source itself calls free or part of a subscription.
FREE = {
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
NO_CHARGE = {"input": "0", "output": "0"}

Steps = list[tuple[int, Decimal]]
Prices = dict[str, Steps]


def main() -> int:
    target = FOLDER / f"genai-prices-{version('genai-prices')}.jsonl"
    target.write_text(compiled(), "utf-8")
    print(f"wrote {target.name}: {target.stat().st_size:,} bytes")
    for other in FOLDER.glob("genai-prices-*.jsonl"):
        if other != target:
            print(f"remove {other.name}, which this one replaces")
    return 0


def compiled() -> str:
    """Give the text of the book file."""
    lines: list[str] = []
    for provider in sorted(providers, key=lambda provider: provider.id):
        lines.append(_line(_provider_row(provider)))
        models = [model for model in provider.models if _is_priced(provider.id, model)]
        models.sort(key=lambda model: model.id)
        lines += [_line(_model_row(provider.id, model)) for model in models]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _provider_row(provider: types.Provider) -> dict[str, Any]:
    row: dict[str, Any] = {"provider": provider.id, "name": provider.name}
    if provider.fallback_model_providers:
        row["borrows"] = list(provider.fallback_model_providers)
    return row


def _is_priced(provider: str, model: types.ModelInfo) -> bool:
    """Tell whether a model has a price. One that lists none is only free if that is said."""
    rows = [prices for _, _, prices in _history(model)]
    return all(rows) or model.id.endswith(":free") or f"{provider}/{model.id}" in FREE


def _model_row(provider: str, model: types.ModelInfo) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model.id}
    aliases = sorted({name.lower() for name in _names(model.match)} - {model.id.lower()})
    if aliases:
        row["aliases"] = aliases
    history = _history(model)
    row["prices"] = [_price_row(since, daily, prices) for since, daily, prices in history]
    for price_row in row["prices"]:
        price_row["usd"] = price_row["usd"] or NO_CHARGE
    variants = list(_variants(provider, model, history))
    if variants:
        row["variants"] = variants
    return row


def _names(clause: object) -> Iterator[str]:
    """Give every name a clause stands for: a beginning or a part counts as that name only.

    Patterns are left out: they allow a date behind a name that is listed anyway, which the
    book's own date rule does.
    """
    match clause:
        case types.ClauseEquals(equals=name):
            yield name
        case types.ClauseStartsWith(starts_with=name):
            yield name.rstrip("@")
        case types.ClauseEndsWith(ends_with=name):
            yield name
        case types.ClauseContains(contains=name):
            yield name.rstrip("@")
        case types.ClauseOr(or_=clauses) | types.ClauseAnd(and_=clauses):
            for inner in clauses:
                yield from _names(inner)


def _history(model: types.ModelInfo) -> list[tuple[date | None, list[str], Prices]]:
    if isinstance(model.prices, types.ModelPrice):
        return [(None, [], _prices(model.prices))]
    history: list[tuple[date | None, list[str], Prices]] = []
    for row in model.prices:
        limit, daily = row.constraint, []
        if isinstance(limit, types.TimeOfDateConstraint):
            daily = [f"{limit.start_time:%H:%M}", f"{limit.end_time:%H:%M}"]
        history.append((_since(limit), daily, _prices(row.prices)))
    return history


def _since(limit: object) -> date | None:
    return limit.start_date if isinstance(limit, types.StartDateConstraint) else None


def _prices(price: types.ModelPrice) -> Prices:
    found: Prices = {}
    for key, value in vars(price).items():
        if value is None or key in NOT_READ:
            continue
        name = QUANTITIES[key]
        if isinstance(value, types.TieredPrices):
            steps = [(-1, value.base), *((tier.start, tier.price) for tier in value.tiers)]
        else:
            steps = [(-1, value)]
        if found.setdefault(name, steps) != steps:
            raise SystemExit(f"two prices for {name}: {vars(price)}")
    return found


def _price_row(since: date | None, daily: list[str], prices: Prices) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if since:
        row["since"] = since.isoformat()
    if daily:
        row["daily"] = daily
    row["usd"] = {name: _text(steps[0][1]) for name, steps in prices.items()}
    noise = {
        name: str(steps[0][1])
        for name, steps in prices.items()
        if Decimal(_text(steps[0][1])) != steps[0][1]
    }
    if noise:
        row["source_usd"] = noise
    above: dict[int, dict[str, str]] = {}
    for name, steps in prices.items():
        for start, price in steps[1:]:
            above.setdefault(start, {})[name] = _text(price)
    if above:
        row["above"] = sorted(above.items())
    return row


def _text(price: Decimal) -> str:
    """Write a price plainly, rid of the noise that binary floating point left in it."""
    rounded = Decimal(f"{price:.{SIGNIFICANT_DIGITS}g}").normalize()
    return f"{rounded:f}"


def _variants(
    provider: str, model: types.ModelInfo, history: list[tuple[date | None, list[str], Prices]]
) -> Iterator[dict[str, Any]]:
    for variant in model.price_variants or ():
        prices = _prices(variant.prices)
        when = _when(variant.when)
        if not when or not (prices or variant.when.get("processing")):
            continue  # a condition we do not know, or the name of the ordinary price
        since = _since(variant.constraint)
        if since in LOOKED and provider in LOOKED_AT:
            yield from _from_the_beginning(when, prices, since, history)
        else:
            yield _variant_row(when, since, prices)


def _when(conditions: dict[str, str]) -> dict[str, str]:
    if not conditions.keys() <= CONDITIONS.keys():
        return {}
    return {CONDITIONS[key]: word for key, word in conditions.items()}


def _variant_row(when: dict[str, str], since: date | None, prices: Prices) -> dict[str, Any]:
    return {"when": when, **_price_row(since, [], prices)}


def _from_the_beginning(
    when: dict[str, str],
    prices: Prices,
    looked: date,
    history: list[tuple[date | None, list[str], Prices]],
) -> Iterator[dict[str, Any]]:
    """Give the variant for each stretch of the price history up to the day it was looked at.

    The latest stretch comes first, for the first variant that is active decides.
    """
    stretches = [(since, row) for since, daily, row in history if not daily]
    stretches = [(since, row) for since, row in stretches if since is None or since <= looked]
    then = stretches[-1][1]
    yield _variant_row(when, stretches[-1][0], prices)
    for since, ordinary in reversed(stretches[:-1]):
        yield _variant_row(when, since, _in_proportion(prices, then, ordinary))


def _in_proportion(prices: Prices, then: Prices, ordinary: Prices) -> Prices:
    scaled = {}
    for name, steps in prices.items():
        if then.get(name) == ordinary.get(name):
            scaled[name] = steps
            continue
        if name not in ordinary:
            continue  # had no price of its own then: what it falls back to is scaled
        price, base = steps[0][1], then[name][0][1]
        scaled[name] = [(start, usual * price / base) for start, usual in ordinary[name]]
        exact = [(start, usual * price) for start, usual in ordinary[name]]
        if [(start, new * base) for start, new in scaled[name]] != exact:
            raise SystemExit(f"no exact proportion for {name}: {price} of {base}")
    return scaled


if __name__ == "__main__":
    sys.exit(main())
