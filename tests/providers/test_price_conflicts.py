"""Where the sources contradict each other or cannot say how it is: each case by name.

The cases that need no time, place or term stand in ``test_price_data.py``.
"""

from __future__ import annotations

import pytest

from tollkeeper.domain.price_table import Said, Standing
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import (
    price_book_version,
    rows_of,
    shipped_price_book,
)
from tollkeeper.providers.price_versions import shipped_parts

MILLION = 1_000_000
USD = 10**9
NOW = "2026-11-12T12:00"
FIRST = "genai-prices-0.2.3+1cdc8a783c72"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return shipped_price_book()


def nanos(
    book: PriceBook, place: str, used: dict[str, int], at: str = NOW, **served: str
) -> int | None:
    provider, _, model = place.partition("/")
    usage = Usage(used, **served)  # type: ignore[arg-type]
    return book.price(provider, model, usage, instant_us(at)).nanos


def per_million(
    book: PriceBook, place: str, name: str, at: str = NOW, **served: str
) -> float | None:
    cost = nanos(book, place, {name: MILLION}, at, **served)
    return None if cost is None else cost / USD


# ------------------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2026-11-12T02:00Z", 1.32),  # a Thursday
        ("2026-11-12T03:59:59.999999Z", 1.32),
        ("2026-11-12T04:00Z", 0.66),
        ("2026-11-12T06:00Z", 1.32),
        ("2026-11-12T10:00Z", 0.66),
        ("2026-11-12T00:59:59Z", 0.66),
        ("2026-11-14T02:00Z", 0.66),  # a Saturday
        ("2026-11-15T07:00Z", 0.66),  # a Sunday
        ("2026-11-13T20:00Z", 0.66),  # Saturday in Beijing, still Friday here
        ("2026-10-01T02:00Z", 0.66),  # National Day, a Thursday
        ("2026-10-07T09:00Z", 0.66),
        ("2026-10-08T09:00Z", 1.32),  # work again
        ("2026-09-25T02:00Z", 0.66),  # Mid-Autumn, a Friday
        ("2026-10-10T02:00Z", 0.66),  # a working Saturday by law: Monday to Friday is the rule
        ("2027-01-04T02:00Z", 1.32),
    ],
)
def test_deepseek_peaks_on_workdays_of_china(book: PriceBook, at: str, price: float) -> None:
    assert per_million(book, "deepseek/deepseek-v4-pro", "input", at) == price
    flash = {1.32: 0.3, 0.66: 0.15}[price]
    assert per_million(book, "deepseek/deepseek-flash", "input", at) == flash


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2026-04-25T12:00Z", 1.74),  # what it cost when it came out
        ("2026-04-26T12:00Z", 0.435),
        ("2026-08-16T07:00Z", 0.435),  # no peaks before there were any
        ("2026-08-16T15:59:59.999999Z", 0.435),
        ("2026-08-16T16:00Z", 0.66),
        ("2026-08-17T02:00Z", 1.32),
        ("2026-08-22T02:00Z", 1.32),  # a Saturday, before weekends were spared
        ("2026-08-23T02:00Z", 0.66),
        ("2026-08-24T02:00Z", 1.32),
    ],
)
def test_deepseek_changed_its_prices_at_four_in_the_afternoon(
    book: PriceBook, at: str, price: float
) -> None:
    assert per_million(book, "deepseek/deepseek-v4-pro", "input", at) == price


def test_deepseek_searches_were_free_at_first(book: PriceBook) -> None:
    def searches(at: str) -> int | None:
        return nanos(book, "deepseek/deepseek-v4-pro", {"web_searches": 4}, at)

    assert searches("2026-10-31T15:59:59Z") == 0
    assert searches("2026-10-31T16:00:00Z") == 3_000_000


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2025-02-01T20:00Z", 0.27),
        ("2025-07-01T12:00Z", 0.27),
        ("2025-07-01T20:00Z", 0.135),
        ("2025-07-02T00:29Z", 0.135),
        ("2025-09-05T15:59Z", 0.27),
        ("2025-09-05T20:00Z", 0.56),
        ("2025-10-01T20:00Z", 0.28),
        ("2026-07-01", 0.14),
    ],
)
def test_deepseek_chat_meant_one_model_after_the_other(
    book: PriceBook, at: str, price: float
) -> None:
    assert per_million(book, "deepseek/deepseek-chat", "input", at) == price


