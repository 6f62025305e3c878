"""What an operator's contracts, plans and machines make of a call's cost."""

from __future__ import annotations

from typing import Any

from ledger_entries import held_call, profile
from tollkeeper.domain.calls import Part
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.price_rules import PriceRule, PriceRules
from tollkeeper.domain.pricing import PriceBook, RateCard
from tollkeeper.domain.usage import Usage
from tollkeeper.services.settlement import Ending, settle, settle_interrupted

ROW: ProviderRow = {
    "provider": "openai",
    "name": "OpenAI",
    "models": [
        {
            "model": "gpt-5",
            "prices": [{"usd": {"input": "2", "cache_read": "0.2", "output": "8"}}],
        }
    ],
}
BOOK = PriceBook("v1", {"openai": ROW})
USAGE = Usage({"input": 100, "output": 10}, "gpt-5")
LIST_NANOS = 100 * 2_000 + 10 * 8_000
CONTRACT = BOOK.with_rules(PriceRules([PriceRule("acme", provider="eu-*", discount_bp=2500)]))
LAB = BOOK.with_cards({"lab": RateCard.custom({"gpu_ms": "3.60", "input": "0", "output": "0"})})


def _part(
    usage: Usage | None, book: PriceBook, ending: Ending | None = None, **fields: Any
) -> Part:
    held = held_call(profile=profile(**({"price_provider": "openai", "model": "gpt-5"} | fields)))
    ended = ending or Ending(200, Outcome.OK, 1_000)
    (part,) = settle(held, ended._replace(usage=usage), book).parts
    return part


def test_a_contract_makes_the_cost_and_the_list_price_stays_beside_it() -> None:
    place = CONTRACT.place("openai", "eu-1", "core")
    part = _part(USAGE, CONTRACT, price_provider=place)
    assert (part.basis, part.cost_nanos) == (Basis.MEASURED, LIST_NANOS * 3 // 4)
    assert part.list_cost_nanos == LIST_NANOS
    assert part.price_key.startswith("custom:acme -2500bp openai/gpt-5")


def test_an_account_without_a_contract_pays_the_list_price() -> None:
    assert CONTRACT.place("openai", "us-1", "core") == "openai"
    part = _part(USAGE, CONTRACT)
    assert part.cost_nanos == part.list_cost_nanos == LIST_NANOS


def test_a_contract_comes_before_what_the_provider_states() -> None:
    place = CONTRACT.place("openai", "eu-1", "core")
    part = _part(USAGE._replace(provider_cost_nanos=999), CONTRACT, price_provider=place)
    assert (part.basis, part.cost_nanos) == (Basis.MEASURED, LIST_NANOS * 3 // 4)


def test_what_a_cache_saved_is_told_at_the_contracts_price() -> None:
    place = CONTRACT.place("openai", "eu-1", "core")
    part = _part(Usage({"cache_read": 1_000}, "gpt-5"), CONTRACT, price_provider=place)
    assert part.cost_nanos == 150_000
    assert part.saved_nanos == 1_500_000 - 150_000


def test_a_price_for_a_model_that_the_book_lacks_is_its_own_list_price() -> None:
    book = BOOK.with_rules(PriceRules([PriceRule("own", model="ft-*", usd={"input": "1"})]))
    place = book.place("openai", "openai", "")
    part = _part(Usage({"input": 10}, "ft-acme"), book, price_provider=place, model="ft-acme")
    assert part.cost_nanos == part.list_cost_nanos == 10_000


def test_flat_rate_calls_cost_nothing_and_say_what_they_are_worth() -> None:
    place = CONTRACT.place("openai", "eu-1", "core")
    part = _part(USAGE, CONTRACT, price_provider=place, flat_rate=True)
    assert (part.basis, part.cost_nanos, part.list_cost_nanos) == (Basis.FLAT_RATE, 0, LIST_NANOS)


def test_a_machine_that_states_its_time_is_measured() -> None:
    usage = Usage({"input": 100, "output": 10, "gpu_ms": 500}, "llama")
    part = _part(usage, LAB, price_provider="lab", model="llama")
    assert (part.basis, part.cost_nanos) == (Basis.MEASURED, 500_000)


def test_for_a_machine_that_does_not_the_duration_of_the_call_is_taken() -> None:
    part = _part(Usage({"input": 100, "output": 10}, "llama"), LAB, price_provider="lab")
    assert part.quantities["gpu_ms"] == 1_000
    assert (part.basis, part.cost_nanos) == (Basis.ESTIMATED, 1_000_000)


def test_a_machine_is_not_billed_for_a_call_that_failed() -> None:
    ending = Ending(503, Outcome.UPSTREAM_ERROR, 1_000)
    part = _part(None, LAB, ending, price_provider="lab")
    assert (part.basis, part.cost_nanos) == (Basis.FREE, 0)


def test_a_call_whose_duration_nobody_knows_is_unpriced() -> None:
    held = held_call(profile=profile(price_provider="lab", model="llama"))
    (part,) = settle_interrupted(held, LAB).parts
    assert (part.basis, part.cost_nanos) == (Basis.UNPRICED, None)
    assert part.reason == "inconsistent_usage:missing_duration"


def test_an_account_without_hourly_prices_is_not_timed() -> None:
    assert "gpu_ms" not in _part(USAGE, LAB).quantities
