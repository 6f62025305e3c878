"""One model's prices: history, tiers, variants, places, and what stands in for what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import ModelRow
from tollkeeper.domain.rate_card import FALLS_BACK, RateCard, instant_us
from tollkeeper.domain.usage import Usage

MILLION = 1_000_000
NOW_US = instant_us("2026-11-20")

LONG: ModelRow = {
    "model": "long",
    "prices": [
        {
            "usd": {"input": "2", "cache_read": "0.2", "output": "10", "web_searches": "10"},
            "above": [(200_000, {"input": "4", "cache_read": "0.4", "output": "15"})],
        }
    ],
}
TIERED: ModelRow = {
    "model": "tiered",
    "prices": [{"usd": {"input": "3", "cache_read": "0.3", "output": "15", "web_searches": "10"}}],
    "variants": [
        {"when": {"tier": "batch"}, "usd": {"input": "1.5", "output": "7.5"}},
        {"when": {"tier": "priority"}, "multiply": {"input": "1.8", "output": "1.8"}},
        {"when": {"speed": "fast"}, "usd": {"input": "6", "cache_read": "0.6", "output": "30"}},
    ],
    "geo": {"us": "1.1"},
}


def _card(row: ModelRow, **more: str) -> RateCard:
    return RateCard(row["model"], row, {"on_demand": ""}, {**FALLS_BACK, **more})


def _cost(card: RateCard, at_us: int = NOW_US, **usage: object) -> int | None:
    quantities = {name: count for name, count in usage.items() if isinstance(count, int)}
    flags = {name: word for name, word in usage.items() if isinstance(word, str)}
    batch = flags.pop("batch", "") == "yes"
    return card.price(Usage(quantities, batch=batch, **flags), at_us).nanos  # type: ignore[arg-type]


def _reason(card: RateCard, **usage: object) -> str:
    quantities = {name: count for name, count in usage.items() if isinstance(count, int)}
    flags = {name: word for name, word in usage.items() if isinstance(word, str)}
    return card.price(Usage(quantities, **flags), NOW_US).reason  # type: ignore[arg-type]


def test_a_long_prompt_is_dearer_from_one_token_above_the_threshold() -> None:
    card = _card(LONG)
    assert _cost(card, input=200_000) == 400_000_000
    assert _cost(card, input=200_001) == 800_004_000


def test_the_whole_prompt_decides_whatever_it_consists_of() -> None:
    card = _card(LONG)
    assert _cost(card, input=1, cache_read=200_000, output=2) == 4_000 + 80_000_000 + 30_000
    assert _cost(card, input=1, cache_read=199_999, output=2) == 2_000 + 39_999_800 + 20_000


def test_output_and_tool_fees_do_not_lengthen_the_prompt() -> None:
    card = _card(LONG)
    assert _cost(card, input=10, output=300_000) == 20_000 + 3_000_000_000
    assert _cost(card, input=200_001, web_searches=2) == 800_004_000 + 20_000_000


@pytest.mark.parametrize("word", ["", "default", "standard", "on_demand", "ON_DEMAND"])
def test_words_for_the_ordinary_tier(word: str) -> None:
    assert _cost(_card(TIERED), input=MILLION, tier=word) == 3_000_000_000


def test_a_tier_is_priced_by_its_variant_and_keeps_what_the_variant_leaves_out() -> None:
    card = _card(TIERED)
    assert _cost(card, input=MILLION, tier="batch") == 1_500_000_000
    assert _cost(card, input=MILLION, batch="yes") == 1_500_000_000
    assert _cost(card, input=MILLION, batch="yes", tier="batch") == 1_500_000_000
    assert _cost(card, cache_read=MILLION, batch="yes") == 300_000_000
    assert _cost(card, input=MILLION, output=MILLION, tier="priority") == 5_400_000_000 + 27 * 10**9
    assert _cost(card, input=MILLION, speed="fast") == 6_000_000_000


def test_a_tier_without_prices_is_unknown_and_not_the_ordinary_one() -> None:
    card = _card(TIERED)
    assert _cost(card, input=1, tier="scale") is None
    assert _reason(card, input=1, tier="scale") == "unknown_tier:scale"
    assert _reason(card, input=1, speed="ludicrous") == "unknown_speed:ludicrous"


def test_two_conditions_at_once_need_a_price_for_both() -> None:
    card = _card(TIERED)
    assert _reason(card, input=1, tier="batch", speed="fast") == "unknown_tier:batch+fast"
    assert _cost(card, input=1, tier="priority", batch="yes") is None


def test_a_place_has_a_factor_on_tokens_and_not_on_fees() -> None:
    card = _card(TIERED)
    assert _cost(card, input=MILLION, web_searches=1, geo="us") == 3_300_000_000 + 10_000_000
    assert _cost(card, input=MILLION, batch="yes", geo="us") == 1_650_000_000
    for word in ("", "global", "not_available"):
        assert _cost(card, input=MILLION, geo=word) == 3_000_000_000
    assert _reason(card, input=1, geo="moon") == "unknown_geo:moon"


def test_a_quantity_without_a_price_makes_the_whole_cost_unknown() -> None:
    card = _card(TIERED)
    assert _reason(card, input=5, output_audio=1) == "unknown_dimension:output_audio"
    assert _reason(card, input=5, file_searches=1) == "unknown_dimension:file_searches"
    assert _reason(card, input=5, whatever=1) == "unknown_dimension:whatever"
    assert _cost(card, input=5, output_audio=0) == 15_000


def test_faulty_and_negative_counts_have_no_cost() -> None:
    card = _card(TIERED)
    assert card.price(Usage({"input": 5}, fault="contradicts_total"), NOW_US) == (
        None,
        "inconsistent_usage:contradicts_total",
        "tiered",
    )
    assert _reason(card, input=5, output=-1) == "inconsistent_usage:negative_output"


def test_what_stands_in_where_no_price_is_listed() -> None:
    card = _card({"model": "m", "prices": [{"usd": {"input": "1", "output": "4"}}]})
    assert _cost(card, cache_read=MILLION) == 10**9
    assert _cost(card, input_image=MILLION) == 10**9
    assert _cost(card, input_tool=MILLION) == 10**9
    assert _cost(card, cache_read_image=MILLION) == 10**9
    assert _cost(card, reasoning=MILLION) == 4 * 10**9
    for unknown in ("cache_write", "cache_write_1h", "input_audio", "output_image", "images"):
        assert _cost(card, **{unknown: 1}) is None, unknown
    more = _card(card.row, input_audio="input", output_image="output")
    assert _cost(more, input_audio=MILLION, output_image=MILLION) == 5 * 10**9


def test_cached_audio_with_two_possible_prices_is_unknown() -> None:
    both = _card(
        {"model": "m", "prices": [{"usd": {"input": "1", "cache_read": "0.1", "input_audio": "6"}}]}
    )
    assert _cost(both, cache_read_audio=1) is None
    no_discount = _card({"model": "m", "prices": [{"usd": {"input": "1", "input_audio": "6"}}]})
    assert _cost(no_discount, cache_read_audio=MILLION) == 6 * 10**9


def test_stand_ins_that_go_in_a_circle_end() -> None:
    card = _card({"model": "m", "prices": [{"usd": {"output": "1"}}]}, input="cache_read")
    assert _cost(card, input=1) is None


def test_prices_change_at_their_time() -> None:
    card = _card(
        {
            "model": "m",
            "prices": [
                {"usd": {"input": "5"}},
                {"since": "2026-07-30", "usd": {"input": "4"}},
                {"since": "2026-08-16T16:00:00+00:00", "usd": {"input": "3"}},
            ],
        }
    )
    assert _cost(card, instant_us("2020-01-01"), input=MILLION) == 5 * 10**9
    assert _cost(card, instant_us("2026-07-30") - 1, input=MILLION) == 5 * 10**9
    assert _cost(card, instant_us("2026-07-30"), input=MILLION) == 4 * 10**9
    assert _cost(card, instant_us("2026-08-16T15:59:59.999999"), input=MILLION) == 4 * 10**9
    assert _cost(card, instant_us("2026-08-16T18:00:00+02:00"), input=MILLION) == 3 * 10**9


def test_prices_of_the_hour() -> None:
    card = _card(
        {
            "model": "m",
            "prices": [
                {"usd": {"input": "1"}},
                {"daily": ("01:00", "04:00"), "usd": {"input": "2"}},
                {"daily": ("22:30", "00:30"), "usd": {"input": "3"}},
            ],
        }
    )
    for clock, usd in (
        ("00:00", 3),
        ("00:29:59", 3),
        ("00:30", 1),
        ("01:00", 2),
        ("03:59:59.999999", 2),
        ("04:00", 1),
        ("22:29", 1),
        ("22:30", 3),
        ("23:59", 3),
    ):
        at_us = instant_us(f"2026-11-20T{clock}")
        assert _cost(card, at_us, input=MILLION) == usd * 10**9, clock
        plan = card.plan_for(Usage(), at_us)
        assert plan.since_us <= at_us < plan.until_us
        assert plan.until_us - plan.since_us < 24 * 3600 * 10**6


def test_a_variant_may_start_later_and_the_first_that_has_begun_decides() -> None:
    card = _card(
        {
            "model": "m",
            "prices": [{"usd": {"input": "10"}}],
            "variants": [
                {"when": {"tier": "flex"}, "since": "2027-01-01", "usd": {"input": "6"}},
                {"when": {"tier": "flex"}, "since": "2026-10-14", "usd": {"input": "5"}},
            ],
        }
    )
    assert _cost(card, instant_us("2026-10-01"), input=MILLION, tier="flex") is None
    assert _cost(card, instant_us("2026-12-31"), input=MILLION, tier="flex") == 5 * 10**9
    assert _cost(card, instant_us("2027-01-01"), input=MILLION, tier="flex") == 6 * 10**9


def test_an_operators_own_prices() -> None:
    card = RateCard.custom({"input": "0.10", "output": "0.20"})
    assert _cost(card, input=MILLION) == 100_000_000
    for name in u.INPUT_TOKENS:
        assert _cost(card, **{name: MILLION}) == 100_000_000, name
    for name in u.OUTPUT_TOKENS:
        assert _cost(card, **{name: MILLION}) == 200_000_000, name
    assert _cost(card, input=MILLION, tier="anything", geo="moon", speed="x") == 100_000_000
    assert _reason(card, web_searches=1) == "unknown_dimension:web_searches"
    finer = RateCard.custom({"input": "1", "cache_read": "0.1", "cache_write": "1.25"})
    assert _cost(finer, cache_read_image=MILLION, cache_write_1h=MILLION) == 1_350_000_000
    assert _cost(RateCard.custom({"input": "0", "output": "0"}), input=5, output=5) == 0
    assert card.price(Usage({"input": 1}), 0).key == "custom"


@pytest.mark.parametrize(
    "prices", [{"inputs": "1"}, {"input": "-1"}, {"input": "x"}, {"input": "NaN"}]
)
def test_own_prices_that_cannot_be_used(prices: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no such quantity|zero or more|not a decimal"):
        RateCard.custom(prices)


def test_instants() -> None:
    assert instant_us("1970-01-01") == 0
    assert instant_us("2026-11-20T01:00:00+01:00") == NOW_US
    assert datetime.fromtimestamp(NOW_US / 10**6, UTC).isoformat() == "2026-11-20T00:00:00+00:00"


def test_time_of_a_machine_costs_something_only_where_it_has_a_price() -> None:
    used = {"input": 1_000, "output": 10, "gpu_ms": 1_800_000}
    by_token = RateCard.custom({"input": "1", "output": "2"})
    assert _cost(by_token, **used) == _cost(by_token, input=1_000, output=10) == 1_020_000
    explained = by_token.explain(Usage(used), NOW_US)
    assert [line.quantity for line in explained] == ["input", "output"]
    by_hour = RateCard.custom({"gpu_ms": "3.60", "input": "0", "output": "0"})
    assert _cost(by_hour, **used) == 1_800_000_000
    assert [line.price for line in by_hour.explain(Usage(used), NOW_US)] == ["0.00", "0.00", "3.60"]
    only_by_hour = RateCard.custom({"gpu_ms": "3.60"})
    assert only_by_hour.price(Usage(used), NOW_US).reason == "unknown_dimension:input"


def test_as_many_as_and_more_than_so_many() -> None:
    card = _card(
        {
            "model": "m",
            "prices": [
                {
                    "usd": {"input": "1"},
                    "at_least": [(100, {"input": "2"})],
                    "above": [(200, {"input": "3"})],
                }
            ],
        }
    )
    for tokens, usd in ((99, 1), (100, 2), (200, 2), (201, 3)):
        assert _cost(card, input=tokens) == tokens * usd * 1_000


def test_terms_of_a_call_choose_a_price() -> None:
    card = _card(
        {
            "model": "m",
            "prices": [{"usd": {"input": "1"}}],
            "variants": [
                {"when": {"size": "1024x1024", "quality": "hd"}, "usd": {"images": "0.08"}},
                {"when": {"size": "1024x1024"}, "usd": {"images": "0.04"}},
                {"when": {"tier": "batch", "size": "1024x1024"}, "usd": {"images": "0.02"}},
                {"when": {"tier": "batch"}, "multiply": {"input": "0.5"}},
            ],
        }
    )
    assert _cost(card, images=2, terms="quality=hd size=1024x1024") == 160_000_000
    assert _cost(card, images=2, terms="quality=low size=1024x1024") == 80_000_000
    assert _reason(card, images=1, terms="size=7x7") == "unknown_dimension:images"
    assert _reason(card, images=1) == "unknown_dimension:images"
    assert _cost(card, input=MILLION, terms="what ever= =x tier=batch") == 10**9
    assert _cost(card, input=MILLION, tier="batch", terms="size=9x9") == 500_000_000
    # A tier needs a price of its own; with a term it may have a finer one, behind the first.
    assert _cost(card, images=1, tier="batch", terms="size=1024x1024") == 40_000_000
    priced = card.price(Usage({"images": 1}, terms="quality=hd size=1024x1024"), NOW_US)
    assert priced.key == "m quality=hd size=1024x1024"
    long = Usage({"images": 1}, terms="x" * 10_000)
    assert card.price(long, NOW_US).reason == "unknown_dimension:images"
