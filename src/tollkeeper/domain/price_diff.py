"""What two versions of a price book say differently: models that came and went, prices old → new.

Compared is what the source lists: every price of every model, at every time and under every
condition, so that a price that is to come shows as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from tollkeeper.domain.price_data import ModelRow, PriceRow, ProviderRow, VariantRow
from tollkeeper.domain.price_windows import instant_us

FACTOR_MAX: Final = 3
"""A price that moves by more than this is more often a slip than a price."""


class PriceChange(NamedTuple):
    """One price that differs. ``cell`` says which: condition, prompt size and quantity.

    ``old`` and ``new`` are USD for as many pieces as the quantity is priced for, None where
    there is no price. ``factor`` is new by old as a decimal, None where one of them is
    missing or 0.
    """

    provider: str
    model: str
    cell: str
    old: str | None
    new: str | None
    factor: str | None

    def is_large(self) -> bool:
        """Tell whether somebody should look: more than threefold, to or from 0, or gone."""
        if self.old is None or self.new is None:
            return self.new is None
        old, new = Decimal(self.old), Decimal(self.new)
        return new > old * FACTOR_MAX or old > new * FACTOR_MAX


class BookDiff(NamedTuple):
    """Everything that differs. Models are (provider, model); ``vanished`` are no longer listed."""

    added: list[tuple[str, str]]
    vanished: list[tuple[str, str]]
    changed: list[PriceChange]

    def large(self) -> list[PriceChange]:
        """Give the changes that somebody should look at."""
        return [change for change in self.changed if change.is_large()]


def diff(old: Iterable[ProviderRow], new: Iterable[ProviderRow], at_us: int) -> BookDiff:
    """Compare what two versions say of a time, and of what comes after it."""
    before, after = _models(old), _models(new)
    listed_before = {place for place, model in before.items() if "gone" not in model}
    listed_after = {place for place, model in after.items() if "gone" not in model}
    changed: list[PriceChange] = []
    for place in sorted(listed_before & listed_after):
        changed += _changes(place, _cells(before[place], at_us), _cells(after[place], at_us))
    return BookDiff(
        sorted(listed_after - listed_before), sorted(listed_before - listed_after), changed
    )


def _models(rows: Iterable[ProviderRow]) -> dict[tuple[str, str], ModelRow]:
    return {(row["provider"], model["model"]): model for row in rows for model in row["models"]}


def _changes(
    place: tuple[str, str], old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[PriceChange]:
    for cell in dict.fromkeys((*old, *new)):
        was, became = old.get(cell), new.get(cell)
        if was is None or became is None or Decimal(was) != Decimal(became):
            yield PriceChange(*place, cell, was, became, _factor(was, became))


def _factor(old: str | None, new: str | None) -> str | None:
    if old is None or new is None or not Decimal(old) or not Decimal(new):
        return None
    return f"{Decimal(new) / Decimal(old):.4g}"


def _cells(model: ModelRow, at_us: int) -> dict[str, str]:
    """Give every price that holds at a time or later, by what it is for."""
    cells: dict[str, str] = {}
    rows = model["prices"]
    begun = [row for row in rows if _start_us(row) <= at_us]
    windows = [row for row in begun if row.keys() & {"daily", "weekdays", "holidays"}]
    plain = [row for row in begun if row not in windows]
    for row in (*plain[-1:], *windows):
        cells |= _row_cells(row, _window(row))
    for row in rows:
        if _start_us(row) > at_us:
            cells |= _row_cells(row, f"from {row['since']} {_window(row)}")
    seen: set[tuple[tuple[str, str], ...]] = set()
    for variant in model.get("variants", ()):
        words = tuple(sorted(variant["when"].items()))
        if _start_us(variant) > at_us or words in seen:
            continue
        seen.add(words)
        prefix = "".join(f"{name}={word} " for name, word in words)
        cells |= _row_cells(variant, prefix)
        cells |= {f"{prefix}{it} factor": x for it, x in variant.get("multiply", {}).items()}
    return cells


def _row_cells(row: PriceRow | VariantRow, prefix: str) -> dict[str, str]:
    cells = {f"{prefix}{name}": usd for name, usd in row.get("usd", {}).items()}
    tiers = [*row.get("above", ()), *((n - 1, prices) for n, prices in row.get("at_least", ()))]
    for tokens, prices in tiers:
        cells |= {f"{prefix}over {tokens:,} in {name}": usd for name, usd in prices.items()}
    return cells


def _window(row: PriceRow) -> str:
    words = ["-".join(row["daily"])] if "daily" in row else []
    words += [f"days {','.join(map(str, row['weekdays']))}"] if "weekdays" in row else []
    return "".join(f"{word} " for word in words)


def _start_us(row: PriceRow | VariantRow) -> int:
    return instant_us(row["since"]) if "since" in row else -(2**62)