@pytest.mark.parametrize("name", ["deepseek-chat", "deepseek-reasoner", "deepseek-v4-flash"])
def test_the_cache_of_v4_flash_was_dearer_in_its_first_days_by_every_name(
    book: PriceBook, name: str
) -> None:
    first = per_million(book, f"deepseek/{name}", "cache_read", "2026-04-25T12:00Z")
    later = per_million(book, f"deepseek/{name}", "cache_read", "2026-04-26T12:00Z")
    assert (first, later) == (0.028, 0.0028)


@pytest.mark.parametrize(
    ("model", "at", "price"),
    [
        ("anthropic/claude-3.5-sonnet", "2026-01-28", 3),
        ("anthropic/claude-3.5-sonnet", "2026-01-29T08:00Z", 6),
        ("openai/o3", "2025-11-03", 2),
        ("openai/gpt-5.6-sol", "2026-07-17", 10),  # a million tokens are a long prompt
        ("openai/gpt-5.6-sol", "2026-11-12", 8),
        ("google/gemini-3.6-flash", "2026-08-12", 1.5),
        ("google/gemini-3.6-flash", "2026-11-12", 0.75),
        ("openai/gpt-oss-20b", "2025-11-27", 0.05),
        ("openai/gpt-oss-20b", "2026-01-01", 0.03),
        ("deepseek/deepseek-chat", "2026-08-14", 0.2574),
        ("openai/text-embedding-3-small", "2026-08-19", 0.02),
    ],
)
def test_openrouter_cost_what_its_replies_said_it_cost(
    book: PriceBook, model: str, at: str, price: float
) -> None:
    assert per_million(book, f"openrouter/{model}", "input", at) == price


@pytest.mark.parametrize(
    ("name", "at", "model", "price"),
    [
        ("mistral-large-latest", "2024-03-01", "mistral-large-2402", 4),
        ("mistral-large-latest", "2025-06-01", "mistral-large", 2),
        ("mistral-large-latest", "2025-12-01T23:59:59", "mistral-large", 2),
        ("mistral-large-latest", "2025-12-02", "mistral-large-2512", 0.5),
        ("mistral-large-2411", NOW, "mistral-large", 2),
        ("mistral-medium", "2024-06-01", "mistral-medium-2312", 2.7),
        ("mistral-medium", "2026-01-01", "mistral-medium-3-1", 0.4),
        ("mistral-medium", NOW, "mistral-medium-3-5", 1.5),
    ],
)
def test_a_name_means_what_it_meant_on_the_day(
    book: PriceBook, name: str, at: str, model: str, price: float
) -> None:
    assert per_million(book, f"mistral/{name}", "input", at) == price
    shown = book.show("mistral", name, instant_us(at))
    assert shown is not None
    assert shown.model == model
    # A plan that was made on one side of the day is not used on the other.
    assert per_million(book, f"mistral/{name}", "input", "2020-01-01") is not None
    assert per_million(book, f"mistral/{name}", "input", at) == price


def test_prices_of_before_the_source_changed_them(book: PriceBook) -> None:
    cached = "google/gemini-2.5-flash"
    assert per_million(book, cached, "cache_read", "2025-10-01") == 0.075
    assert per_million(book, cached, "cache_read", "2025-12-01") == 0.03
    assert per_million(book, "groq/openai/gpt-oss-20b", "output", "2025-10-01") == 0.5
    assert per_million(book, "groq/openai/gpt-oss-20b", "output", "2025-12-01") == 0.3
    llama = "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"
    assert per_million(book, llama, "input", "2026-06-01") == 0.88
    assert per_million(book, llama, "input") == 1.04


def test_models_that_are_gone_keep_their_last_price(book: PriceBook) -> None:
    assert per_million(book, "anthropic/claude-instant-1.2", "output") == 5.51
    assert per_million(book, "anthropic/claude-instant-1", "output") == 5.51  # not 55.1
    shown = book.show("anthropic", "claude-instant-1", instant_us(NOW))
    assert shown is not None
    assert shown.gone == "2026-02-17"
    # LiteLLM deletes what is retired: an older release of it still has these.
    assert per_million(book, "mistral/codestral-2405", "input") == 1
    assert nanos(book, "openai/dall-e-2", {"images": 1}, terms="size=512x512") == 18_000_000


