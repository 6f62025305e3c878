"""Dear models for small calls: what the same tokens would have cost on the cheaper sibling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.model_siblings import Sibling, cheaper_sibling
from tollkeeper.domain.price_sums import sum_price
from tollkeeper.domain.rate_card import Conditions
from tollkeeper.ports import Ledger
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.savings_findings import (
    GROUPS_MAX,
    ZERO,
    Finding,
    Group,
    Parts,
    TwoPeriods,
    largest,
    two_periods,
)
from tollkeeper.reports.savings_prices import (
    SMALL,
    Cuts,
    GroupsShape,
    SavingsPrices,
    by_price,
    conditions_of_row,
    cuts_of,
    prices_wanted,
    quantities_of,
)
from tollkeeper.reports.savings_rules import SMALL_CALLS, SMALL_IN_TOKENS

_EXTRA: Final = ("tool", "team")
_DIMENSIONS: Final = ("provider", "model", "basis", *_EXTRA)

Siblings = Mapping[tuple[str, str], Sibling]
"""Place in the book and model → the cheaper model of the same provider."""


def small_calls(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    prices: SavingsPrices,
    used: Mapping[str, Collection[str]],
) -> Finding:
    """Find small calls of dear models. ``used`` has the models in use, by the book's provider."""
    rows, siblings, cuts = _rows(ledger, two_periods(scope, period, filters), period, prices, used)
    now, before = Parts(), Parts()
    in_use: dict[str, bool] = {}
    for row in rows:
        place = prices.place_of(row)
        sibling = siblings.get((place, row["model"]))
        if sibling is None:
            continue
        plan = prices.book.plan(
            place, sibling.model, conditions_of_row(row), cuts.at_us(row["interval_"])
        )
        prompt = cuts.prompt_tokens(row["step_"])
        cheaper = sum_price(plan, prompt, quantities_of(row), int(row["standing"]))
        calls = int(row["calls"])
        part = (row["model"], sibling.model, row["tool"], row["team"])
        in_use[sibling.model] = sibling.in_use
        (now if row["now_"] else before).add(
            part,
            calls,
            usd=ZERO if cheaper.units is None else row["cost"],
            units=-(cheaper.units or 0),
            unknown=calls if cheaper.units is None else 0,
        )
    return Finding(
        SMALL_CALLS,
        now.total(),
        before.total(),
        largest(
            Group(
                {"model": model, "tool": tool, "team": team},
                stake,
                note=f"{sibling}, in use here" if in_use[sibling] else sibling,
            )
            for (model, sibling, tool, team), stake in now.stakes().items()
        ),
        more=len(rows) == GROUPS_MAX,
    )


def _rows(
    ledger: Ledger,
    both: TwoPeriods,
    period: Period,
    prices: SavingsPrices,
    used: Mapping[str, Collection[str]],
) -> tuple[Sequence[Mapping[str, Any]], Siblings, Cuts]:
    """Sum up small calls by what a cheaper model would have cost, which is known between cuts.

    Which prompts are larger than others is not in their sums: prices that change above the size of
    a small one are looked for in notes or single entries.
    """
    noted = both.selection.noted(ledger, SMALL_CALLS)
    moments_us = (period.start_us, period.previous().until_us)
    summed = both.selection.with_small(ledger, _DIMENSIONS, moments_us)
    asked = summed if summed.of_small else noted
    shape = GroupsShape(asked.shape(), SMALL, 0, 0, _EXTRA, both=True, pieces=True)
    values = {**both.values, **asked.values()}
    wanted = ledger.run(prices_wanted(ledger, shape._replace(extra=())), values)
    siblings = _siblings(wanted, prices, used, period.until_us)
    cuts = cuts_of(
        prices.book,
        _cheaper_prices(wanted, prices, siblings),
        *(both.selection.start_us or 0, period.end_us),
    )
    cuts = cuts._replace(steps=tuple(step for step in cuts.steps if step < SMALL_IN_TOKENS))
    if asked.of_small and cuts.steps:
        asked = noted
    elif asked.of_small:
        asked = both.selection.with_small(ledger, _DIMENSIONS, (*moments_us, *cuts.edges_us))
    shape = shape._replace(selection=asked.shape(), edges=len(cuts.edges_us), steps=len(cuts.steps))
    values = {**both.values, **asked.values(), **cuts.values()}
    return ledger.run(by_price(ledger, shape), values), siblings, cuts


def _cheaper_prices(
    wanted: Iterable[Mapping[str, Any]], prices: SavingsPrices, siblings: Siblings
) -> Iterator[tuple[str, str, Conditions]]:
    """List the prices that are needed: where they stand, of which model, for what was served."""
    for row in wanted:
        place = prices.place_of(row)
        sibling = siblings.get((place, row["model"]))
        if sibling is not None:
            yield place, sibling.model, conditions_of_row(row)


def _siblings(
    wanted: Iterable[Mapping[str, Any]],
    prices: SavingsPrices,
    used: Mapping[str, Collection[str]],
    at_us: int,
) -> dict[tuple[str, str], Sibling]:
    found: dict[tuple[str, str], Sibling] = {}
    seen: dict[tuple[str, str], Sibling | None] = {}
    for row in wanted:
        place, model = prices.place_of(row), row["model"]
        base = place.partition("@")[0]
        if (base, model) not in seen:
            seen[base, model] = cheaper_sibling(prices.book, base, model, at_us, used.get(base, ()))
        sibling = seen[base, model]
        if sibling is not None:
            found[place, model] = sibling
    return found
