"""Calls put together by what their price depends on, so that few sums price any number of them.

Prices change at moments and above prompt sizes. Where they do is looked up in the price book
first; the engine then sums tokens between those cuts, and every sum has one price.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.ledger import TOKEN_FIELDS, UNPAID, Outcome
from tollkeeper.domain.price_plan import PricePlan
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import Conditions
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.savings_findings import GROUPS_MAX, in_either, is_now
from tollkeeper.reports.savings_rules import SMALL_IN_TOKENS, SMALL_OUT_TOKENS
from tollkeeper.reports.selection import SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

ALL: Final = "all"
SMALL: Final = "small"

_EDGE: Final = "price_edge"  # a selection has edges of its own
_SHAPES_REMEMBERED: Final = 64
_CONDITIONS: Final = ("tier_served", "batch", "speed", "geo", "terms")
PRICE_KEYS: Final = ("provider", "price_provider", "model", *_CONDITIONS)
"""What a price depends on, besides time and size of the prompt."""


class SavingsPrices(NamedTuple):
    """What prices are found with now: the book, and where each account stands in it."""

    book: PriceBook
    accounts: Mapping[str, str]

    def base_of(self, account: str) -> str:
        """Give the book's provider of an operator's provider."""
        return self.accounts.get(account, account)

    def place_of(self, row: Mapping[str, Any]) -> str:
        """Say where the price of some calls stands: where it stood when they were made."""
        return str(row["price_provider"]) or self.base_of(row["provider"])


class Cuts(NamedTuple):
    """Where prices change: at which moments after ``start_us``, above which prompt sizes."""

    start_us: int
    edges_us: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()

    def at_us(self, interval: int) -> int:
        """Give the first moment of an interval."""
        return self.edges_us[interval - 1] if interval else self.start_us

    def prompt_tokens(self, step: int) -> int:
        """Give the smallest prompt of a step."""
        return self.steps[step - 1] + 1 if step else 0

    def values(self) -> dict[str, object]:
        """Give the values for the slots of ``interval_of`` and ``step_of``."""
        found = zones.interval_values(self.edges_us, _EDGE)
        return found | {f"step_{index}": tokens for index, tokens in enumerate(self.steps)}


class GroupsShape(NamedTuple):
    """What of a query by price is part of its SQL text.

    ``kind`` says which calls, ``extra`` which further columns they are told apart by; ``both``
    looks at two periods.
    """

    selection: SelectionShape
    kind: str
    edges: int
    steps: int
    extra: tuple[str, ...] = ()
    both: bool = False
    pieces: bool = False


def conditions_of_row(row: Mapping[str, Any]) -> Conditions:
    """Give what decided the price of some calls, besides model and time."""
    return Conditions(row["tier_served"], row["batch"], row["speed"], row["geo"], row["terms"])


def cuts_of(
    book: PriceBook,
    wanted: Iterable[tuple[str, str, Conditions]],
    start_us: int,
    end_us: int,
) -> Cuts:
    """Find where any of these prices changes: places in the book, models and conditions."""
    edges: set[int] = set()
    steps: set[int] = set()
    for place, model, conditions in dict.fromkeys(wanted):
        for plan in _plans(book, place, model, conditions, start_us, end_us):
            steps.update(plan.thresholds)
            if plan.until_us < end_us:
                edges.add(plan.until_us)
    return Cuts(start_us, tuple(sorted(edges)), tuple(sorted(steps)))


def _plans(
    book: PriceBook, place: str, model: str, conditions: Conditions, start_us: int, end_us: int
) -> Iterator[PricePlan]:
    at_us = start_us
    while at_us < end_us:
        plan = book.plan(place, model, conditions, at_us)
        yield plan
        at_us = plan.until_us


def quantities_of(row: Mapping[str, Any]) -> dict[str, int]:
    """Give the summed counts of a group, those by the piece included."""
    found = {name: int(row[field]) for field, name in TOKEN_FIELDS if row[field]}
    if "units" in row:
        pieces: Mapping[str, int] = json.loads(row["units"] or "{}")
        found |= {name: count * int(row["entries"]) for name, count in pieces.items()}
    return found


# ------------------------------------------------------------------ expressions


def interval_of(started_at: ir.TimestampValue, edges: int) -> ir.IntegerValue:
    """Number the stretches of time between the cuts."""
    return zones.interval(started_at, edges, _EDGE)


ZEROTH: Final = ibis.literal(0, "int64")
"""The step of all prompts where there are no cuts."""


def step_of(prompt_tokens: ir.IntegerValue, steps: int) -> ir.IntegerValue:
    """Number the sizes of prompts between the cuts."""
    if not steps:
        return ZEROTH
    branches = (
        (prompt_tokens <= bindings.integer(f"step_{index}"), ibis.literal(index, "int64"))
        for index in range(steps)
    )
    return ibis.cases(*branches, else_=ibis.literal(steps, "int64"))


def price_keys(ledger: Ledger, table: ir.Table) -> dict[str, ir.Value]:
    """Give what a price depends on, besides time and size of the prompt."""
    return {
        "provider": table.provider,
        "price_provider": table.price_provider,
        "model": dimension(ledger, table, "model"),
        **{name: table[name] for name in _CONDITIONS},
    }


def paid(table: ir.Table) -> ir.Table:
    """Give the calls that were paid by the token, as they stand after corrections.

    One that was corrected is there three times, once of it taken back, so sums are right. What
    no price was asked for is not there, nor what has none.
    """
    return table.filter(
        table.price_key != "",
        table.basis.notin([basis.value for basis in UNPAID]),
        (table.corrects == "") | (table.revision > 0),
    )


def _of_kind(table: ir.Table, kind: str) -> ir.Table:
    if kind == SMALL:
        out, prompt = table.tokens_out.abs(), table.tokens_in.abs()
        return table.filter(
            table.outcome == Outcome.OK.value,
            (out > 0) & (out <= SMALL_OUT_TOKENS),
            (prompt > 0) & (prompt <= SMALL_IN_TOKENS),
        )
    return table


def _calls(ledger: Ledger, shape: GroupsShape) -> ir.Table:
    table = selected(ledger, shape.selection)
    if not shape.selection.small:
        table = _of_kind(paid(table), shape.kind)
    return table.filter(in_either(table)) if shape.both else table


@lru_cache(_SHAPES_REMEMBERED)
def prices_wanted(ledger: Ledger, shape: GroupsShape) -> ir.Table:
    """List what the prices of some calls depend on; cuts do not matter here."""
    table = _calls(ledger, shape)
    found = price_keys(ledger, table) | {name: table[name] for name in shape.extra}
    return table.select(**found).distinct().limit(GROUPS_MAX)


@lru_cache(_SHAPES_REMEMBERED)
def by_price(ledger: Ledger, shape: GroupsShape) -> ir.Table:
    """Sum up some calls by all that their price depends on, those of most calls first."""
    table = _calls(ledger, shape)
    keys = price_keys(ledger, table) | {name: table[name] for name in shape.extra}
    keys["interval_"] = interval_of(table.started_at, shape.edges)
    keys["step_"] = step_of(table.tokens_in.abs(), shape.steps) if shape.steps else ZEROTH
    if shape.both:
        keys["now_"] = is_now(table)
    if shape.pieces:
        keys["units"] = table.units
    groups = table.group_by(**keys).agg(
        entries=table.entries.sum() if shape.selection.small else table.count(),
        calls=table.requests.sum(),
        standing=table.sign.sum(),
        cost=table.cost_usd.sum(),
        **{field: table[field].sum() for field, _ in TOKEN_FIELDS},
    )
    return groups.order_by(ibis.desc("entries"), *keys).limit(GROUPS_MAX)
