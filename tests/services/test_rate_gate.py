"""A rate gate against a plain reference: who passes, what counts, and that no place is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from budget_desks import profile
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.gateway_company import Share
from tollkeeper.domain.minute_windows import GRAIN_NS, MINUTE_NS
from tollkeeper.domain.rate_limits import (
    NO_STANDING,
    Rate,
    RateLimited,
    RateRule,
    WindowState,
)
from tollkeeper.services.rate_gate import RateGate, RateSubject, Ticket

SECOND_NS: Final = 1_000_000_000
KEYS: Final = ("k1", "k2", "k3")
MODELS: Final = ("gpt-4.1", "gpt-4.1-mini", "claude-sonnet-4-5")


def limit(name: str = "r", scope: BudgetScope = BudgetScope.KEY, **fields: Any) -> RateRule:
    return RateRule("", name, scope, **fields)


def subject(**fields: Any) -> RateSubject:
    return RateSubject(profile(**fields))


def at(now_ns: int) -> Callable[[], int]:
    return lambda: now_ns


def refused(gate: RateGate, calls: RateSubject, tokens: int, now_ns: int) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        gate.admit(calls, tokens, now_ns)
    return caught.value


# ------------------------------------------------------------------ a share of each limit


def test_gateways_that_divide_a_limit_let_as_many_through_as_it_says() -> None:
    rules = [limit(requests_per_minute=7), limit("p", parallel=2, each=True)]
    passed: Counter[int] = Counter()
    for rank in range(3):
        gate = RateGate(rules)
        gate.divide(Share(rank, 3))
        for number in range(7):
            try:
                gate.admit(subject(), 1, number).release()
                passed[rank] += 1
            except RateLimited as error:
                assert (
                    f"allows {error.limit} request{'' if error.limit == 1 else 's'} a minute "
                    "at this gateway, its share of 7, for"
                ) in error.message
    assert passed == {0: 3, 1: 2, 2: 2}


def test_what_counts_goes_on_to_count_when_a_share_changes() -> None:
    gate, calls = RateGate([limit(requests_per_minute=4, tokens_per_minute=400)]), subject()
    for number in range(3):
        gate.admit(calls, 10, number)
    gate.divide(Share(1, 2))
    assert refused(gate, calls, 10, 4).limit == 2
    gate.divide(Share())
    gate.admit(calls, 10, 5)
    assert refused(gate, calls, 10, 6).limit == 4


# ------------------------------------------------------------------ each limit by itself


def test_the_sixty_first_call_of_a_minute_waits_for_the_first() -> None:
    gate, calls = RateGate([limit(requests_per_minute=60)]), subject()
    for number in range(60):
        gate.admit(calls, 100, number * SECOND_NS // 2)
    error = refused(gate, calls, 100, 30 * SECOND_NS)
    assert (error.status, error.code, error.retry_after_s) == (429, "rate_limited", 30)
    assert error.standing.requests == WindowState(60, 0, 60)
    assert "60 requests a minute" in error.message
    refused(gate, calls, 100, 60 * SECOND_NS - 1)
    gate.admit(calls, 100, 60 * SECOND_NS)


def test_places_are_given_to_as_many_calls_as_there_may_be() -> None:
    gate, calls = RateGate([limit(parallel=2)]), subject()
    first, _ = gate.admit(calls, 0, 0), gate.admit(calls, 0, 0)
    error = refused(gate, calls, 0, 0)
    assert (error.rate, error.limit, error.retry_after_s) == (Rate.PARALLEL, 2, 1)
    assert error.standing == NO_STANDING
    first.release()
    first.release()
    gate.admit(calls, 0, 0)
    refused(gate, calls, 0, 0)
    assert gate.in_use == 2


def test_tokens_are_taken_as_expected_and_counted_as_used() -> None:
    gate, calls = RateGate([limit(tokens_per_minute=1_000)]), subject()
    ticket = gate.admit(calls, 800, 0)
    error = refused(gate, calls, 300, SECOND_NS)
    assert (error.rate, error.retry_after_s) == (Rate.TOKENS, 59)
    ticket.used(100, at(2 * SECOND_NS))
    gate.admit(calls, 900, 3 * SECOND_NS)
    refused(gate, calls, 1, 3 * SECOND_NS)


def test_tokens_are_corrected_also_where_the_place_was_freed_before() -> None:
    gate, calls = RateGate([limit(tokens_per_minute=1_000, parallel=1)]), subject()
    ticket = gate.admit(calls, 800, 0)
    ticket.release()
    ticket.used(2_000, at(0))
    assert refused(gate, calls, 1, 0).standing.tokens == WindowState(1_000, 0, 60)


def test_what_was_used_beyond_the_limit_keeps_others_out_for_a_minute() -> None:
    gate, calls = RateGate([limit(tokens_per_minute=1_000)]), subject()
    gate.admit(calls, 10, 0).used(5_000, at(5 * SECOND_NS))
    error = refused(gate, calls, 1, 6 * SECOND_NS)
    assert error.standing.tokens == WindowState(1_000, 0, 59)
    assert error.retry_after_s == 59
    gate.admit(calls, 1_000, 65 * SECOND_NS)


def test_a_call_larger_than_the_limit_passes_alone() -> None:
    gate, calls = RateGate([limit(tokens_per_minute=1_000)]), subject()
    ticket = gate.admit(calls, 50_000, 0)
    assert refused(gate, calls, 50_000, SECOND_NS).retry_after_s == 59
    ticket.used(200, at(SECOND_NS))
    refused(gate, calls, 50_000, 2 * SECOND_NS)
    gate.admit(calls, 50_000, MINUTE_NS)


def test_what_uses_nothing_passes_when_tokens_are_used_up() -> None:
    gate, calls = RateGate([limit(tokens_per_minute=10)]), subject()
    gate.admit(calls, 10, 0)
    gate.admit(calls, 0, 0)


def test_a_call_that_was_never_sent_counts_for_nothing() -> None:
    gate = RateGate([limit(requests_per_minute=1, tokens_per_minute=9, parallel=1)])
    calls = subject()
    for second in range(5):
        ticket = gate.admit(calls, 9, second * SECOND_NS)
        refused(gate, calls, 9, second * SECOND_NS)
        ticket.cancel()
        ticket.cancel()
        ticket.used(9, at(second * SECOND_NS))
        ticket.release()
    assert gate.in_use == 0


def test_one_full_rule_refuses_and_nothing_is_taken_of_the_others() -> None:
    rules = [
        limit("wide", scope=BudgetScope.TEAM, requests_per_minute=5, parallel=5),
        limit("narrow", scope=BudgetScope.MODEL, match="gpt-*", requests_per_minute=1),
    ]
    gate = RateGate(rules)
    gpt, claude = subject(model="GPT-4.1"), subject(model="claude-sonnet-4-5")
    gate.admit(gpt, 0, 0)
    for _ in range(10):
        assert refused(gate, gpt, 0, 0).rule.name == "narrow"
    for _ in range(4):
        gate.admit(claude, 0, 0)
    assert refused(gate, claude, 0, 0).rule.name == "wide"


def test_the_longest_wait_is_told() -> None:
    rules = [
        limit("early", requests_per_minute=1),
        limit("late", scope=BudgetScope.TEAM, tokens_per_minute=10, parallel=1),
    ]
    gate, calls = RateGate(rules), subject()
    gate.admit(calls, 5, 0).used(20, at(30 * SECOND_NS))
    error = refused(gate, calls, 5, 40 * SECOND_NS)
    assert (error.rule.name, error.rate, error.retry_after_s) == ("late", Rate.TOKENS, 50)
    assert error.standing.requests == WindowState(1, 0, 20)


# ------------------------------------------------------------------ whose calls


def test_each_value_is_counted_apart_where_it_says_so() -> None:
    gate = RateGate([limit(each=True, requests_per_minute=1)])
    gate.admit(subject(key_id="k1"), 0, 0)
    gate.admit(subject(key_id="k2"), 0, 0)
    refused(gate, subject(key_id="k1", model="other"), 0, 0)


def test_all_count_together_where_it_does_not() -> None:
    gate = RateGate([limit(requests_per_minute=1)])
    gate.admit(subject(key_id="k1"), 0, 0)
    refused(gate, subject(key_id="k2"), 0, 0)


@pytest.mark.parametrize(
    ("rule_", "fields", "is_limited"),
    [
        (limit(match="k1", parallel=1), {"key_id": "k1"}, True),
        (limit(match="k1", parallel=1), {"key_id": "k10"}, False),
        (limit(match="k*", parallel=1), {"key_id": "k1"}, False),
        (limit(scope=BudgetScope.USER, match="u", parallel=1), {"user_id": "u"}, True),
        (limit(scope=BudgetScope.TEAM, match="core", parallel=1), {"team": "Core"}, False),
        (limit(scope=BudgetScope.TEAM, each=True, parallel=1), {"team": ""}, False),
        (limit(scope=BudgetScope.TEAM, parallel=1), {"team": ""}, True),
        (limit(scope=BudgetScope.MODEL, match="gpt-?.1*", parallel=1), {"model": "GPT-4.1"}, True),
        (limit(scope=BudgetScope.MODEL, match="gpt", parallel=1), {"model": "gpt-4"}, False),
    ],
)
def test_a_rule_concerns_whom_it_names(
    rule_: RateRule, fields: dict[str, str], is_limited: bool
) -> None:
    assert RateGate([rule_]).concerns(subject(**fields)) is is_limited


def test_a_model_that_is_named_late_must_concern_the_same_rules() -> None:
    rules = [limit("a", scope=BudgetScope.MODEL, match="whisper-*", parallel=1)]
    gate, begun = RateGate([*rules, limit("b", parallel=1)]), subject(model="")
    gate.require_alike(begun, profile(model="tts-1"))
    with pytest.raises(BadRequest, match="before the file"):
        gate.require_alike(begun, profile(model="whisper-1"))


# ------------------------------------------------------------------ changes


def test_a_lower_limit_holds_for_what_was_counted_before() -> None:
    gate, calls = RateGate([limit(requests_per_minute=10, parallel=10)]), subject()
    tickets = [gate.admit(calls, 0, 0) for _ in range(5)]
    gate.use([limit(requests_per_minute=5, parallel=10)])
    assert refused(gate, calls, 0, SECOND_NS).limit == 5
    gate.use([limit(requests_per_minute=50, parallel=5)])
    assert refused(gate, calls, 0, SECOND_NS).rate is Rate.PARALLEL
    tickets.pop().release()
    gate.admit(calls, 0, SECOND_NS)


def test_a_rule_that_counts_something_else_begins_anew_and_one_that_is_gone_holds_nobody() -> None:
    gate, calls = RateGate([limit(requests_per_minute=1, parallel=1)]), subject()
    ticket = gate.admit(calls, 0, 0)
    gate.use([limit(requests_per_minute=1, parallel=1, each=True)])
    gate.admit(calls, 0, 0).release()
    gate.use([])
    assert not gate.concerns(calls)
    ticket.release()
    gate.use([limit(requests_per_minute=1, parallel=1)])
    gate.admit(calls, 0, 0)
    assert gate.in_use == 1


# ------------------------------------------------------------------ memory


def test_names_without_end_share_one_count_and_are_forgotten_after_a_minute() -> None:
    rule_ = limit(scope=BudgetScope.MODEL, each=True, requests_per_minute=2)
    now = [0]
    gate = RateGate([rule_], entities_max=10, now_ns=lambda: now[0])
    for number in range(10):
        gate.admit(subject(model=f"m{number}"), 0, 0)
    gate.admit(subject(model="m10"), 0, 0)
    gate.admit(subject(model="m11"), 0, 0)
    refused(gate, subject(model="m12"), 0, 0)
    now[0] = SECOND_NS
    for number in range(1_000):
        refused(gate, subject(model=f"n{number}"), 0, now[0])
    assert gate.entities == 11
    kept = subject(model="m0")
    gate.admit(kept, 0, 30 * SECOND_NS)
    now[0] = later_ns = MINUTE_NS + 2 * SECOND_NS
    gate.admit(subject(model="x"), 0, later_ns)
    gate.admit(kept, 0, later_ns)  # with the call of half a minute ago
    refused(gate, subject(model="m0"), 0, later_ns)
    assert gate.entities < 10


def test_no_room_is_made_of_a_row_that_the_same_call_needs() -> None:
    rules = [
        limit("a", each=True, requests_per_minute=1),
        limit("b", scope=BudgetScope.MODEL, each=True, requests_per_minute=5),
    ]
    now = [0]
    gate = RateGate(rules, entities_max=2, now_ns=lambda: now[0])
    gate.admit(subject(key_id="k1", model="m1"), 0, 0)
    now[0] = late_ns = 2 * MINUTE_NS
    gate.admit(subject(key_id="k1", model="m2"), 0, late_ns)  # makes room, of its own row too
    refused(gate, subject(key_id="k1", model="m3"), 0, late_ns)


# ------------------------------------------------------------------ the model


class Flying:
    """A call of the reference: when it began, what it took and what counts of it."""

    def __init__(self, ticket: Ticket, fields: dict[str, str], tokens: int, at_ns: int) -> None:
        self.ticket = ticket
        self.fields = fields
        self.tokens = tokens
        self.at_ns = at_ns


REFERENCE_RULES: Final = (
    limit("each key", each=True, requests_per_minute=4, parallel=3),
    limit("gpt", scope=BudgetScope.MODEL, match="gpt-*", tokens_per_minute=100, parallel=4),
    limit("all", scope=BudgetScope.TEAM, requests_per_minute=9, tokens_per_minute=300),
)


class GateModel(RuleBasedStateMachine):
    """Any calls, ends and clocks: what a plain list of them says, the gate says."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = RateGate(REFERENCE_RULES)
        self.now_ns = 0
        self.flying: list[Flying] = []
        self.counted: list[tuple[int, str, tuple[str, str], int]] = []
        self.places: Counter[tuple[str, str]] = Counter()
        self.subjects: dict[tuple[str, str], RateSubject] = {}

    def concerned(self, fields: dict[str, str]) -> list[tuple[RateRule, tuple[str, str]]]:
        found = [(REFERENCE_RULES[0], ("each key", fields["key_id"]))]
        if fields["model"].startswith("gpt"):
            found.append((REFERENCE_RULES[1], ("gpt", "")))
        return [*found, (REFERENCE_RULES[2], ("all", ""))]

    def sums(self, kind: str, row: tuple[str, str], since_ns: int) -> int:
        return sum(
            amount
            for at_ns, of, where, amount in self.counted
            if of == kind and where == row and at_ns > since_ns
        )

    def fits(self, fields: dict[str, str], tokens: int, slack_ns: int) -> bool:
        since_ns = self.now_ns - MINUTE_NS - slack_ns
        for rule_, row in self.concerned(fields):
            requests, most_tokens, places = rule_.limits
            if requests is not None and self.sums("requests", row, since_ns) + 1 > requests:
                return False
            if places is not None and self.places[row] >= places:
                return False
            if most_tokens is not None:
                wanted = min(tokens, most_tokens)
                if wanted and self.sums("tokens", row, since_ns) + wanted > most_tokens:
                    return False
        return True

    @rule(
        key_id=st.sampled_from(KEYS),
        model=st.sampled_from(MODELS),
        tokens=st.one_of(st.integers(0, 60), st.integers(0, 500)),
    )
    def call(self, key_id: str, model: str, tokens: int) -> None:
        fields = {"key_id": key_id, "model": model}
        calls = self.subjects.setdefault((key_id, model), subject(**fields))
        try:
            ticket = self.gate.admit(calls, tokens, self.now_ns)
        except RateLimited as error:
            assert not self.fits(fields, tokens, GRAIN_NS), "what fits was refused"
            assert 1 <= (error.retry_after_s or 0) <= 60
            return
        assert self.fits(fields, tokens, 0), "more than the limit passed"
        self.flying.append(Flying(ticket, fields, tokens, self.now_ns))
        for rule_, row in self.concerned(fields):
            if rule_.requests_per_minute is not None:
                self.counted.append((self.now_ns, "requests", row, 1))
            if rule_.tokens_per_minute is not None:
                took = min(tokens, rule_.tokens_per_minute)
                self.counted.append((self.now_ns, "tokens", row, took))
            self.places[row] += 1

    def end(self, which: int) -> Flying | None:
        if not self.flying:
            return None
        done = self.flying.pop(which % len(self.flying))
        for _, row in self.concerned(done.fields):
            self.places[row] -= 1
        return done

    @rule(which=st.integers(0, 50), used=st.integers(0, 700))
    def ends(self, which: int, used: int) -> None:
        done = self.end(which)
        if done is None:
            return
        for again in range(2):
            done.ticket.used(used + again, at(self.now_ns))
            done.ticket.release()
        for rule_, row in self.concerned(done.fields):
            if rule_.tokens_per_minute is not None:
                took = min(done.tokens, rule_.tokens_per_minute)
                at_ns = done.at_ns if used < took else self.now_ns
                self.counted.append((at_ns, "tokens", row, used - took))

    @rule(which=st.integers(0, 50))
    def is_never_sent(self, which: int) -> None:
        done = self.end(which)
        if done is None:
            return
        done.ticket.cancel()
        for rule_, row in self.concerned(done.fields):
            if rule_.requests_per_minute is not None:
                self.counted.append((done.at_ns, "requests", row, -1))
            if rule_.tokens_per_minute is not None:
                took = min(done.tokens, rule_.tokens_per_minute)
                self.counted.append((done.at_ns, "tokens", row, -took))

    @rule(step_ns=st.one_of(st.integers(0, GRAIN_NS), st.integers(0, 2 * MINUTE_NS)))
    def time_passes(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @invariant()
    def places_are_those_of_calls_in_flight(self) -> None:
        with_places = {"each key", "gpt"}
        expected = sum(count for row, count in self.places.items() if row[0] in with_places)
        assert self.gate.in_use == expected

    def teardown(self) -> None:
        while self.flying:
            self.ends(0, 5)
        assert self.gate.in_use == 0
        for key_id in KEYS:
            for model in MODELS:
                calls = subject(key_id=key_id, model=model)
                self.gate.admit(calls, 500, self.now_ns + 2 * MINUTE_NS).cancel()


GateModel.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestGateModel = GateModel.TestCase
