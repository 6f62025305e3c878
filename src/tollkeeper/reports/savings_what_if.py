"""What calls would have cost on another model: the same tokens, at the prices of their time.

Another model would have answered otherwise, and counts its own tokens. This says what it costs
to move the same numbers, and what of them could not be moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.money import usd
from tollkeeper.domain.price_plan import PricePlan
from tollkeeper.domain.price_rules import base_of
from tollkeeper.domain.price_sums import Summed, piece_price, rounded_nanos, sum_price
from tollkeeper.domain.rate_card import Conditions
from tollkeeper.ports import Ledger
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion, quoted
from tollkeeper.reports.savings_findings import GROUPS_MAX, ZERO
from tollkeeper.reports.savings_prices import (
    ALL,
    Cuts,
    GroupsShape,
    SavingsPrices,
    by_price,
    conditions_of_row,
    cuts_of,
    prices_wanted,
    quantities_of,
)
from tollkeeper.reports.savings_rules import NO_PRICE_NOW, SUBSCRIPTION, TOO_MANY
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

EVERY: Final = "*"
_EXTRA: Final = ("team",)


class Named(NamedTuple):
    """A model of one of the operator's providers; ``model`` is ``EVERY`` for all of them."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class Moved(NamedTuple):
    """Calls of one model that can be moved: what they cost, and would have cost."""

    provider: str
    model: str
    calls: int
    now_usd: Decimal
    then_usd: Decimal


class Left(NamedTuple):
    """Calls that are in neither sum. ``cost_usd`` is what they cost, None where unknown."""

    reason: str
    calls: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer. ``origin`` is None for all models; ``as_input`` counts tokens that were written
    to a cache, and are plain input with the other model."""

    origin: Named | None
    target: Named
    calls: int
    now_usd: Decimal
    then_usd: Decimal
    lines: tuple[Moved, ...]
    left: tuple[Left, ...]
    as_input: int

    @property
    def difference_usd(self) -> Decimal:
        """Give what would have been paid more; negative where it would have been less."""
        return self.then_usd - self.now_usd


def read_named(parameter: str, text: str, prices: SavingsPrices, *, every: bool) -> Named:
    """Read ``provider/model``; a bare name stands with who makes it. Raises BadQuestion.

    ``every`` is for what calls are looked for by: any provider that they may name, and all of
    its models.
    """
    provider, slash, model = text.partition("/")
    is_provider = provider in prices.accounts or bool(prices.book.models(provider))
    if slash and provider and model and (is_provider or every):
        if model == EVERY and not every:
            raise BadQuestion(parameter, "name one model: openai/gpt-4.1-mini")
        return Named(provider, model)
    owner = prices.book.owner_of(text)
    if not text or not owner:
        raise BadQuestion(parameter, f"{quoted(text)} is no model; write openai/gpt-4.1-mini")
    accounts = [name for name, base in prices.accounts.items() if base == owner]
    return Named(accounts[0] if accounts else owner, text)


def require_priced(target: Named, prices: SavingsPrices, at_us: int) -> None:
    """Raise BadQuestion where the price book does not know a model."""
    if prices.book.show(prices.base_of(target.provider), target.model, at_us) is None:
        raise BadQuestion("to_model", f"no price is known of {quoted(str(target))}")


def what_if(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    prices: SavingsPrices,
    origin: Named | None,
    target: Named,
) -> WhatIf:
    """Price the calls of one model, of one provider's or of all, as calls of another."""
    if origin is not None:
        filters = (*filters, Filter("provider", (origin.provider,)))
        if origin.model != EVERY:
            filters = (*filters, Filter("model", (origin.model,)))
    selection = Selection(scope, period.start_us, period.end_us, filters, period.zone)
    extra = _EXTRA if prices.book.rules else ()
    shape = GroupsShape(selection.shape(), ALL, 0, 0, extra, pieces=True)
    wanted = ledger.run(prices_wanted(ledger, shape), selection.values())
    cuts = cuts_of(
        prices.book,
        (
            (_place(row, target, prices), target.model, _conditions(row, target, prices))
            for row in wanted
        ),
        *(period.start_us, period.end_us),
    )
    shape = shape._replace(edges=len(cuts.edges_us), steps=len(cuts.steps))
    rows = ledger.run(by_price(ledger, shape), selection.values() | cuts.values())
    (whole,) = ledger.run(_whole(ledger, selection.shape()), selection.values())
    found = _Sums()
    for row in rows:
        found.add(row, target, prices, cuts)
    return _answer(origin, target, found, whole, all_read=len(rows) < GROUPS_MAX)


