"""What is laid over the prices of one provider: what other sources add, and our corrections.

The compiled book stays what its source says. What it lacks and another source has fills its
gaps; what it has wrong stands in the overlay, row by row with a reason. Both are applied when
the book is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from tollkeeper.domain.bedrock_names import AMAZON, BedrockModels
from tollkeeper.domain.price_data import (
    GapRow,
    ModelRow,
    OverlayRow,
    PriceRow,
    ProviderRow,
    VariantRow,
)


def with_gaps(provider: ProviderRow, rows: Iterable[GapRow]) -> ProviderRow:
    """Fill the gaps of a provider; what it says itself is never replaced.

    A model that the provider lists by now under any of its names is not added; at Amazon these
    are also the names that lead to a row by region and version.
    """
    listed = BedrockModels(provider["models"]) if provider["provider"] == AMAZON else None
    models = {model["model"]: model for model in provider["models"]}
    taken = {name for model in models.values() for name in model.get("aliases", ())}
    taken |= {name.lower() for name in models}
    added: list[ModelRow] = []
    for row in rows:
        name = row["model"]
        if name in models:
            models[name] = _filled(models[name], row)
        elif listed is not None and listed.find(name) is not None:
            continue
        elif "prices" in row and name.lower() not in taken:
            added.append(_model(row, taken))
    return {**provider, "models": [*models.values(), *added]}


def _model(row: GapRow, taken: set[str]) -> ModelRow:
    model: ModelRow = {"model": row["model"], "prices": row["prices"]}
    aliases = [name for name in row.get("aliases", ()) if name not in taken]
    if aliases:
        model["aliases"] = aliases
    if "variants" in row:
        model["variants"] = row["variants"]
    if "geo" in row:
        model["geo"] = row["geo"]
    if "votes" in row:
        model["votes"] = row["votes"]
    if "said_by" in row:
        model["said_by"] = row["said_by"]
    return model


def _filled(model: ModelRow, row: GapRow) -> ModelRow:
    filled: ModelRow = {**model}
    if "fills" in row:
        fills = row["fills"]
        filled["prices"] = [{**old, "usd": {**fills, **old["usd"]}} for old in model["prices"]]
    if "variants" in row:
        # Behind the model's own: the first variant that names a quantity decides.
        filled["variants"] = [*model.get("variants", ()), *row["variants"]]
    if "geo" in row:
        filled["geo"] = {**row["geo"], **model.get("geo", {})}
    if "votes" in row:
        filled["votes"] = row["votes"]
    return filled


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
    if "renamed" in row:
        changed["renamed"] = {**provider.get("renamed", {}), **row["renamed"]}
    if "calendars" in row:
        changed["calendars"] = {**provider.get("calendars", {}), **row["calendars"]}
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
    if "prices" in row:
        corrected["prices"] = _replaced(model, row["prices"])
    if "past" in row:
        corrected["prices"] = _with_past(model["prices"], row["past"], row["until"])
    if "without" in row:
        corrected["prices"] = [_without(old, row["without"]) for old in corrected["prices"]]
    if "usd" in row:
        corrected["prices"] = [_repriced(old, row) for old in corrected["prices"]]
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
    replaced = {it: price for it, price in old["usd"].items() if usd.get(it, price) != price}
    if replaced:
        repriced["replaced"] = {**replaced, **old.get("replaced", {})}
    if "above" in old or above:
        repriced["above"] = above
    return repriced


def _replaced(model: ModelRow, prices: Sequence[PriceRow]) -> list[PriceRow]:
    """Replace a whole history; the latest of it keeps what the source has different now."""
    said = [row for row in model["prices"] if "daily" not in row][-1]["usd"]
    latest = [row.get("since") for row in prices if "daily" not in row][-1]
    rows: list[PriceRow] = []
    for row in prices:
        other = {it: usd for it, usd in said.items() if row["usd"].get(it, usd) != usd}
        is_latest = row.get("since") == latest
        rows.append({**row, "replaced": other} if other and is_latest else row)
    return rows


def _with_past(prices: Sequence[PriceRow], past: Sequence[PriceRow], until: str) -> list[PriceRow]:
    """Replace what a model cost before a moment; what the source has from then on stays."""
    before = [row for row in prices if row.get("since", "") <= until]
    plain = [place for place, row in enumerate(before) if "daily" not in row]
    in_force: list[PriceRow] = [{**row, "since": until} for row in before[plain[-1] :]]
    return [*past, *in_force, *prices[len(before) :]]


def _without(old: PriceRow, names: Sequence[str]) -> PriceRow:
    """Take prices away, with their long-context tiers."""
    left: PriceRow = {**old, "usd": {it: usd for it, usd in old["usd"].items() if it not in names}}
    if "above" in old:
        left["above"] = [
            (tokens, {it: usd for it, usd in prices.items() if it not in names})
            for tokens, prices in old["above"]
        ]
    return left
