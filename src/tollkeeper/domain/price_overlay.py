"""Our own reviewed corrections, laid over the prices of one provider.

The compiled book stays what its source says; what the source has wrong or lacks stands in
the overlay, row by row with a reason, and is applied when the book is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tollkeeper.domain.price_data import ModelRow, OverlayRow, PriceRow, ProviderRow, VariantRow


def with_overlay(provider: ProviderRow, rows: Iterable[OverlayRow]) -> ProviderRow:
    """Apply the rows that concern a provider, in order.

    Raises ValueError for a row that names a model which the provider does not list: then
    the source has changed, and the row wants a new review.
    """
    for row in rows:
        if row["provider"] == provider["provider"]:
            provider = _with_row(provider, row)
    return provider


def _with_row(provider: ProviderRow, row: OverlayRow) -> ProviderRow:
    changed: ProviderRow = {**provider}
    changed["models"] = [*row.get("adds", ()), *provider["models"]]  # the first to name itself wins
    if "owns" in row:
        changed["owns"] = [*provider.get("owns", ()), *row["owns"]]
    if "tiers" in row:
        changed["tiers"] = {**provider.get("tiers", {}), **row["tiers"]}
    if "models" in row:
        changed["models"] = _with_models(changed, row)
        return changed
    if "falls_back" in row:
        changed["falls_back"] = {**provider.get("falls_back", {}), **row["falls_back"]}
    if "usd" in row:
        changed["usd"] = {**provider.get("usd", {}), **row["usd"]}
    return changed


def _with_models(provider: ProviderRow, row: OverlayRow) -> list[ModelRow]:
    models = list(provider["models"])
    for pattern in row["models"]:
        matching = [i for i, model in enumerate(models) if fnmatchcase(model["model"], pattern)]
        if not matching:
            raise ValueError(f"overlay: {provider['provider']} lists no model {pattern!r}")
        for index in matching:
            models[index] = _corrected(models[index], row)
    return models


def _corrected(model: ModelRow, row: OverlayRow) -> ModelRow:
    corrected: ModelRow = {**model}
    if "aliases" in row:
        corrected["aliases"] = [*model.get("aliases", ()), *row["aliases"]]
    if "usd" in row:
        corrected["prices"] = [_repriced(old, row) for old in model["prices"]]
    if "variants" in row:
        corrected["variants"] = [*row["variants"], *model.get("variants", ())]
    for tier, other in row.get("same_as", {}).items():
        copies: list[VariantRow] = [
            {**variant, "when": {"tier": tier}}
            for variant in corrected.get("variants", ())
            if variant["when"] == {"tier": other}
        ]
        if not copies:
            raise ValueError(f"overlay: {model['model']!r} has no prices for tier {other!r}")
        corrected["variants"] = [*corrected.get("variants", ()), *copies]
    if "geo" in row:
        corrected["geo"] = {**model.get("geo", {}), **row["geo"]}
    if "falls_back" in row:
        corrected["falls_back"] = {**model.get("falls_back", {}), **row["falls_back"]}
    return corrected


def _repriced(old: PriceRow, row: OverlayRow) -> PriceRow:
    """Replace prices, long-context tiers of the same quantities included."""
    usd = row["usd"]
    kept = [
        (tokens, {name: price for name, price in prices.items() if name not in usd})
        for tokens, prices in old.get("above", ())
    ]
    above = [(tokens, prices) for tokens, prices in kept if prices] + list(row.get("above", ()))
    repriced: PriceRow = {**old, "usd": {**old["usd"], **usd}}
    if "above" in old or above:
        repriced["above"] = above
    return repriced
