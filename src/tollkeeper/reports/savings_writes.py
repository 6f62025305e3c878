"""What writing to the providers' caches cost beyond plain input, at the prices of each call.

Sums of calls that used a cache know all that this depends on, but for prices that change above a
size of the prompt that they do not tell apart: then single entries are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Scope
from tollkeeper.domain.money import usd
from tollkeeper.domain.price_sums import piece_price, rounded_nanos
from tollkeeper.domain.prompt_sizes import PROMPT_SIZES
from tollkeeper.ports import Ledger
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.savings_findings import GROUPS_MAX
from tollkeeper.reports.savings_prices import (
    Cuts,
    SavingsPrices,
    conditions_of_row,
    cuts_of,
    interval_of,
    paid,
    price_keys,
    step_of,
)
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

_DIMENSIONS: Final = ("provider", "model", "basis")
_ROWS_MAX: Final = GROUPS_MAX * 4
_WRITTEN: Final = (
    (u.CACHE_WRITE, "cache_write_tokens"),
    (u.CACHE_WRITE_1H, "cache_write_1h_tokens"),
)


class _Shape(NamedTuple):
    """What of the query is part of its SQL text: how many edges and steps of ``Cuts``."""

    selection: SelectionShape
    edges: int
    steps: int


class _Found(NamedTuple):
    """Calls that wrote to a cache, put together between cuts, and what was asked for them."""

    rows: list[dict[str, Any]]
    cuts: Cuts
    by_size: bool

    def prompt_tokens(self, row: Mapping[str, Any]) -> int:
        """Give a size of prompts that costs as much as those of a row do."""
        size = int(row["prompt_"])
        return size if self.by_size else self.cuts.prompt_tokens(size)


def written_usd(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    prices: SavingsPrices,
) -> Decimal | None:
    """Say what writing cost more than the same tokens would have as input.

    None where a price is not known, or there are more of them than are read.
    """
    selection = Selection(scope, period.start_us, period.end_us, filters, period.zone)
    found = _found(ledger, selection.with_caches(_DIMENSIONS, ()), Cuts(period.start_us))
    cuts = _cuts(found.rows, period, prices)
    sizes_known = found.by_size and not set(cuts.steps).difference(PROMPT_SIZES)
    if cuts.edges_us or (cuts.steps and not sizes_known):
        if sizes_known:
            selection = selection.with_caches(_DIMENSIONS, cuts.edges_us)
        found = _found(ledger, selection, cuts)
    return None if len(found.rows) >= _ROWS_MAX else _priced(found, prices)


def _found(ledger: Ledger, selection: Selection, cuts: Cuts) -> _Found:
    by_size = selection.of_caches
    asked = cuts._replace(steps=()) if by_size else cuts
    shape = _Shape(selection.shape(), len(asked.edges_us), len(asked.steps))
    rows = ledger.run(_by_price(ledger, shape), selection.values() | asked.values())
    return _Found(rows, asked, by_size)


def _cuts(rows: Iterable[Mapping[str, Any]], period: Period, prices: SavingsPrices) -> Cuts:
    wanted = ((prices.place_of(row), row["model"], conditions_of_row(row)) for row in rows)
    return cuts_of(prices.book, wanted, period.start_us, period.end_us)


@lru_cache(16)
def _by_price(ledger: Ledger, shape: _Shape) -> ir.Table:
    table = selected(ledger, shape.selection)
    if shape.selection.caches:
        table = table.filter(table.prompt_from.notnull())
        prompt = table.prompt_from
    else:
        table = paid(table)
        table = table.filter((table.cache_write_tokens != 0) | (table.cache_write_1h_tokens != 0))
        prompt = step_of(table.tokens_in.abs(), shape.steps)
    keys = price_keys(ledger, table) | {
        "interval_": interval_of(table.started_at, shape.edges),
        "prompt_": prompt,
    }
    sums = {field: table[field].sum() for _, field in _WRITTEN}
    return table.group_by(**keys).agg(**sums).order_by(*keys).limit(_ROWS_MAX)


def _priced(found: _Found, prices: SavingsPrices) -> Decimal | None:
    units = []
    for row in found.rows:
        plan = prices.book.plan(
            *(prices.place_of(row), row["model"], conditions_of_row(row)),
            found.cuts.at_us(row["interval_"]),
        )
        prompt = found.prompt_tokens(row)
        plain = piece_price(plan, prompt, u.INPUT)
        for quantity, field in _WRITTEN:
            price = piece_price(plan, prompt, quantity)
            if row[field] and (price is None or plain is None):
                return None
            units.append(((price or 0) - (plain or 0)) * int(row[field]))
    return usd(rounded_nanos(units))
