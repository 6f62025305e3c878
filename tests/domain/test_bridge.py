"""Why a cost changed: always the whole difference, the same both ways, a cause for each factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollkeeper.domain.bridge import NOTHING, Cause, Cell, Side, added, effects_of, total

WEIGHTS = {"input": 1_000, "cache_read": 100, "cache_write": 1_250, "output": 5_000}
AMOUNT = 10**15

kinds = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.integers(0, 10**9), max_size=4)
prices: st.SearchStrategy[dict[str, int]] = st.one_of(
    st.just({}),
    st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.integers(0, 10**6), max_size=4),
)
sides = st.builds(
    Side,
    uses=st.integers(-2, 10**6),
    cost_nanos=st.integers(-AMOUNT, AMOUNT),
    tokens=kinds,
    weights=prices,
    unpriced=st.integers(0, 2),
) | st.just(NOTHING)
cells = st.lists(
    st.builds(
        Cell,
        pool=st.sampled_from("ab"),
        pair=st.sampled_from(["one", "two", "three"]),
        before=sides,
        now=sides,
    ),
    max_size=6,
)
_SWAPPED = {Cause.NEW: Cause.ENDED, Cause.ENDED: Cause.NEW}


def swapped(some: Sequence[Cell]) -> list[Cell]:
    return [cell._replace(before=cell.now, now=cell.before) for cell in some]


def cost(side: Side, price: int = 1) -> Side:
    """Price a side by its weights."""
    worth = sum(count * WEIGHTS[kind] for kind, count in side.tokens.items())
    return side._replace(cost_nanos=worth * price, weights=WEIGHTS)


def used(uses: int, price: int = 1, **each: int) -> Side:
    """So many requests with so many tokens each."""
    return cost(Side(uses, tokens={kind: count * uses for kind, count in each.items()}), price)


def one(before: Side, now: Side) -> Mapping[Cause, int]:
    (effects,) = effects_of([Cell("", "model", before, now)])
    return effects


@settings(max_examples=80, deadline=None)
@given(cells)
def test_causes_add_up_to_the_difference_whatever_there_is(some: list[Cell]) -> None:
    found = effects_of(some)
    assert len(found) == len(some)
    for cell, effects in zip(some, found, strict=True):
        assert total(effects) == cell.now.cost_nanos - cell.before.cost_nanos
        assert all(type(nanos) is int and nanos for nanos in effects.values())
    assert total(added(found)) == sum(cell.now.cost_nanos - cell.before.cost_nanos for cell in some)


@settings(max_examples=40, deadline=None)
@given(cells)
def test_swapping_the_periods_only_turns_the_signs_round(some: list[Cell]) -> None:
    there, back = effects_of(some), effects_of(swapped(some))
    for one_way, other_way in zip(there, back, strict=True):
        assert one_way == {_SWAPPED.get(cause, cause): -nanos for cause, nanos in other_way.items()}


@settings(max_examples=20, deadline=None)
@given(st.lists(sides, max_size=4))
def test_where_nothing_changed_there_is_no_cause(some: list[Side]) -> None:
    same = [Cell("", number, side, side) for number, side in enumerate(some)]
    assert effects_of(same) == [{}] * len(some)


counts = st.integers(1, 5_000)


@settings(max_examples=20, deadline=None)
@given(counts, counts, counts, counts, st.integers(1, 9))
def test_one_factor_alone_is_one_cause(
    uses: int, tokens_in: int, cached: int, tokens_out: int, more: int
) -> None:
    each = {"input": tokens_in, "cache_read": cached, "output": tokens_out}
    before = used(uses, **each)
    grown = 1 + more
    cases: list[tuple[Cause, Side]] = [
        (Cause.VOLUME, used(uses * grown, **each)),
        (Cause.PRICE, used(uses, grown, **each)),
        (
            Cause.PROMPT_SIZE,
            used(uses, **each | {"input": tokens_in * grown, "cache_read": cached * grown}),
        ),
        (Cause.OUTPUT_SIZE, used(uses, **each | {"output": tokens_out * grown})),
        (
            Cause.CACHE,
            used(uses, **each | {"input": tokens_in + cached, "cache_read": 0}),
        ),
        (Cause.ENDED, NOTHING),
    ]
    for cause, now in cases:
        assert one(before, now) == {cause: now.cost_nanos - before.cost_nanos}, cause
    assert one(NOTHING, before) == {Cause.NEW: before.cost_nanos}


def test_the_same_requests_by_a_dearer_model_are_mix() -> None:
    cheap, dear = {"input": 10}, {"output": 10}
    found = effects_of(
        [
            Cell("team", "cheap", used(60, **cheap), used(40, **cheap)),
            Cell("team", "dear", used(40, **dear), used(60, **dear)),
        ]
    )
    assert added(found) == {Cause.MIX: 20 * 10 * (5_000 - 1_000)}


def test_another_tier_of_a_model_is_mix_and_not_new() -> None:
    ordinary, fast = used(50, input=10), used(50, 2, input=10)
    found = effects_of(
        [
            Cell("team", "model", used(100, input=10), ordinary),
            Cell("team", "model", NOTHING, fast),
        ]
    )
    assert added(found) == {Cause.MIX: 50 * 10 * 1_000}


def test_what_two_factors_did_together_is_shared_between_them() -> None:
    before, now = used(10, input=100), used(20, 3, input=100)
    found = one(before, now)
    # 1 -> 2 times the requests and 1 -> 3 times the price of 1,000,000: 5,000,000 more
    assert found == {Cause.VOLUME: 2_000_000, Cause.PRICE: 3_000_000}


@pytest.mark.parametrize("swap", [False, True])
def test_a_price_on_one_side_only_is_neither_new_nor_ended(swap: bool) -> None:
    priced, unpriced = used(5, input=10), Side(unpriced=3)
    found = one(unpriced, priced) if swap else one(priced, unpriced)
    assert found == {Cause.OTHER: 50_000 if swap else -50_000}


def test_what_has_no_tokens_changes_by_volume_and_by_what_nobody_can_tell() -> None:
    pictures: dict[str, Any] = {"uses": 10, "cost_nanos": 1_000}
    assert one(Side(**pictures), Side(uses=20, cost_nanos=3_000)) == {
        Cause.VOLUME: 1_250,  # half way between 1,000 there and 1,500 back
        Cause.OTHER: 750,
    }


def test_without_known_prices_all_tokens_cost_alike() -> None:
    before = Side(10, 1_000, {"input": 500, "output": 500})
    now = Side(10, 1_500, {"input": 1_000, "output": 500})
    assert one(before, now) == {Cause.PROMPT_SIZE: 500}
