"""What is wasted: what prompt caches save, and where money is spent that need not be.

Findings overlap: a call can be part of a storm, look like a duplicate and be a small one of a
dear model. So no two of them are ever added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.beside import Beside, at_once
from tollkeeper.domain.ledger import Basis
from tollkeeper.ports import Ledger
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.savings_caches import CacheSavings, cache_savings, saved_by_part
from tollkeeper.reports.savings_expired import expired_caches
from tollkeeper.reports.savings_findings import Finding
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.savings_repeats import duplicate_calls, retry_storms
from tollkeeper.reports.savings_small_calls import small_calls
from tollkeeper.reports.savings_what_if import Named, WhatIf, read_named, require_priced, what_if
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAYS_MAX: Final = 92
MODELS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class SavingsQuestion:
    """What to look at. ``origin`` and ``target`` are the models of a what-if, as they were
    typed; without a target there is none.

    Raises BadQuestion for more days than are looked through at once.
    """

    period: Period
    filters: tuple[Filter, ...] = ()
    origin: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        if len(self.period.days()) > DAYS_MAX:
            raise BadQuestion("period", f"at most {DAYS_MAX} days are looked through at once")
        if self.origin and not self.target:
            raise BadQuestion("to_model", "name the model to move to: openai/gpt-4.1-mini")


class UsedModel(NamedTuple):
    """A model that was called in the period, and what that cost."""

    provider: str
    model: str
    requests: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Savings:
    """The answer. ``findings`` overlap. ``what_if`` is None where nothing was asked for.

    ``cost_usd`` is what the period cost in all, None where nothing of it is known; ``models``
    are those in use, the dearest first.
    """

    question: SavingsQuestion
    cost_usd: Decimal | None
    caches: CacheSavings
    findings: tuple[Finding, ...]
    what_if: WhatIf | None
    models: tuple[UsedModel, ...]


def moved_models(
    question: SavingsQuestion, prices: SavingsPrices
) -> tuple[Named | None, Named] | None:
    """Give what a what-if moves (None for all), and to which model; None without one.

    Raises BadQuestion for what is no model, and for a target whose price nobody knows.
    """
    if not question.target:
        return None
    target = read_named("to_model", question.target, prices, every=False)
    require_priced(target, prices, question.period.until_us)
    if not question.origin:
        return None, target
    return read_named("from_model", question.origin, prices, every=True), target


def savings(
    ledger: Ledger,
    scope: Scope,
    question: SavingsQuestion,
    prices: SavingsPrices,
    beside: Beside = at_once,
) -> Savings:
    """Look for savings in the entries that the scope allows. Raises BadQuestion.

    ``beside`` lends threads: what takes longest may be looked for while the rest is.
    """
    period, filters = question.period, question.filters
    asked = (ledger, scope, period, filters)
    named = moved_models(question, prices)
    moved = None
    with ledger.snapshot():
        selection = Selection(scope, period.start_us, period.end_us, filters, period.zone)
        dimensions = ("provider", "model", "basis")
        finely, daily = ledger.sums_finely(), ledger.days_zone()
        models = _used(ledger, selection.summed(dimensions, finely=finely, daily=daily))
        saved = ledger.beside(beside, lambda: saved_by_part(*asked))
        expired = ledger.beside(beside, lambda: expired_caches(*asked, prices))
        if named is not None:
            moved = what_if(*asked, prices, *named)
        others = (
            retry_storms(*asked),
            duplicate_calls(*asked),
            small_calls(*asked, prices, _by_base(models, prices)),
        )
        caches = cache_savings(*asked, prices, saved())
        findings = (expired(), *others)
        return Savings(question, _total(models), caches, findings, moved, models[:MODELS_MAX])


def _used(ledger: Ledger, selection: Selection) -> tuple[UsedModel, ...]:
    rows = ledger.run(_models(ledger, selection.shape()), selection.values())
    return tuple(
        UsedModel(
            row["provider"],
            row["model"],
            int(row["requests"]),
            None if row["cost"] is None else row["cost"],
        )
        for row in rows
        if row["requests"] or row["cost"] or (row["cost"] is None and row["entries"])
    )


@lru_cache(32)
def _models(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    table = table.filter(table.basis != Basis.CACHED.value)
    return (
        table.group_by(provider=table.provider, model=dimension(ledger, table, "model"))
        .agg(
            requests=table.requests.sum(),
            cost=table.cost_usd.sum(),
            entries=table.sign.sum(),
        )
        .order_by(ibis.desc("cost", nulls_first=False), "provider", "model")
    )


def _total(models: Sequence[UsedModel]) -> Decimal | None:
    known = [each.cost_usd for each in models if each.cost_usd is not None]
    return sum(known, Decimal(0)) if known or not models else None


def _by_base(models: Sequence[UsedModel], prices: SavingsPrices) -> Mapping[str, set[str]]:
    """Give the models in use by the book's provider."""
    found: dict[str, set[str]] = {}
    for each in models:
        found.setdefault(prices.base_of(each.provider), set()).add(each.model)
    return found
