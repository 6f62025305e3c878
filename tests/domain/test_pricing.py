"""The price book: prices with reasons, explanations that add up, and who owns a name."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.pricing import PriceBook, Priced, RateCard
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import QUANTITY_MAX, Usage

NOW_US = instant_us("2026-11-20")
EVERYTHING = {
    "input": "2.5",
    "cache_read": "0.25",
    "cache_write": "3.125",
    "cache_write_1h": "5",
    "input_audio": "32.000001",
    "output": "15",
    "output_audio": "64",
    "web_searches": "10",
    "file_searches": "2.5",
    "audio_ms": "0.111",  # USD per hour: a millisecond costs a number that never ends
    "input_characters": "15",
    "pages": "1.333333333333",
}
PROVIDERS: dict[str, ProviderRow] = {
    "openai": {
        "provider": "openai",
        "name": "OpenAI",
        "owns": ["gpt-", "text-embedding-"],
        "models": [
            {"model": "gpt-4.1", "prices": [{"usd": {"input": "2", "output": "8"}}]},
            {
                "model": "everything",
                "prices": [{"usd": EVERYTHING, "above": [(100_000, {"input": "5"})]}],
                "variants": [
                    {"when": {"tier": "flex"}, "multiply": {"input": "0.5", "output": "0.5"}},
                    {"when": {"speed": "fast"}, "usd": {"input": "9"}},
                ],
                "geo": {"us": "1.1"},
            },
            {"model": "free", "prices": [{"usd": {"input": "0", "output": "0"}}]},
            {"model": "per-call", "prices": [{"usd": {"input": "1", "requests": "25"}}]},
        ],
    },
    "google": {
        "provider": "google",
        "name": "Google",
        "owns": ["gemini-", "text-embedding-00"],
        "models": [{"model": "gemini-9", "prices": [{"usd": {"input": "1"}}]}],
    },
    "azure": {
        "provider": "azure",
        "name": "Azure",
        "borrows": ["openai"],
        "usd": {"web_searches": "14"},
        "models": [{"model": "o9", "prices": [{"usd": {"input": "7"}}]}],
    },
    "reseller": {
        "provider": "reseller",
        "name": "Reseller",
        "models": [
            {"model": "gpt-4.1", "prices": [{"usd": {"input": "9"}}]},
            {"model": "llama-9", "prices": [{"usd": {"input": "9"}}]},
        ],
    },
}
BOOK = PriceBook("test-1", PROVIDERS, {"vertex": "google"})

quantities = st.dictionaries(
    st.sampled_from(sorted(EVERYTHING)), st.integers(0, QUANTITY_MAX), max_size=8
)
usages = st.builds(
    lambda counts, **words: Usage(counts, **words),
    quantities,
    tier=st.sampled_from(["", "default", "flex"]),
    geo=st.sampled_from(["", "global", "us"]),
)


def _price(model: str, usage: Usage, provider: str = "openai") -> Priced:
    return BOOK.price(provider, model, usage, NOW_US)


def test_a_price_says_how_it_was_found() -> None:
    usage = Usage({"input": 1_000_000, "output": 500_000})
    assert _price("gpt-4.1", usage) == (6_000_000_000, "", "openai/gpt-4.1 rule=exact")
    dated = _price("gpt-4.1-2025-04-14", usage)
    assert dated == (6_000_000_000, "", "openai/gpt-4.1 rule=dated")
    assert _price("everything", Usage(tier="flex", geo="us")).key == (
        "openai/everything rule=exact tier=flex geo=us"
    )
    assert _price("everything", Usage({"input": 100_001})).key.endswith(" above=100000")
    borrowed = _price("gpt-4.1", usage, "azure")
    assert borrowed == (6_000_000_000, "", "azure/gpt-4.1 rule=exact borrowed=openai")
    assert _price("gemini-9", Usage(), "vertex").key == "google/gemini-9 rule=exact"


def test_free_is_a_price_and_unknown_is_none() -> None:
    assert _price("free", Usage({"input": 5, "output": 7})) == (0, "", "openai/free rule=exact")
    assert _price("gpt-4.1", Usage()).nanos == 0
    assert _price("nobody", Usage()) == (None, "unknown_model", "openai/nobody rule=none")
    assert _price("gpt-4.1", Usage(), "nowhere").reason == "unknown_model"
    assert _price("x" * 5_000, Usage()).key == f"openai/{'x' * 200} rule=none"


def test_a_lenders_tiers_and_places_are_not_borrowed() -> None:
    assert _price("everything", Usage({"input": 1}, tier="flex"), "azure").nanos is None
    assert _price("everything", Usage({"input": 1}, geo="us"), "azure").nanos is None
    assert _price("everything", Usage({"web_searches": 1}), "azure").nanos == 14_000_000
    assert _price("o9", Usage({"web_searches": 1}), "azure").nanos == 14_000_000


def test_a_fee_for_the_call_is_charged_once() -> None:
    assert _price("per-call", Usage()).nanos == 25_000_000
    assert _price("per-call", Usage({"input": 1_000_000})).nanos == 1_025_000_000
    lines = BOOK.explain("openai", "per-call", Usage({"input": 1_000_000}), NOW_US)
    assert [(line.quantity, line.count, line.price, line.per, line.cost) for line in lines] == [
        ("input", 1_000_000, "1.00", 1_000_000, "1.00"),
        ("requests", 1, "25.00", 1_000, "0.025"),
    ]


def test_components_are_priced_by_themselves() -> None:
    inner = Usage({"input": 1_000_000}, "gpt-4.1")
    assert _price("gpt-4.1", Usage({"output": 1_000_000}, components=(inner,))).nanos == 8 * 10**9


def test_an_explanation_names_what_stood_in_and_what_has_no_price() -> None:
    usage = Usage({"reasoning": 3, "output_image": 2, "input": 0})
    reasoning, image = BOOK.explain("openai", "everything", usage, NOW_US)
    assert (reasoning.priced_as, reasoning.price, reasoning.cost) == ("output", "15.00", "0.000045")
    assert (image.priced_as, image.price, image.cost) == ("", None, None)


@given(usages)
def test_the_lines_of_an_explanation_add_up_to_the_price(usage: Usage) -> None:
    lines = BOOK.explain("openai", "everything", usage, NOW_US)
    with localcontext(prec=200):
        total = sum((Decimal(line.cost or "NaN") for line in lines), Decimal(0))
        nanos = int(total.scaleb(9).quantize(Decimal(1), ROUND_HALF_EVEN))
    assert nanos == _price("everything", usage).nanos


@given(usages)
def test_a_price_is_the_exact_sum_rounded_once(usage: Usage) -> None:
    factor = {"": 1, "global": 1, "us": Fraction(11, 10)}[usage.geo]
    exact = Fraction(0)
    for name, count in usage.quantities.items():
        price = Fraction(EVERYTHING[name])
        if name == "input" and usage.prompt_tokens() > 100_000:
            price = Fraction(5)
        if usage.tier == "flex" and name in {"input", "output"}:
            price /= 2
        if name in u.TOKENS:
            price *= factor
        per = {"audio_ms": 3_600_000, "web_searches": 1_000, "file_searches": 1_000, "pages": 1_000}
        exact += price * count / per.get(name, 1_000_000)
    assert _price("everything", usage).nanos == round(exact * 10**9)


@given(quantities, quantities)
def test_costs_add_up_to_within_rounding(one: dict[str, int], other: dict[str, int]) -> None:
    card = RateCard("m", {"model": "m", "prices": [{"usd": EVERYTHING}]})
    both = {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}
    total = card.price(Usage(both), 0).nanos
    parts = [card.price(Usage(part), 0).nanos for part in (one, other)]
    assert total is not None
    assert abs(total - sum(part or 0 for part in parts)) <= 1


@given(quantities, st.sampled_from(sorted(EVERYTHING)), st.integers(0, QUANTITY_MAX))
def test_using_more_never_costs_less(used: dict[str, int], name: str, more: int) -> None:
    before = _price("everything", Usage(used)).nanos
    after = _price("everything", Usage(used | {name: used.get(name, 0) + more})).nanos
    assert before is not None
    assert after is not None
    assert before <= after


def test_halves_are_rounded_to_even() -> None:
    card = RateCard.custom({"input": "0.0005"})  # half a nano-dollar each
    assert [card.price(Usage({"input": n}), 0).nanos for n in range(6)] == [0, 0, 1, 2, 2, 2]


def test_huge_counts_are_exact() -> None:
    cost = _price("gpt-4.1", Usage({"input": QUANTITY_MAX, "output": QUANTITY_MAX})).nanos
    assert cost == 10 * QUANTITY_MAX * 1_000


def test_a_plan_is_made_again_when_prices_change() -> None:
    book = PriceBook(
        "v",
        {
            "p": {
                "provider": "p",
                "name": "P",
                "models": [
                    {
                        "model": "m",
                        "prices": [
                            {"usd": {"input": "1"}},
                            {"since": "2026-01-02", "usd": {"input": "2"}},
                        ],
                    }
                ],
            }
        },
    )
    usage = Usage({"input": 1_000_000})
    for day, usd in (("01", 1), ("02", 2), ("01", 1), ("03", 2)):
        priced = book.price("p", "m", usage, instant_us(f"2026-01-{day}"))
        assert priced.nanos == usd * 10**9


def test_endless_invented_names_do_not_fill_the_memory() -> None:
    book = PriceBook("v", PROVIDERS)
    for number in range(9_000):
        book.price("openai", f"invented-{number}", Usage(), NOW_US)
        book.owner_of(f"invented-{number}")
    assert len(book._plans) <= 4_096
    assert len(book._owners) <= 4_096


@pytest.mark.parametrize(
    ("model", "owner"),
    [
        ("gpt-4.1", "openai"),  # although a reseller lists it too
        ("gpt-4.1-2025-04-14", "openai"),
        ("gpt-17-nova", "openai"),  # too new for the book
        ("gemini-9", "google"),
        ("text-embedding-005", "google"),  # the longer beginning wins
        ("text-embedding-4", "openai"),
        ("llama-9", "reseller"),
        ("unheard-of", ""),
        ("", ""),
    ],
)
def test_who_owns_a_name(model: str, owner: str) -> None:
    assert BOOK.owner_of(model) == owner
    assert BOOK.owner_of(model) == owner


def test_listing_and_showing() -> None:
    assert BOOK.models("openai") == ["everything", "free", "gpt-4.1", "per-call"]
    assert BOOK.models("vertex") == ["gemini-9"]
    assert BOOK.models("nowhere") == []
    assert BOOK.providers() == ["openai", "google", "azure", "reseller"]
    assert BOOK.show("openai", "nobody", NOW_US) is None
    shown = BOOK.show("openai", "everything", NOW_US)
    assert shown is not None
    assert [(row.condition, row.above_tokens) for row in shown.rows] == [
        ("", 0),
        ("", 100_000),
        ("tier=flex", 0),
        ("tier=flex", 100_000),
        ("speed=fast", 0),
        ("geo=us", 0),
        ("geo=us", 100_000),
    ]
    prices = {(row.condition, row.above_tokens): row.prices["input"] for row in shown.rows}
    assert prices[("", 0)] == ("2.50", 1_000_000)
    assert prices[("tier=flex", 100_000)] == ("2.50", 1_000_000)
    assert prices[("geo=us", 0)] == ("2.75", 1_000_000)
    assert "reasoning" not in shown.rows[0].prices


def test_an_operators_prices_come_before_the_books() -> None:
    book = BOOK.with_cards({"lab": RateCard.custom({"input": "0.1"})})
    assert book.price("lab", "anything", Usage({"input": 1_000_000}), NOW_US).nanos == 100_000_000
    assert book.price("openai", "gpt-4.1", Usage({"input": 1}), NOW_US).nanos == 2_000
    assert book.version.startswith("test-1+own.")
    other = BOOK.with_cards({"lab": RateCard.custom({"input": "0.2"})})
    assert other.version != book.version
    assert BOOK.with_cards({}) is BOOK
    assert BOOK.version == "test-1"
