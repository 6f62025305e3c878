"""Every price of the book equals what genai-prices computes itself, wherever it is right.

For each of its models random usages are priced twice, at random times since the newest history:
by our integer weights and by its Decimal arithmetic. Left out is only what our overlay corrects.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from typing import Any

from genai_prices import Usage as TheirUsage
from genai_prices.data import providers
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.price_data import ModelRow, ProviderRow
from tollkeeper.domain.rate_card import RateCard
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import rows_of
from tollkeeper.providers.price_text import book_rows
from tollkeeper.providers.price_versions import PRICES, shipped_parts

FIRST_DAY, LAST_DAY = datetime(2026, 11, 11, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
COUNTED = {
    # ours → theirs; all of theirs contain their parts
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "output_reasoning_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
    "input_image": "input_image_tokens",
    "output_image": "output_image_tokens",
    "web_searches": "web_searches",
}
IN = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image")
OUT = ("output", "reasoning", "output_audio", "output_image")


def book() -> Iterator[tuple[ProviderRow, ModelRow]]:
    for row in book_rows((PRICES / "book.jsonl").read_bytes()):
        for model in row["models"]:
            if "gone" not in model:
                yield row, model


MODELS = list(book())
THEIRS = {(it.id, model.id): model for it in providers for model in it.models}


CASES = [
    (provider, model, tier)
    for provider, model in MODELS
    for tier in ("", *{it["when"].get("tier", "") for it in model.get("variants", ())} - {""})
]


def priced_quantities(model: ModelRow) -> list[str]:
    """Give what both price under any condition: what has a price of its own."""
    names = set.intersection(*(set(row["usd"]) for row in model["prices"]))
    return sorted(names & {*COUNTED, "input", "output", "cache_write_1h"})


def their_nanos(
    provider: str, model: str, used: dict[str, int], at: datetime, tier: str
) -> Decimal:
    """Price a usage by the Decimal arithmetic of genai-prices, rounded once."""
    counted: dict[str, Any] = {COUNTED[it]: count for it, count in used.items() if it in COUNTED}
    counted |= {"cache_image_read_tokens": 0, "cache_audio_read_tokens": 0}
    counted["input_tokens"] = sum(used.get(it, 0) for it in IN)
    counted["output_tokens"] = sum(used.get(it, 0) for it in OUT)
    written = used.get("cache_write", 0) + used.get("cache_write_1h", 0)
    if written:
        counted["cache_write_tokens"] = written
    if "cache_write_1h" in used:
        counted["cache_write_1h_tokens"] = used["cache_write_1h"]
    found = THEIRS[provider, model]
    # The row is asked, and not the name: which of their patterns matches is not the question.
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
    price = found.get_prices(at, context if tier else None)
    total = Decimal(price.calc_price(TheirUsage(**counted))["total_price"])
    return (total * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN)


def our_nanos(
    provider: ProviderRow, model: ModelRow, used: dict[str, int], at: datetime, tier: str
) -> int:
    card = RateCard(f"{provider['provider']}/{model['model']}", model)
    priced = card.price(Usage(used, tier=tier), int(at.timestamp()) * 10**6)
    assert priced.nanos is not None, priced
    return priced.nanos


def is_noisy(model: ModelRow) -> bool:
    """Tell whether binary floating point left its noise in a price of the source."""
    rows = (*model["prices"], *model.get("variants", ()))
    return any("source_usd" in row for row in rows)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_all_prices_equal_those_of_the_source(seed: int) -> None:
    chance = random.Random(seed)
    for provider, model, tier in chance.sample(CASES, 80):
        place = (provider["provider"], model["model"])
        names = priced_quantities(model)
        used = (
            {
                name: chance.choice((1, chance.randint(1, 5_000), chance.randint(1, 2_000_000)))
                for name in chance.sample(names, chance.randint(1, len(names)))
            }
            if names
            else {}
        )
        at = FIRST_DAY + (LAST_DAY - FIRST_DAY) * chance.random()
        ours = our_nanos(provider, model, used, at, tier)
        expected = their_nanos(*place, used, at, tier)
        if is_noisy(model):  # 0.041666666666666664 is no price: rounded, it may tip a half
            assert abs(ours - expected) <= 1, (place, used, at, tier)
        else:
            assert ours == expected, (place, used, at, tier)


def test_every_model_of_the_source_is_compared() -> None:
    assert len(MODELS) > 2_300
    assert sum(is_noisy(model) for _, model in MODELS) < 40
    assert {(provider["provider"], model["model"]) for provider, model in MODELS} <= THEIRS.keys()
    left_out = THEIRS.keys() - {(row["provider"], model["model"]) for row, model in MODELS}
    # They list no price at all, and nobody says that they cost nothing.
    assert not any(any(vars(THEIRS[place].prices).values()) for place in left_out), left_out


def test_only_what_a_correction_names_is_priced_otherwise() -> None:
    corrected = [
        (row["provider"], pattern)
        for row in map(json.loads, (PRICES / "overlay.jsonl").read_text("utf-8").splitlines())
        for pattern in row.get("models", ())
    ]
    final = {
        (row["provider"], model["model"]): model
        for row in rows_of(shipped_parts())
        for model in row["models"]
        if "said_by" not in model
    }
    for provider, model in MODELS:
        place = (provider["provider"], model["model"])
        named = any(place[0] == it and fnmatchcase(place[1], glob) for it, glob in corrected)
        if named:
            continue
        ours = final[place]["prices"]
        assert len(ours) == len(model["prices"])
        for our_row, their_row in zip(ours, model["prices"], strict=True):
            assert their_row["usd"].items() <= our_row["usd"].items(), place
            assert {**our_row, "usd": 0} == {**their_row, "usd": 0}, place
        kept = final[place].get("variants", [])[: len(model.get("variants", []))]
        assert kept == model.get("variants", []), place
