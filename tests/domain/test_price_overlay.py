"""Our corrections over a source's prices."""

from __future__ import annotations

import pytest

from tollkeeper.domain.price_data import OverlayRow, ProviderRow
from tollkeeper.domain.price_overlay import with_overlay
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.usage import Usage

SOURCE: ProviderRow = {
    "provider": "p",
    "name": "P",
    "models": [
        {
            "model": "claude-a",
            "prices": [
                {"usd": {"input": "1"}, "above": [(1_000, {"input": "2", "output": "6"})]},
                {"since": "2026-01-01", "usd": {"input": "3"}},
            ],
            "variants": [{"when": {"tier": "batch"}, "usd": {"input": "0.5"}}],
        },
        {"model": "claude-b", "prices": [{"usd": {"input": "4"}}]},
    ],
}


def _row(**fields: object) -> OverlayRow:
    reviewed = {"provider": "p", "reason": "r", "source": "s", "checked": "2026-11-20"}
    return reviewed | fields  # type: ignore[return-value]


def _corrected(*rows: OverlayRow) -> ProviderRow:
    return with_overlay(SOURCE, rows)


def test_rows_of_other_providers_change_nothing() -> None:
    assert _corrected(_row(provider="q", usd={"input": "9"})) == SOURCE


def test_prices_are_set_in_every_row_of_the_history() -> None:
    corrected = _corrected(_row(models=["claude-*"], usd={"web_searches": "10"}))
    prices = [row["usd"] for model in corrected["models"] for row in model["prices"]]
    assert prices == [
        {"input": "1", "web_searches": "10"},
        {"input": "3", "web_searches": "10"},
        {"input": "4", "web_searches": "10"},
    ]
    assert SOURCE["models"][0]["prices"][0]["usd"] == {"input": "1"}


def test_a_price_that_is_set_has_no_old_tiers() -> None:
    corrected = _corrected(_row(models=["claude-a"], usd={"input": "7"}))
    assert corrected["models"][0]["prices"][0]["above"] == [(1_000, {"output": "6"})]
    corrected = _corrected(
        _row(models=["claude-a"], usd={"input": "7"}, above=[(500, {"input": "8"})])
    )
    assert corrected["models"][0]["prices"][0]["above"] == [
        (1_000, {"output": "6"}),
        (500, {"input": "8"}),
    ]


def test_names_variants_places_and_stand_ins() -> None:
    corrected = _corrected(
        _row(
            models=["claude-a"],
            aliases=["other"],
            variants=[{"when": {"tier": "priority"}, "multiply": {"input": "2"}}],
            same_as={"flex": "batch"},
            geo={"us": "1.1"},
            falls_back={"output_image": "output"},
        )
    )["models"][0]
    assert corrected["aliases"] == ["other"]
    assert corrected["variants"] == [
        {"when": {"tier": "priority"}, "multiply": {"input": "2"}},
        {"when": {"tier": "batch"}, "usd": {"input": "0.5"}},
        {"when": {"tier": "flex"}, "usd": {"input": "0.5"}},
    ]
    assert corrected["geo"] == {"us": "1.1"}
    assert corrected["falls_back"] == {"output_image": "output"}


def test_what_concerns_the_whole_provider() -> None:
    corrected = _corrected(
        _row(owns=["claude-"], tiers={"on_demand": ""}, falls_back={"a": "b"}, usd={"pages": "1"}),
        _row(owns=["more-"], tiers={"spot": "flex"}),
    )
    assert corrected["owns"] == ["claude-", "more-"]
    assert corrected["tiers"] == {"on_demand": "", "spot": "flex"}
    assert corrected["falls_back"] == {"a": "b"}
    assert corrected["usd"] == {"pages": "1"}


def test_added_models_can_be_priced() -> None:
    added = _row(adds=[{"model": "new", "prices": [{"usd": {"input": "5"}}]}])
    book = PriceBook("v", {"p": _corrected(added)})
    assert book.price("p", "new", Usage({"input": 1}), 0).nanos == 5_000


def test_a_row_that_fits_nothing_wants_a_review() -> None:
    with pytest.raises(ValueError, match="lists no model 'gone'"):
        _corrected(_row(models=["gone"], usd={"input": "1"}))
    with pytest.raises(ValueError, match="no prices for tier 'batch'"):
        _corrected(_row(models=["claude-b"], same_as={"flex": "batch"}))
