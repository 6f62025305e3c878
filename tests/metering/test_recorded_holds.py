"""Holds against recorded calls: strict ones are never too small, balanced ones by how much."""

from __future__ import annotations

import json
from collections import deque
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from budget_desks import NOW, budget, memory_authority, only, profile
from recorded_replies import Billed, Record, billed_records, shipped_price_book
from tollkeeper.domain import usage as u
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budgets import Amounts
from tollkeeper.domain.holds import Asked, Ceiling, Size
from tollkeeper.domain.rate_card import Conditions, conditions_of
from tollkeeper.services.budget_gate import Admitted, Ask, BudgetGate, Subject, exchange
from tollkeeper.services.hold_sizes import UsualReplies, is_self_contained

MODEL_LIMIT = 128_000
"""The longest reply where a request sets no limit; no model of the recordings gives more."""
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Call(NamedTuple):
    """A recorded call whose cost is known and whose request is at hand."""

    name: str
    model: str
    cost_nanos: int
    output: int
    asked: Asked
    ceiling: Ceiling
    strict: Size


@pytest.fixture(scope="module")
def calls(shared: Path) -> tuple[Call, ...]:
    return _calls(shared)


@cache
def _calls(shared: Path) -> tuple[Call, ...]:
    found = [
        _call(record, billed)
        for record, billed in billed_records(shared)
        if billed.nanos is not None and record.row["request_body"]
    ]
    return tuple(call for call in found if call is not None)


def _call(record: Record, billed: Billed) -> Call | None:
    usage, body = billed.reading.usage, record.row["request_body"].encode()
    assert usage is not None
    assert billed.nanos is not None
    if usage.components:
        return None  # other models were called that the request did not name
    try:
        asked = json.loads(body)
    except ValueError:
        return None  # an upload
    config = asked.get("generationConfig") or {}
    limits = [*(asked.get(name) for name in LIMITS), config.get("maxOutputTokens")]
    limit = next((it for it in limits if isinstance(it, int)), MODEL_LIMIT)
    output = sum(usage.quantities.get(name, 0) for name in u.OUTPUT_TOKENS)
    what = Asked(
        len(body) if is_self_contained(body) else None,
        output_max=0 if record.api == "embeddings" else limit,
        choices=asked.get("n") or config.get("candidateCount") or 1,
        units={name: count for name, count in usage.quantities.items() if name in u.UNITS},
    )
    book = shipped_price_book()
    plans = [
        book._plan(record.provider, billed.model, conditions, record.at_us)
        for conditions in (Conditions(), conditions_of(usage))
    ]
    ceiling = Ceiling([plan for plan in plans if not plan.reason])
    return Call(
        record.name, billed.model, billed.nanos, output, what, ceiling, ceiling.strict(what)
    )


def test_no_strict_hold_is_smaller_than_what_the_call_cost(calls: tuple[Call, ...]) -> None:
    bounded = [call for call in calls if call.strict.amounts.usd_nanos is not None]
    assert len(bounded) > 3_500
    short = [
        (call.name, call.cost_nanos, call.strict)
        for call in bounded
        if call.cost_nanos > (call.strict.amounts.usd_nanos or 0)
    ]
    assert short == []


def test_what_has_no_strict_hold_says_why(calls: tuple[Call, ...]) -> None:
    reasons = {call.strict.reason for call in calls if call.strict.amounts.usd_nanos is None}
    assert reasons == {"unbounded:prompt"}


class Replay(NamedTuple):
    """``excess`` is the most that calls in flight together cost beyond their holds, ``bound``
    the most that they could have."""

    admitted: int
    refused: int
    overshoot_nanos: int
    excess_nanos: int
    bound_nanos: int
    limit_nanos: int


def replay(calls: tuple[Call, ...], in_flight: int, part: int) -> Replay:
    """Send the calls through a cap of a part of what they cost, so many at once."""
    known = [call for call in calls if call.strict.amounts.usd_nanos is not None]
    limit = sum(call.cost_nanos for call in known) // part
    cap = budget(limit=limit)
    authority, usual = memory_authority([cap]), UsualReplies()
    gate, subject = BudgetGate("g1", Book([cap]), NOW), Subject(profile())
    flying: deque[tuple[Call, int, int]] = deque()
    admitted = refused = excess = bound = 0

    def land() -> None:
        call, *_ = flying.popleft()
        gate.settle(call.name, Amounts(call.cost_nanos, 0))
        usual.learn(call.model, "k1", "t1", call.output)

    for number, call in enumerate(known):
        hold = call.ceiling.balanced(call.asked, usual.usual(call.model, "k1", "t1", 0)).amounts
        at_us = NOW + number * 10_000
        while isinstance(decision := gate.admit(subject, call.name, hold, at_us), Ask):
            exchange(gate, authority, decision, at_us)
        if isinstance(decision, Admitted):
            admitted += 1
            held = hold.usd_nanos or 0
            most = max((call.strict.amounts.usd_nanos or 0) - held, 0)
            flying.append((call, max(call.cost_nanos - held, 0), most))
            excess = max(excess, sum(more for _, more, _ in flying))
            bound = max(bound, sum(most for *_, most in flying))
        else:
            refused += 1
        if len(flying) == in_flight or (flying and refused):
            land()
    while flying:
        land()
    asked = gate.reports(NOW + len(known) * 10_000)
    if asked is not None:
        exchange(gate, authority, asked, NOW)
    posted = only(authority.balances()).posted
    authority.close()
    return Replay(admitted, refused, max(posted - limit, 0), excess, bound, limit)


@pytest.mark.parametrize("in_flight", [1, 20, 200])
@pytest.mark.parametrize("part", [2, 10])
def test_a_balanced_cap_is_passed_by_no_more_than_its_bound(
    calls: tuple[Call, ...], in_flight: int, part: int
) -> None:
    found = replay(calls, in_flight, part)
    assert found.admitted
    assert found.refused
    assert found.overshoot_nanos <= found.excess_nanos <= found.bound_nanos
    if in_flight <= 20:
        assert found.overshoot_nanos == 0
