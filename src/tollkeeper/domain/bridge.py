"""Why a cost changed: its causes in money, which add up to the difference to the nano-dollar.

What is compared is cut into cells: one model in one tier, used by one group. A cell's cost is
uses x tokens a use x price, for each kind of token, so its change is taken apart by putting one
factor after the other to what it is now: volume, mix, tokens in, tokens out, cache, price. The
order matters for what several factors did together, so it is done in both directions, from
before to now and back, and each cause is the mean of the two: swapping the periods turns every
sign round, and nothing else. All of it is exact (fractions of whole numbers) and rounded once
for each cause; what rounding leaves goes to the price.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from tollkeeper.domain.usage import INPUT_TOKENS, OUTPUT_TOKENS


class Cause(enum.StrEnum):
    """What a cost changed by."""

    VOLUME = "volume"  # more or fewer requests
    MIX = "mix"  # other models or tiers for the same number of requests
    PROMPT_SIZE = "prompt_size"  # tokens in per request
    OUTPUT_SIZE = "output_size"  # tokens out per request, and of which kind
    CACHE = "cache"  # which part of the tokens in came from a cache or was written to one
    PRICE = "price"  # what a token of the same kind cost
    NEW = "new"  # used now, not at all before
    ENDED = "ended"  # used before, not at all now
    OTHER = "other"  # what none of these can tell: no tokens, or a price on one side only

    __hash__ = str.__hash__


class Side(NamedTuple):
    """One cell in one of the two periods.

    ``uses`` counts the requests behind the cost; what has no price is in ``unpriced`` only.
    ``tokens`` maps the kinds of ``domain.usage`` to counts. ``weights`` says what a token of
    each kind costs in proportion to the others, {} where nobody knows: then all cost alike.
    """

    uses: int = 0
    cost_nanos: int = 0
    tokens: Mapping[str, int] = {}
    weights: Mapping[str, int] = {}
    unpriced: int = 0


NOTHING: Final = Side()


class Cell(NamedTuple):
    """One model in one tier, before and now.

    Cells of one ``pair`` (a group and a model) are new or ended together. Within one ``pool``
    requests count as moved between cells (mix), and their sum as grown (volume).
    """

    pool: Hashable
    pair: Hashable
    before: Side = NOTHING
    now: Side = NOTHING


Effects = Mapping[Cause, int]
"""Nano-dollars of each cause that did anything; their sum is the difference."""


def total(effects: Effects) -> int:
    """Give the difference that the causes make together."""
    return sum(effects.values())


def added(all_effects: Iterable[Effects]) -> dict[Cause, int]:
    """Add the effects of several cells, in the order of ``Cause``."""
    found = dict.fromkeys(Cause, 0)
    for effects in all_effects:
        for cause, nanos in effects.items():
            found[cause] += nanos
    return {cause: nanos for cause, nanos in found.items() if nanos}


def effects_of(cells: Sequence[Cell]) -> list[dict[Cause, int]]:
    """Say for each cell by what its cost changed."""
    pairs: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell in cells:
        pairs[cell.pair].append(cell)
    fates = {pair: _fate(some) for pair, some in pairs.items()}
    before: dict[Hashable, int] = defaultdict(int)
    now: dict[Hashable, int] = defaultdict(int)
    for cell in cells:
        if fates[cell.pair] is None:
            before[cell.pool] += max(cell.before.uses, 0)
            now[cell.pool] += max(cell.now.uses, 0)
    return [_changed(cell, fates[cell.pair], before[cell.pool], now[cell.pool]) for cell in cells]


def _fate(cells: Sequence[Cell]) -> Cause | None:
    """Say what all of a pair's change is, None where it is used on both sides."""
    used_before, used_now = (
        any(side.uses > 0 for side in sides) for sides in (_befores(cells), _nows(cells))
    )
    if used_before and used_now:
        return None
    if used_now:
        return Cause.OTHER if any(side.unpriced > 0 for side in _befores(cells)) else Cause.NEW
    if used_before:
        return Cause.OTHER if any(side.unpriced > 0 for side in _nows(cells)) else Cause.ENDED
    return Cause.OTHER