# ------------------------------------------------------------------------ terms


@pytest.mark.parametrize(
    ("model", "fees"),
    [
        ("sonar", (5, 5, 8, 12)),
        ("sonar-reasoning", (5, 5, 8, 12)),
        ("sonar-pro", (6, 6, 10, 14)),
        ("sonar-reasoning-pro", (6, 6, 10, 14)),
    ],
)
def test_perplexity_fee_by_search_context(
    book: PriceBook, model: str, fees: tuple[int, ...]
) -> None:
    terms = ("", "search_context=low", "search_context=medium", "search_context=high")
    for words, fee in zip(terms, fees, strict=True):
        assert nanos(book, f"perplexity/{model}", {}, terms=words) == fee * 10**6, words


def test_perplexity_deep_research_has_no_fee_but_citations(book: PriceBook) -> None:
    used = {"citation_tokens": MILLION, "reasoning": MILLION, "web_searches": 1_000}
    assert nanos(book, "perplexity/sonar-deep-research", used) == (2 + 3 + 5) * USD


def test_pictures_by_size_and_quality(book: PriceBook) -> None:
    def picture(model: str, terms: str) -> int | None:
        return nanos(book, model, {"images": 1}, terms=terms)

    assert picture("openai/dall-e-3", "quality=hd size=1024x1792") == 120_000_000
    assert picture("openai/dall-e-3", "quality=standard size=1024x1024") == 40_000_000
    assert picture("openai/dall-e-3", "size=7x7") is None
    assert picture("openai/dall-e-3", "") is None
    assert picture("openai/dall-e-2", "") is None
    priced = book.price(
        "openai",
        "dall-e-3",
        Usage({"images": 1}, terms="quality=hd size=1024x1792"),
        instant_us(NOW),
    )
    assert priced.key == "openai/dall-e-3 rule=exact quality=hd size=1024x1792"


def test_fees_by_tool(book: PriceBook) -> None:
    for name, usd in (("web_searches", 5), ("social_searches", 5), ("code_executions", 5)):
        assert nanos(book, "x-ai/grok-4.5", {name: 1_000}) == usd * USD
    assert nanos(book, "x-ai/grok-4.5", {"file_searches": 1_000}) == 2.5 * USD
    assert nanos(book, "groq/groq/compound", {"web_searches": 2, "web_fetches": 1}) == 11_000_000
    assert nanos(book, "groq/groq/compound", {"input": 1}) is None  # its models are billed instead
    assert nanos(book, "azure/gpt-5-mini", {"code_sessions": 1}) == 33_000_000
    assert nanos(book, "mistral/mistral-large-2512", {"web_searches": 1}) == 30_000_000


def test_what_only_the_second_source_has(book: PriceBook) -> None:
    assert nanos(book, "cohere/rerank-v3.5", {"rerank_searches": 3}) == 6_000_000
    assert nanos(book, "mistral/mistral-ocr-3", {"pages": 5, "annotated_pages": 2}) == 16_000_000
    assert per_million(book, "cohere/embed-multilingual-light-v3.0", "input") == 0.1  # not 100
    assert per_million(book, "dashscope/qwen3-max", "input") == 3  # a million is a long prompt
    assert nanos(book, "dashscope/qwen3-max", {"input": 32_000}) == 38_400_000
    assert nanos(book, "dashscope/qwen3-max", {"input": 32_001}) == 32_001 * 2_400
    veo = "google/veo-3.1-generate-001"
    assert nanos(book, veo, {"video_ms": 8_000}) == 8 * 400_000_000
    assert nanos(book, "voyageai/voyage-multimodal-3", {"image_pixels": 10**9}) == 600_000_000


def test_as_many_as_or_more_than(book: PriceBook) -> None:
    assert nanos(book, "x-ai/grok-4.5", {"input": 199_999}) == 199_999 * 2_000
    assert nanos(book, "x-ai/grok-4.5", {"input": 200_000}) == 200_000 * 4_000
    assert nanos(book, "openai/gpt-5.5", {"input": 272_000}) == 272_000 * 5_000
    assert nanos(book, "openai/gpt-5.5", {"input": 272_001}) == 272_001 * 10_000


