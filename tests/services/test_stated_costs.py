"""Whose word counts: the operator's prices, then the provider's statement, then the book."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_entries import held_call, profile
from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.pricing import PriceBook, RateCard
from tollkeeper.domain.usage import Usage
from tollkeeper.services.settlement import Ending, settle, total_cost_nanos

ROW: ProviderRow = {
    "provider": "openrouter",
    "name": "OpenRouter",
    "models": [
        {
            "model": "openai/gpt-5",
            "prices": [{"usd": {"input": "2", "cache_read": "0.2", "output": "8"}}],
        }
    ],
}
BOOK = PriceBook("v1", {"openrouter": ROW})
LIST_NANOS = 100 * 2_000 + 10 * 8_000
USAGE = Usage({"input": 100, "output": 10}, "openai/gpt-5")


def _parts(usage: Usage, book: PriceBook = BOOK, **fields: Any) -> list[Part]:
    places = {"price_provider": "openrouter", "model": "openai/gpt-5"}
    held = held_call(profile=profile(**(places | fields)))
    return settle(held, Ending(200, Outcome.OK, 10, usage=usage), book).parts


def _part(usage: Usage, book: PriceBook = BOOK, **fields: Any) -> Part:
    (part,) = _parts(usage, book, **fields)
    return part


def test_what_the_provider_states_comes_before_the_book_which_stays_beside_it() -> None:
    part = _part(USAGE._replace(provider_cost_nanos=12_345))
    assert (part.basis, part.cost_nanos) == (Basis.PROVIDER_REPORTED, 12_345)
    assert (part.list_cost_nanos, part.reason) == (LIST_NANOS, "")
    free = _part(USAGE._replace(provider_cost_nanos=0))
    assert (free.basis, free.cost_nanos, free.list_cost_nanos) == (
        Basis.PROVIDER_REPORTED,
        0,
        LIST_NANOS,
    )


def test_the_operators_own_prices_come_before_what_the_provider_states() -> None:
    own = BOOK.with_cards({"openrouter": RateCard.custom({"input": "1", "output": "1"})})
    part = _part(USAGE._replace(provider_cost_nanos=12_345), own)
    assert (part.basis, part.cost_nanos) == (Basis.MEASURED, 110_000)
    lacking = BOOK.with_cards({"openrouter": RateCard.custom({"input": "1"})})
    part = _part(USAGE._replace(provider_cost_nanos=12_345), lacking)
    assert (part.basis, part.cost_nanos) == (Basis.PROVIDER_REPORTED, 12_345)
    assert part.reason == "unknown_dimension:output"


def test_a_stated_cost_is_known_also_where_the_book_knows_nothing() -> None:
    part = _part(USAGE._replace(model="nobody/knows", provider_cost_nanos=7))
    assert (part.basis, part.cost_nanos, part.list_cost_nanos) == (Basis.PROVIDER_REPORTED, 7, None)
    assert part.reason == "unknown_model"


def test_a_stated_cost_is_known_also_where_the_counts_contradict_each_other() -> None:
    broken = USAGE._replace(fault="parts_exceed_whole")
    part = _part(broken._replace(provider_cost_nanos=7))
    assert (part.basis, part.cost_nanos, part.list_cost_nanos) == (Basis.PROVIDER_REPORTED, 7, None)
    assert part.reason == "inconsistent_usage:parts_exceed_whole"
    part = _part(broken)
    assert (part.basis, part.cost_nanos) == (Basis.UNPRICED, None)


def test_an_unusable_statement_is_a_state_and_no_number() -> None:
    part = _part(USAGE._replace(fault="stated_cost"))
    assert (part.basis, part.cost_nanos, part.list_cost_nanos) == (Basis.UNPRICED, None, None)
    assert part.reason == "inconsistent_usage:stated_cost"


def test_with_a_callers_own_key_the_list_cost_is_what_the_maker_bills() -> None:
    part = _part(USAGE._replace(provider_cost_nanos=0, provider_list_nanos=4_170_000))
    assert (part.basis, part.cost_nanos, part.list_cost_nanos) == (
        Basis.PROVIDER_REPORTED,
        0,
        4_170_000,
    )


def test_a_stated_cost_is_the_whole_calls() -> None:
    """A picture that another model made is in it, and nothing is counted twice."""
    picture = Usage({"images": 1}, "image_generation")
    usage = USAGE._replace(provider_cost_nanos=500, components=(picture,))
    settled = settle(
        held_call(profile=profile(price_provider="openrouter")),
        Ending(200, Outcome.OK, 10, usage=usage),
        BOOK,
    )
    assert [part.basis for part in settled.parts] == [Basis.PROVIDER_REPORTED] * 2
    assert [part.cost_nanos for part in settled.parts] == [500, 0]
    assert settled.parts[1].reason == "unknown_model"
    assert total_cost_nanos(settled) == 500
    first, second = _parts(USAGE._replace(components=(picture,)))
    assert (first.cost_nanos, second.cost_nanos) == (LIST_NANOS, None)


def test_what_the_cache_saved_is_known_also_with_a_stated_cost() -> None:
    usage = Usage({"input": 10, "cache_read": 90}, "openai/gpt-5", provider_cost_nanos=1)
    assert _part(usage).saved_nanos == 90 * (2_000 - 200)


def test_a_cut_stream_states_no_cost() -> None:
    held = held_call(profile=profile(price_provider="openrouter"))
    ending = Ending(
        200,
        Outcome.INCOMPLETE,
        10,
        usage=USAGE._replace(provider_cost_nanos=5),
        output_bytes=400,
        complete=False,
    )
    (part,) = settle(held, ending, BOOK).parts
    assert (part.basis, part.cost_nanos) == (Basis.ESTIMATED, 100 * 2_000 + 100 * 8_000)


def test_a_subscription_pays_for_everything() -> None:
    part = _part(USAGE._replace(provider_cost_nanos=5), flat_rate=True)
    assert (part.basis, part.cost_nanos, part.list_cost_nanos) == (Basis.FLAT_RATE, 0, LIST_NANOS)


@pytest.mark.parametrize("asked", ["openai/gpt-5", "x/openai/gpt-5"])
def test_a_model_that_is_echoed_without_its_maker_is_found_under_the_asked_name(
    asked: str,
) -> None:
    part = _part(USAGE._replace(model="gpt-5"), model=asked)
    if asked == "openai/gpt-5":
        assert (part.model, part.cost_nanos) == (asked, LIST_NANOS)
    else:
        assert part.reason == "unknown_model"
    other = _part(USAGE._replace(model="pt-5"))
    assert (other.model, other.reason) == ("pt-5", "unknown_model")