def _befores(cells: Sequence[Cell]) -> list[Side]:
    return [cell.before for cell in cells]


def _nows(cells: Sequence[Cell]) -> list[Side]:
    return [cell.now for cell in cells]


def _changed(cell: Cell, fate: Cause | None, before_uses: int, now_uses: int) -> dict[Cause, int]:
    difference = cell.now.cost_nanos - cell.before.cost_nanos
    if fate is None and not (before_uses and now_uses):
        fate = Cause.OTHER  # a pair that is in several pools
    if fate is not None:
        return {fate: difference} if difference else {}
    weights = _weights(cell)
    growth = Fraction(now_uses, before_uses)
    there = _steps(cell.before, cell.now, growth, weights)
    back = _steps(cell.now, cell.before, 1 / growth, weights[::-1])
    found = {cause: round((there[cause] - back[cause]) / 2) for cause in there}
    rest = Cause.PRICE if cell.before.uses > 0 and cell.now.uses > 0 else Cause.MIX
    if Cause.OTHER in found:
        rest = Cause.OTHER
    found[rest] = found.get(rest, 0) + difference - sum(found.values())
    return {cause: nanos for cause, nanos in found.items() if nanos}


def _weights(cell: Cell) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Give the weights of both sides; one side lends them to the other."""
    before, now = cell.before.weights, cell.now.weights
    if not before and not now:
        alike = dict.fromkeys((*INPUT_TOKENS, *OUTPUT_TOKENS), 1)
        return alike, alike
    return before or now, now or before


def _steps(
    one: Side, other: Side, growth: Fraction, weights: Sequence[Mapping[str, int]]
) -> dict[Cause, Fraction]:
    """Go from one side to the other, a factor at a time; the price is what is left at the end.

    Each step is the change of the cost while all later factors are still as on the first side.
    """
    volume = one.cost_nanos * (growth - 1)
    if one.uses <= 0 or other.uses <= 0:
        mix = other.cost_nanos - one.cost_nanos - volume
        return {Cause.VOLUME: volume, Cause.MIX: mix, Cause.PRICE: Fraction(0)}
    scale = Fraction(other.uses, one.uses)
    found = {Cause.VOLUME: volume, Cause.MIX: one.cost_nanos * (scale - growth)}
    costs_in, costs_out = (
        _worth(one, weights[0], INPUT_TOKENS),
        _worth(one, weights[0], OUTPUT_TOKENS),
    )
    other_worth = _worth(other, weights[1], (*INPUT_TOKENS, *OUTPUT_TOKENS))
    if not costs_in + costs_out or not other_worth:
        found[Cause.OTHER] = other.cost_nanos - one.cost_nanos * scale
        return found
    per_weight = Fraction(one.cost_nanos, costs_in + costs_out)
    then_in, then_out = (
        _worth(other, weights[0], kinds) * per_weight for kinds in (INPUT_TOKENS, OUTPUT_TOKENS)
    )
    now_in, now_out = costs_in * per_weight * scale, costs_out * per_weight * scale
    asked, asks = (sum(side.tokens.get(kind, 0) for kind in INPUT_TOKENS) for side in (one, other))
    as_before = costs_in * per_weight * asks / asked if asked > 0 else then_in
    found[Cause.PROMPT_SIZE] = as_before - now_in
    found[Cause.OUTPUT_SIZE] = then_out - now_out
    found[Cause.CACHE] = then_in - as_before
    found[Cause.PRICE] = other.cost_nanos - then_in - then_out
    return found


def _worth(side: Side, weights: Mapping[str, int], kinds: Sequence[str]) -> int:
    """Weigh the tokens of some kinds."""
    return sum(side.tokens.get(kind, 0) * weights.get(kind, 0) for kind in kinds)
