"""Our corrections over a source's prices."""

from __future__ import annotations

import pytest

from tollkeeper.domain.price_data import OverlayRow, PriceRow, ProviderRow
from tollkeeper.domain.price_overlay import with_gaps, with_overlay
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
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


def test_a_past_ends_where_the_source_is_right_again() -> None:
    night: PriceRow = {"usd": {"input": "2"}, "since": "2026-02-01", "daily": ("01:00", "04:00")}
    source: ProviderRow = {
        "provider": "p",
        "name": "P",
        "models": [
            {
                "model": "m",
                "prices": [
                    {"usd": {"input": "9"}},
                    {"usd": {"input": "4"}, "since": "2026-02-01"},
                    night,
                    {"usd": {"input": "5"}, "since": "2026-06-01"},
                ],
            }
        ],
    }
    past: list[PriceRow] = [{"usd": {"input": "7"}}, {"usd": {"input": "6"}, "since": "2026-01-01"}]
    row = _row(models=["m"], past=past, until="2026-03-01")
    assert with_overlay(source, [row])["models"][0]["prices"] == [
        *past,
        {"usd": {"input": "4"}, "since": "2026-03-01"},
        {**night, "since": "2026-03-01"},
        {"usd": {"input": "5"}, "since": "2026-06-01"},
    ]
    row = _row(models=["m"], past=past[:1], until="2026-02-01")
    assert with_overlay(source, [row])["models"][0]["prices"] == [
        past[0],
        *source["models"][0]["prices"][1:],
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


def test_gaps_are_filled_and_nothing_is_replaced() -> None:
    filled = with_gaps(
        SOURCE,
        [
            {
                "model": "claude-a",
                "fills": {"cache_read": "0.1", "input": "99"},
                "variants": [
                    {"when": {"tier": "batch"}, "usd": {"input": "99", "cache_read": "0.05"}},
                    {"when": {"tier": "flex"}, "multiply": {"input": "0.5"}},
                ],
                "geo": {"us": "1.1"},
                "votes": {"other": {"input": "3"}},
            },
            {"model": "claude-b", "prices": [{"usd": {"input": "99"}}]},
            {"model": "claude-c", "said_by": "other", "prices": [{"usd": {"input": "7"}}]},
            {"model": "unknown", "fills": {"input": "1"}},
        ],
    )
    models = {model["model"]: model for model in filled["models"]}
    assert sorted(models) == ["claude-a", "claude-b", "claude-c"]
    assert models["claude-b"] == {"model": "claude-b", "prices": [{"usd": {"input": "4"}}]}
    assert models["claude-c"]["said_by"] == "other"
    book = PriceBook("v", {"p": filled})
    now = instant_us("2026-06-01")

    def cost(name: str, model: str = "claude-a", **served: str) -> int | None:
        usage = Usage({name: 100}, **served)  # type: ignore[arg-type]
        return book.price("p", model, usage, now).nanos

    assert (cost("input"), cost("cache_read")) == (300_000, 10_000)
    assert (cost("input", tier="batch"), cost("cache_read", tier="batch")) == (50_000, 5_000)
    assert cost("input", tier="flex") == 150_000
    assert cost("input", geo="us") == 330_000
    assert cost("input", model="claude-c") == 700_000


def test_a_whole_history_a_name_and_a_calendar_can_be_put_right() -> None:
    corrected = _corrected(
        _row(
            models=["claude-a"],
            prices=[{"usd": {"input": "8"}}, {"since": "2026-02-01", "usd": {"input": "9"}}],
            without=["output"],
        ),
        _row(renamed={"claude-latest": [("2026-01-01", "claude-b"), ("2026-03-01", "claude-a")]}),
        _row(calendars={"here": ["2026-01-01"]}),
    )
    book = PriceBook("v", {"p": corrected})

    def cost(model: str, at: str) -> int | None:
        return book.price("p", model, Usage({"input": 1_000_000}), instant_us(at)).nanos

    assert cost("claude-a", "2026-01-31") == 8 * 10**9
    assert cost("claude-a", "2026-02-01") == 9 * 10**9
    assert cost("claude-latest", "2025-01-01") == cost("claude-latest", "2026-02-01") == 4 * 10**9
    assert cost("claude-latest", "2026-03-01") == 9 * 10**9
    latest = corrected["models"][0]["prices"][1]
    assert latest["replaced"] == {"input": "3"}
    assert corrected["calendars"] == {"here": ["2026-01-01"]}