def test_regions_have_a_factor_on_tokens(book: PriceBook) -> None:
    def there(place: str, geo: str) -> float | None:
        return per_million(book, place, "output", geo=geo)

    assert there("openai/gpt-6-sol", "us") == there("openai/gpt-6-sol", "jp") == 11
    assert there("openai/gpt-4.1", "us") is None  # released before that rule
    assert there("together/meta-llama/Llama-3.3-70B-Instruct-Turbo", "us") == 1.3
    assert there("x-ai/grok-4.5", "us") == 6.6
    assert there("anthropic/claude-opus-5-5", "us") == 22
    batch = per_million(book, "anthropic/claude-opus-5-5", "output", geo="us", tier="batch")
    assert batch == 11


# ------------------------------------------------------------------------ how sure


def said(book: PriceBook, place: str, name: str, at: str = NOW) -> Said:
    provider, _, model = place.partition("/")
    shown = book.show(provider, model, instant_us(at))
    assert shown is not None
    return shown.rows[0].said[name]


def test_agreed_single_and_disputed(book: PriceBook) -> None:
    agreed = said(book, "openai/gpt-4.1", "input")
    assert agreed == Said(Standing.AGREED, {"litellm": "2", "models.dev": "2"})
    assert said(book, "openai/gpt-4.1", "code_sessions") == Said(Standing.SINGLE, {})
    disputed = said(book, "openai/gpt-4.1", "web_searches")
    assert disputed == Said(Standing.DISPUTED, {"litellm": "25"})
    corrected = said(book, "openai/gpt-4o-transcribe", "input_audio")
    others = {"genai-prices": "6", "litellm": "2.5"}
    assert corrected == Said(Standing.DISPUTED, others)
    # Who has no hours lists the price of one of them.
    for at in ("2026-11-12T02:00", "2026-11-12T12:00"):
        assert said(book, "deepseek/deepseek-v4-pro", "input", at).standing == Standing.AGREED


def test_a_condition_says_only_what_is_its_own(book: PriceBook) -> None:
    shown = book.show("anthropic", "claude-opus-5-5", instant_us(NOW))
    assert shown is not None
    batch = next(row for row in shown.rows if row.condition == "tier=batch")
    assert batch.said["input"].standing == Standing.AGREED
    assert "web_searches" not in batch.said
    place = next(row for row in shown.rows if row.condition == "geo=us")
    assert not place.said


def test_most_prices_of_the_makers_are_agreed(book: PriceBook) -> None:
    count = dict.fromkeys(Standing, 0)
    for provider in ("openai", "anthropic", "google", "mistral", "x-ai", "deepseek"):
        for model in book.models(provider):
            shown = book.show(provider, model, instant_us(NOW))
            if shown and not shown.said_by and not shown.gone:
                for it in shown.rows[0].said.values():
                    count[it.standing] += 1
    assert count[Standing.AGREED] > 10 * count[Standing.DISPUTED]
    assert count[Standing.DISPUTED] > 10


# ------------------------------------------------------------------------ names


def test_who_owns_a_name_is_as_it_was(book: PriceBook) -> None:
    before = price_book_version(FIRST)
    assert before is not None
    names = {it for row in rows_of(shipped_parts()) for it in (m["model"] for m in row["models"])}
    names |= {name for provider in before.providers() for name in before.models(provider)}
    differ = {name for name in names if before.owner_of(name) != book.owner_of(name)}
    new = {"groq/compound", "groq/compound-mini", "qwen-3-coder-480b"}  # listed by us
    new |= {"openai/text-embedding-3-small", "openai/gpt-4o-mini-transcribe"}  # of OpenRouter
    voyages = {name for name in names if name.startswith(("rerank-1", "rerank-2", "rerank-3"))}
    assert differ == new | voyages | {"rerank-lite-1"}


def test_a_beginning_is_never_enough(book: PriceBook) -> None:
    for place in ("openai/gpt-4.1-na", "mistral/mistral-large-lat", "deepseek/deepseek-v4"):
        provider, _, model = place.partition("/")
        priced = book.price(provider, model, Usage({"input": 1}), instant_us(NOW))
        assert priced.reason == "unknown_model", place
