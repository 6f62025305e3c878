"""Lines that explain an entry's cost: they add up to it, or there are none."""

from __future__ import annotations

from fractions import Fraction

import pytest

from demo_entries import demo_entries
from ledger_entries import held_call, profile
from tollkeeper.domain.corrections import Booking, correction
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome, entries_of
from tollkeeper.domain.price_data import ProviderRow
from tollkeeper.domain.pricing import PriceBook, RateCard
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.domain.usage import Usage
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.explanation import explain, explanation_of
from tollkeeper.services.repricing import CurrentPrices, repriced
from tollkeeper.services.settlement import Ending, settle

NOW_US = instant_us("2026-11-20")
OPENAI: ProviderRow = {
    "provider": "openai",
    "name": "OpenAI",
    "models": [
        {
            "model": "gpt-4.1",
            "prices": [
                {
                    "usd": {"input": "2", "output": "8", "web_searches": "10", "requests": "3"},
                    "above": [(200_000, {"input": "4"})],
                }
            ],
            "variants": [
                {"when": {"tier": "flex"}, "multiply": {"input": "0.5", "output": "0.5"}},
                {"when": {"tier": "batch"}, "multiply": {"input": "0.25", "output": "0.25"}},
                {"when": {"tier": "batch+flex"}, "multiply": {"input": "0.1", "output": "0.1"}},
                {"when": {"speed": "fast"}, "usd": {"input": "9"}},
            ],
            "geo": {"us": "1.1"},
        }
    ],
}


def book(row: ProviderRow = OPENAI) -> PriceBook:
    return PriceBook("v1", {"openai": row}, {"vertex": "google"})


def entry_of(usage: Usage, prices: PriceBook, **changes: object) -> LedgerEntry:
    """Settle one call as the gateway does."""
    held = held_call(started_at_us=NOW_US, profile=profile(**changes))
    return entries_of(held, settle(held, Ending(200, Outcome.OK, 10, usage=usage), prices))[0]


def total(entry: LedgerEntry, prices: PriceBook) -> int:
    lines = explain(entry, prices)
    assert lines
    return round(sum(Fraction(line.cost or "x") for line in lines) * 10**9)


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"tier": "flex"},
        {"tier": "default"},
        {"batch": True},
        {"batch": True, "tier": "flex"},
        {"speed": "fast"},
        {"geo": "us"},
        {"tier": "flex", "geo": "us"},
    ],
    ids=str,
)
def test_lines_add_up_whatever_was_served(conditions: dict[str, object]) -> None:
    for count in (1, 999, 300_000):
        usage = Usage(
            {"input": count, "output": 7, "web_searches": 2}, model="gpt-4.1", **conditions
        )
        entry = entry_of(usage, book())
        assert entry.basis == Basis.MEASURED
        assert total(entry, book()) == entry.cost_nanos
        named = {line.quantity: line.count for line in explain(entry, book())}
        assert named == {"input": count, "output": 7, "web_searches": 2, "requests": 1}


def test_an_operators_own_prices_are_found_under_the_providers_name() -> None:
    prices = book().with_cards({"lab": RateCard.custom({"input": "1", "output": "2"})})
    entry = entry_of(
        Usage({"input": 5, "output": 6}, model="qwen3"),
        prices,
        provider="lab",
        price_provider="lab",
        model="qwen3",
    )
    assert total(entry, prices) == entry.cost_nanos == 5_000 + 12_000


def test_another_account_of_a_vendor_is_priced_by_the_vendors_list() -> None:
    entry = entry_of(Usage({"input": 5}, model="gpt-4.1"), book(), provider="openai-eu")
    assert total(entry, book()) == entry.cost_nanos


def test_there_are_none_when_the_book_says_otherwise_by_now() -> None:
    entry = entry_of(Usage({"input": 5}, model="gpt-4.1"), book())
    dearer: ProviderRow = {
        **OPENAI,
        "models": [{"model": "gpt-4.1", "prices": [{"usd": {"input": "3", "requests": "3"}}]}],
    }
    assert explain(entry, book(dearer)) == ()


def test_what_has_no_price_is_shown_without_one_until_it_has() -> None:
    entry = entry_of(Usage({"input": 5, "pages": 2}, model="gpt-4.1"), book())
    assert entry.cost_nanos is None
    assert [line.quantity for line in explain(entry, book()) if line.cost is None] == ["pages"]
    priced: ProviderRow = {
        **OPENAI,
        "models": [{"model": "gpt-4.1", "prices": [{"usd": {"input": "3", "pages": "3"}}]}],
    }
    assert explain(entry, book(priced)) == ()


def test_an_entry_that_looked_up_no_price_has_none() -> None:
    held = held_call(started_at_us=NOW_US)
    for ending in (Ending(500, Outcome.UPSTREAM_ERROR, 1), Ending(0, Outcome.OK, 1, unknown=True)):
        (entry,) = entries_of(held, settle(held, ending, book()))
        assert explain(entry, book()) == ()


def test_every_priced_call_of_a_company_is_explained() -> None:
    shipped = shipped_price_book()
    explained = 0
    for entry in demo_entries(NOW_US, 500):
        if entry.basis in {Basis.MEASURED, Basis.ESTIMATED} and not entry.corrects:
            assert total(entry, shipped) == entry.list_cost_nanos
            explained += 1
        elif entry.corrects:
            assert explain(entry, shipped) == ()
    assert explained > 400


def test_an_old_call_is_explained_by_the_book_that_priced_it() -> None:
    entry = entry_of(Usage({"input": 5}, model="gpt-4.1"), book())
    dearer: ProviderRow = {
        **OPENAI,
        "models": [{"model": "gpt-4.1", "prices": [{"usd": {"input": "3", "requests": "3"}}]}],
    }
    now = PriceBook("v2", {"openai": dearer})
    asked: list[str] = []

    def former(version: str) -> PriceBook | None:
        asked.append(version)
        return book()

    found = explanation_of(entry, now, former)
    assert [line.price for line in found.lines] == ["2.00", "3.00"]
    assert (found.source, found.standing, asked) == ("genai-prices", "single", ["v1"])
    assert explanation_of(entry, now, lambda version: None).lines == ()
    # Own prices of then are not kept: those of now are tried over the old book.
    own = RateCard.custom({"input": "7"})
    priced = entry_of(
        Usage({"input": 5}), now.with_cards({"lab": own}), provider="lab", price_provider="lab"
    )
    newer = PriceBook("v3", {"openai": OPENAI}).with_cards({"lab": own})
    found = explanation_of(priced, newer, lambda version: now)
    assert [line.price for line in found.lines] == ["7.00"]
    assert (found.source, found.standing) == ("own prices", "")


def test_a_correction_is_explained_and_what_it_takes_back_is_not() -> None:
    entry = entry_of(Usage({"input": 5}, model="gpt-4.1"), PriceBook("v0", {}))
    part = repriced(entry, CurrentPrices(book(), {}))
    assert part is not None
    back, anew = correction(Booking(entry, entry), part, "v1", NOW_US)
    assert explain(back, book()) == ()
    assert total(anew, book()) == anew.cost_nanos == 3_010_000
    assert (back.cost_nanos, back.input_tokens, back.unpriced_reason) == (None, -5, "unknown_model")