class _Sums:
    """Adds groups up, by the model that they are moved from."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], int] = {}
        self.now: dict[tuple[str, str], Decimal] = {}
        self.then: dict[tuple[str, str], list[int]] = {}
        self.left: dict[str, tuple[int, Decimal]] = {}
        self.as_input = 0

    def add(self, row: Mapping[str, Any], target: Named, prices: SavingsPrices, cuts: Cuts) -> None:
        plan = prices.book.plan(
            _place(row, target, prices),
            target.model,
            _conditions(row, target, prices),
            cuts.at_us(row["interval_"]),
        )
        priced, as_input = moved_price(plan, cuts.prompt_tokens(row["step_"]), row)
        calls, cost = int(row["calls"]), row["cost"] or ZERO
        if priced.units is None:
            before = self.left.get(priced.reason, (0, ZERO))
            self.left[priced.reason] = before[0] + calls, before[1] + cost
            return
        self.as_input += as_input
        key = (row["provider"], row["model"])
        self.calls[key] = self.calls.get(key, 0) + calls
        self.now[key] = self.now.get(key, ZERO) + cost
        self.then.setdefault(key, []).append(priced.units)


def moved_price(plan: PricePlan, prompt_tokens: int, row: Mapping[str, Any]) -> tuple[Summed, int]:
    """Price a group on another plan; say how many tokens written to a cache became input.

    A model without a price for writing to a cache bills such tokens as what they are: input.
    """
    quantities = quantities_of(row)
    as_input = 0
    for name, instead in ((u.CACHE_WRITE_1H, u.CACHE_WRITE), (u.CACHE_WRITE, u.INPUT)):
        if name in quantities and piece_price(plan, prompt_tokens, name) is None:
            count = quantities.pop(name)
            quantities[instead] = quantities.get(instead, 0) + count
            as_input += count if instead == u.INPUT else 0
    return sum_price(plan, prompt_tokens, quantities, int(row["standing"])), as_input


def _is_same_provider(row: Mapping[str, Any], target: Named, prices: SavingsPrices) -> bool:
    return base_of(prices.place_of(row)) == prices.base_of(target.provider)


def _place(row: Mapping[str, Any], target: Named, prices: SavingsPrices) -> str:
    """Say where the price stands: where it stood, or under the terms for the other provider."""
    if row["provider"] == target.provider and _is_same_provider(row, target, prices):
        return prices.place_of(row)
    base = prices.base_of(target.provider)
    return prices.book.place(base, target.provider, row.get("team", ""))


def _conditions(row: Mapping[str, Any], target: Named, prices: SavingsPrices) -> Conditions:
    """Carry over what was served; with another provider only that it was a batch."""
    if _is_same_provider(row, target, prices):
        return conditions_of_row(row)
    return Conditions(batch=row["batch"])


@lru_cache(16)
def _whole(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Count all calls of a selection, and those that have no cost by the token."""
    table = selected(ledger, shape)
    flat = table.basis == Basis.FLAT_RATE.value
    return table.agg(
        unpriced=table.requests.sum(where=table.basis == Basis.UNPRICED.value),
        flat=table.requests.sum(where=flat),
        calls=table.requests.sum(where=(table.price_key != "") & ~flat),
        cost=table.cost_usd.sum(where=(table.price_key != "") & ~flat),
    )


def _answer(
    origin: Named | None,
    target: Named,
    found: _Sums,
    whole: Mapping[str, Any],
    *,
    all_read: bool,
) -> WhatIf:
    then = {key: usd(rounded_nanos(units)) for key, units in found.then.items()}
    lines = sorted(
        (Moved(*key, found.calls[key], found.now[key], then[key]) for key in then),
        key=lambda it: (-it.now_usd, it.provider, it.model),
    )
    left = [Left(reason, *counted) for reason, counted in sorted(found.left.items())]
    unpriced, flat = int(whole["unpriced"] or 0), int(whole["flat"] or 0)
    if unpriced:
        left.append(Left(NO_PRICE_NOW, unpriced, None))
    if flat:
        left.append(Left(SUBSCRIPTION, flat, ZERO))
    if not all_read:
        seen = sum(found.calls.values()) + sum(calls for calls, _ in found.left.values())
        cost = sum(found.now.values(), ZERO) + _costs(found.left.values())
        calls = int(whole["calls"] or 0) - unpriced - seen
        left.append(Left(TOO_MANY, calls, (whole["cost"] or ZERO) - cost))
    return WhatIf(
        origin,
        target,
        sum(found.calls.values()),
        sum(found.now.values(), ZERO),
        usd(rounded_nanos(each for units in found.then.values() for each in units)),
        tuple(lines),
        tuple(left),
        found.as_input,
    )


def _costs(left: Iterable[tuple[int, Decimal]]) -> Decimal:
    return sum((cost for _, cost in left), ZERO)
