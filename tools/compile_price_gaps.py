"""Compiles what fills the gaps of the price book, and what other sources say of its prices.

    .venv/bin/python tools/compile_price_gaps.py --wheels FOLDER

A model that genai-prices lists is never repriced: it gets the quantities, tiers and places that
it lacks, and the votes of LiteLLM and models.dev on what it has. A model that it does not list
is added, marked with who says so. The folder is that of compile_price_history.py. Of LiteLLM's
wheels the newest counts; older ones only give models that it has deleted since. Nothing is
imported. The same files give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from litellm_prices import PUBLISHED, Listed, read_wheel
from models_dev_prices import PACKED, Vote, read_package
from tollkeeper.domain import usage as u
from tollkeeper.domain.price_data import OverlayRow, ProviderRow
from tollkeeper.domain.price_match import PriceList
from tollkeeper.domain.price_overlay import with_overlay
from tollkeeper.domain.price_windows import instant_us
from tollkeeper.providers.price_text import book_rows, gaps_text
from tollkeeper.providers.price_versions import PRICES

LITELLM = "litellm"
MODELS_DEV = "models.dev"
NOW_US = instant_us("2026-11-12T12:00")
REGIONS = {"us", "eu", "apac", "jp", "au", "ap", "ca", "regional"}
CORRECTIONS = msgspec.json.Decoder(OverlayRow).decode_lines((PRICES / "overlay.jsonl").read_bytes())
_ORDER = {"exact": 0, "alias": 1, "renamed": 1, "dated": 2}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True)
    wheels_folder = parser.parse_args().wheels
    book = book_rows((PRICES / "book.jsonl").read_bytes())
    newest_first = sorted(PUBLISHED, key=lambda version: PUBLISHED[version], reverse=True)
    wheels = [
        (version, read_wheel(next(wheels_folder.glob(f"litellm-{version}-*.whl"))))
        for version in newest_first
    ]
    text = compiled(book, wheels, read_package(wheels_folder / PACKED))
    target = PRICES / "gaps.jsonl"
    target.write_bytes(text)
    print(f"wrote {target.name}: {len(text):,} bytes")
    return 0


def compiled(
    book: list[ProviderRow], wheels: list[tuple[str, list[Listed]]], votes: Iterable[Vote]
) -> bytes:
    """Give the text of the gaps."""
    gaps = _Gaps(book)
    for number, (version, listed) in enumerate(wheels):
        # A provider's own list comes before the one that resells it.
        for it in sorted(listed, key=lambda row: row.secondary):
            gaps.add(it, f"{LITELLM} {version}", is_current=not number)
    for vote in votes:
        gaps.vote(vote)
    return gaps_text(gaps.rows())


class _Gaps:
    def __init__(self, book: list[ProviderRow]) -> None:
        self._book = {row["provider"]: row for row in book}
        self._lists = {name: PriceList(_corrected(row)) for name, row in self._book.items()}
        self._models = {
            name: {model["model"]: model for model in row["models"]}
            for name, row in self._book.items()
        }
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}
        self._best: dict[tuple[str, str, str], int] = {}

    def add(self, it: Listed, source: str, *, is_current: bool) -> None:
        """Take one model of LiteLLM: as a vote and for what is missing, or as a new model."""
        found = self._find(it.provider, it.model)
        if found is None and not self._is_borrowed(it.provider, it.model):
            self._add_new(it, source, is_current=is_current)
        elif found is not None and is_current:
            model, rank = found
            if self._is_better(it.provider, model["model"], LITELLM, rank):
                self._fill(it, model, source)

    def vote(self, vote: Vote) -> None:
        """Take one vote of models.dev; it adds nothing else."""
        found = self._find(vote.provider, vote.model)
        if found and self._is_better(vote.provider, found[0]["model"], MODELS_DEV, found[1]):
            said = {it: usd for it, usd in vote.usd.items() if it in _latest(found[0])}
            if said:
                row = self._row(vote.provider, found[0]["model"])
                row.setdefault("votes", {})[MODELS_DEV] = said

    def rows(self) -> list[dict[str, Any]]:
        """Give all rows, provider by provider: first those of the book, then the others."""
        names = sorted(self._rows, key=lambda name: (name not in self._book, name))
        return [
            {
                "provider": name,
                "name": self._book[name]["name"] if name in self._book else name,
                "models": [self._rows[name][model] for model in sorted(self._rows[name])],
            }
            for name in names
            if self._rows[name]
        ]

    def _find(self, provider: str, model: str) -> tuple[Any, int] | None:
        """Find what the source itself lists, and how surely it is the same model."""
        if provider not in self._lists:
            return None
        found = self._lists[provider].find(model, NOW_US)
        if found is None or found.rule not in _ORDER:
            return None
        row = self._models[provider].get(found.row["model"])
        is_regional = provider == "aws" and found.row["model"].startswith("regional.")
        if is_regional and model.partition(".")[0] not in REGIONS:
            return None  # they list the worldwide price under the bare name
        return None if row is None else (row, _ORDER[found.rule])

    def _is_borrowed(self, provider: str, model: str) -> bool:
        """Tell whether the source prices a model here as its maker does."""
        lenders = self._book[provider].get("borrows", ()) if provider in self._book else ()
        return any(self._lists[lender].find(model, NOW_US) for lender in lenders)

    def _is_better(self, provider: str, model: str, voter: str, rank: int) -> bool:
        best = self._best.setdefault((provider, model, voter), 9)
        self._best[provider, model, voter] = min(best, rank)
        return rank < best

    def _row(self, provider: str, model: str) -> dict[str, Any]:
        return self._rows.setdefault(provider, {}).setdefault(model, {"model": model})

    def _fill(self, it: Listed, model: Mapping[str, Any], source: str) -> None:
        row = self._row(it.provider, model["model"])
        has = _latest(model)
        ordinary, _, variants = _prices(it)
        usd = ordinary["usd"]
        said = {name: price for name, price in usd.items() if name in has}
        for tokens, prices in (*ordinary.get("above", ()), *ordinary.get("at_least", ())):
            said.update({f"above={tokens} {name}": usd for name, usd in prices.items()})
        for variant in variants:
            words = " ".join(f"{name}={word}" for name, word in variant["when"].items())
            said.update({f"{words} {name}": price for name, price in variant["usd"].items()})
        if said:
            row.setdefault("votes", {})[LITELLM] = said
        if any(Decimal(price) != Decimal(has[it]) for it, price in said.items() if it in has):
            return  # it means another price list: what it has besides is of that one, too
        fills = {name: price for name, price in usd.items() if _is_missing(name, price, has)}
        if fills:
            row["fills"] = fills
        known = [variant["when"] for variant in model.get("variants", ())]
        missing = []
        for variant in variants:
            names = fills if variant["when"] in known else variant["usd"]
            missing += _in_proportion(variant, usd, [name for name in names if name in usd])
        if missing:
            row["variants"] = missing
        if it.geo:
            row["geo"] = it.geo
        if fills or missing or it.geo:
            row["said_by"] = source

    def _add_new(self, it: Listed, source: str, *, is_current: bool) -> None:
        known = self._rows.get(it.provider, {}).get(it.model)
        ordinary, noise, variants = _prices(it)
        if known and "prices" in known:
            if known["said_by"] == source:  # the same model in another size
                known["variants"] = [*known.get("variants", ()), *variants]
                if any("size" in variant["when"] for variant in variants):
                    known["prices"][0]["usd"].pop(u.IMAGES, None)
                if not known["prices"][0]["usd"]:
                    known["prices"] = [ordinary]
            return
        if not ordinary["usd"] and not variants:
            return
        row: dict[str, Any] = {"model": it.model, "said_by": source, "prices": [ordinary]}
        if noise:
            row["prices"] = [{**ordinary, "source_usd": noise}]
        aliases = _aliases(it)
        if aliases:
            row["aliases"] = aliases
        if variants:
            row["variants"] = variants
        if it.geo:
            row["geo"] = it.geo
        self._rows.setdefault(it.provider, {})[it.model] = row


def _corrected(row: ProviderRow) -> ProviderRow:
    """Lay our corrections over a provider, as far as they need no gap to be filled first."""
    for correction in CORRECTIONS:
        with suppress(ValueError):
            row = with_overlay(row, [correction])
    return row


def _is_missing(name: str, price: str, has: Mapping[str, str]) -> bool:
    """Tell whether a price is new: not known, and not the one that stands in for it anyway."""
    if name in has or price == "0":
        return False
    parent = u.INPUT if name in u.INPUT_TOKENS else u.OUTPUT if name in u.OUTPUT_TOKENS else ""
    return has.get(parent) != price


def _in_proportion(
    variant: Mapping[str, Any], usd: Mapping[str, str], names: Iterable[str]
) -> list[dict[str, Any]]:
    """Give a variant as factors where they are exact: the ordinary price may have a history."""
    factors, fixed = {}, {}
    for name in names:
        if name not in variant["usd"]:
            continue
        price, ordinary = Decimal(variant["usd"][name]), Decimal(usd[name])
        factor = price / ordinary if ordinary else Decimal(0)
        if factor * ordinary == price and len(factor.normalize().as_tuple().digits) <= 6:
            factors[name] = f"{factor.normalize():f}"
        else:
            fixed[name] = variant["usd"][name]
    row: dict[str, Any] = {"when": variant["when"]}
    if fixed:
        row["usd"] = fixed
    if factors:
        row["multiply"] = factors
    return [row] if factors or fixed else []


def _aliases(it: Listed) -> list[str]:
    if it.provider == "fireworks" and "/" in it.model:
        return [it.model.rpartition("/")[2].lower()]
    return []


def _latest(model: Mapping[str, Any]) -> Mapping[str, str]:
    begun = [it for it in model["prices"] if "since" not in it or instant_us(it["since"]) <= NOW_US]
    rows = [row for row in begun if "daily" not in row]
    usd: Mapping[str, str] = rows[-1]["usd"]
    return usd


def _prices(it: Listed) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """Give a model's ordinary prices, what they were literally, and its variants."""
    noise = {
        cell.quantity: cell.literal
        for cell in it.cells
        if not cell.when and not cell.tokens and cell.literal != cell.usd
    }
    ordinary = _row_of(it, ())
    conditions = dict.fromkeys(cell.when for cell in it.cells if cell.when)
    if any("size" in dict(when) for when in conditions):
        ordinary["usd"].pop(u.IMAGES, None)  # a picture whose size is not known has no price
    variants = [{"when": dict(when), **_row_of(it, when)} for when in conditions]
    for variant in variants:
        for kind in ("above", "at_least"):
            for _, prices in variant.get(kind, ()):
                for name in [name for name in prices if name not in variant["usd"]]:
                    del prices[name]
            if kind in variant:
                variant[kind] = [step for step in variant[kind] if step[1]]
    return ordinary, noise, [variant for variant in variants if variant["usd"]]


def _row_of(it: Listed, when: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    row: dict[str, Any] = {"usd": {}}
    steps: dict[str, dict[int, dict[str, str]]] = {}
    for cell in it.cells:
        if cell.when != when:
            continue
        if when and not Decimal(cell.usd):
            continue  # a field that is there and not meant
        if not cell.tokens:
            row["usd"].setdefault(cell.quantity, cell.usd)
        else:
            steps.setdefault(cell.kind, {}).setdefault(cell.tokens, {})[cell.quantity] = cell.usd
    for kind, found in steps.items():
        kept = {
            tokens: {name: usd for name, usd in prices.items() if name in row["usd"]}
            for tokens, prices in sorted(found.items())
        }
        listed = [[tokens, prices] for tokens, prices in kept.items() if prices]
        if listed:
            row[kind] = listed
    return row


if __name__ == "__main__":
    sys.exit(main())
