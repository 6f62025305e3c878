"""All recorded replies are priced as genai-prices does, or differently by a named rule.

What has no price is listed with its reason, what the oracle cannot price too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from recorded_replies import STITCHED, Billed, Both
from reference_costs import expected
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book

NOT_PRICED = {
    # reason → how many recorded replies have it, and why that is right
    "inconsistent_usage:parts_exceed_whole": 26,  # Grok on Azure: more cached than prompted
    "inconsistent_usage:missing_count": 2,  # Gemini left the prompt count out
    "unknown_model": 33,  # UNKNOWN_MODELS says which and why
    "unknown_geo:<GOOGLE_CLOUD_LOCATION>": 2,  # the recorder has blotted the place out
    "unknown_tier:provisioned_throughput": 2,  # paid by the hour, not by the token
    "unknown_tier:auto": 1,  # the reply does not say what was served
    "unknown_dimension:images": 3,  # pictures of a tool that did not report its tokens
}
UNKNOWN_MODELS = {
    "AZURE_DEPLOYMENT-2025-04-14": "a redacted name",
    "embed-english-v3.0": "Cohere's embeddings on Azure are not in the source",
    "moonshotai/kimi-k2": "a test that answers as another vendor's model",
    "muse-spark-1.1": "a test that answers as another vendor's model",
    "image_generation": "a picture tool whose model is not named",
    "": "a fixture without any model",
}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return shipped_price_book()


def test_every_reason_for_having_no_price_is_known(billed: Both, book: PriceBook) -> None:
    reasons = Counter(
        reason for _, made in billed if made.nanos is None for reason in set(made.reasons)
    )
    assert reasons == NOT_PRICED
    unknown = {
        part.model or made.model
        for record, made in billed
        for part in _parts(made)
        if book.price(record.provider, part.model or made.model, part, 0).reason == "unknown_model"
    }
    assert unknown == UNKNOWN_MODELS.keys()


def test_every_model_name_of_the_five_providers_resolves(billed: Both, book: PriceBook) -> None:
    rules = Counter()
    for record, made in billed:
        priced = book.price(record.provider, made.model, Usage(), record.at_us)
        if priced.nanos is not None:
            rules[priced.key.partition("rule=")[2].split()[0]] += 1
    assert rules["none"] == 0
    assert rules["exact"] + rules["alias"] + rules["dated"] == rules.total() > 3_000


def test_prices_equal_the_oracles_or_differ_by_a_named_rule(billed: Both) -> None:
    seen: Counter[str] = Counter()
    for record, made in billed:
        if made.nanos is None or record.name in STITCHED:
            continue
        nanos, rules = expected(record, made)
        seen.update(rules or ["equal"])
        if nanos is not None:
            assert made.nanos == nanos, (record.name, made.model, rules)
    assert seen.pop("equal") > 3_300
    assert seen == {
        "no oracle: a model name it does not know": 26,
        "no oracle: it reads no transcripts": 6,
        "no oracle: it wants a completion count of zero spelled out": 3,
        "no oracle: it does not read embeddings of Vertex AI": 10,
        "no oracle: kinds written as numbers": 9,
        "tool fees": 30,
        "web_search_preview fee": 6,
        "search model fee": 3,
        "container fee": 9,
        "audio rates": 3,
        "tier before the source looked": 5,
        "history that the source has lost": 6,
        "iterations": 6,
        "refused": 4,
        "grounding": 15,
        "flex": 2,
        "hidden thoughts": 1,
        "details of embeddings": 1,
    }


def _parts(made: Billed) -> Iterator[Usage]:
    if made.reading.usage is not None:
        yield made.reading.usage
        yield from made.reading.usage.components
