"""The state machine of alerts: once each, the highest told, back only when clearly below."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tollkeeper.domain.alerts import (
    OPEN,
    STANDING,
    Alert,
    AlertKey,
    AlertState,
    Reading,
    steps,
)

NOW = 1_790_000_000_000_000


def reading(value: int, limit: int = 100, bp: tuple[int, ...] = (5_000, 8_000, 10_000)) -> Reading:
    return Reading("budget", "b1", "", NOW, NOW + 1, value, limit, bp, "Core")


def applied(alerts: list[Alert], now: Reading) -> tuple[list[Alert], list[AlertKey]]:
    """Do what is to change; give the alerts and what was told."""
    told = []
    for step in steps(now, alerts):
        if step.known is not None:
            alerts = [each for each in alerts if each is not step.known]
            alerts.append(step.known._replace(state=step.state))
        else:
            made = Alert("a", step.key, step.state, NOW + 1, now.value, now.limit, "", "", NOW, NOW)
            alerts = [*alerts, made]
        if step.told:
            told.append((step.key.threshold_bp, str(step.state)))
    return alerts, told


def test_of_several_passed_at_once_the_highest_is_told_and_the_lower_are_marked() -> None:
    alerts, told = applied([], reading(85))
    assert told == [(8_000, "fired")]
    assert {each.key.threshold_bp: each.state for each in alerts} == {
        5_000: AlertState.PASSED,
        8_000: AlertState.FIRED,
    }
    assert applied(alerts, reading(85))[1] == []
    assert applied(alerts, reading(100))[1] == [(10_000, "fired")]


def test_a_little_below_is_not_recovered_and_clearly_below_is_told_once() -> None:
    alerts, _ = applied([], reading(80))
    assert applied(alerts, reading(77))[1] == []
    alerts, told = applied(alerts, reading(75))
    assert told == [(8_000, "recovered")]
    assert applied(alerts, reading(75))[1] == []
    alerts, told = applied(alerts, reading(80))
    assert told == [(8_000, "fired")]
    assert max(each.key.round for each in alerts) == 2


def test_a_raised_limit_arms_only_what_is_above_again() -> None:
    alerts, told = applied([], reading(100))
    assert told == [(10_000, "fired")]
    alerts, told = applied(alerts, reading(100, limit=110))  # 91 %: 80 % still stands
    assert told == [(10_000, "recovered")]
    assert {each.key.threshold_bp for each in alerts if each.state in OPEN} == {5_000, 8_000}
    alerts, told = applied(alerts, reading(110, limit=110))
    assert told == [(10_000, "fired")]


def test_a_threshold_that_is_added_below_a_told_one_is_only_marked() -> None:
    alerts, _ = applied([], reading(90, bp=(8_000,)))
    alerts, told = applied(alerts, reading(90, bp=(5_000, 8_000)))
    assert told == []
    assert sorted(each.state for each in alerts) == ["fired", "passed"]


def test_nothing_spent_passes_nothing_not_even_a_limit_of_nothing() -> None:
    assert steps(reading(0, limit=0), []) == []
    assert [step.told for step in steps(reading(1, limit=0), [])] == [False, False, True]


@given(st.integers(0, 4 * 10**18), st.integers(1, 4 * 10**18))
def test_at_most_one_message_is_told_of_one_look(value: int, limit: int) -> None:
    found = steps(reading(value, limit), [])
    assert sum(step.told for step in found) == min(1, len(found))


class Alerting(RuleBasedStateMachine):
    """Any amounts, limits and acknowledgements, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: list[Alert] = []
        self.value = 0
        self.limit = 1_000

    def look(self) -> None:
        before = {each.key for each in self.alerts if each.state in STANDING}
        self.alerts, told = applied(self.alerts, reading(self.value, self.limit))
        assert len(told) <= 2  # one that fires, one that has recovered
        fired = {each.key for each in self.alerts if each.state in STANDING} - before
        assert len(fired) <= 1
        assert applied(self.alerts, reading(self.value, self.limit))[1] == []

    @rule(more=st.integers(0, 500))
    def spend(self, more: int) -> None:
        self.value += more
        self.look()

    @rule(part=st.integers(0, 100))
    def correct(self, part: int) -> None:
        self.value = self.value * part // 100
        self.look()

    @rule(limit=st.integers(0, 5_000))
    def change_limit(self, limit: int) -> None:
        self.limit = limit
        self.look()

    @precondition(lambda self: any(each.state is AlertState.FIRED for each in self.alerts))
    @rule()
    def acknowledge(self) -> None:
        self.alerts = [
            each._replace(state=AlertState.ACKNOWLEDGED) if each.state is AlertState.FIRED else each
            for each in self.alerts
        ]

    @invariant()
    def each_threshold_has_one_open_round_at_most(self) -> None:
        keys = [each.key for each in self.alerts]
        assert len(set(keys)) == len(keys)
        for bp in (5_000, 8_000, 10_000):
            rounds = [each for each in self.alerts if each.key.threshold_bp == bp]
            assert sorted(each.key.round for each in rounds) == [*range(1, len(rounds) + 1)]
            assert sum(each.state in OPEN for each in rounds) <= 1

    @invariant()
    def what_is_passed_stands(self) -> None:
        now = reading(self.value, self.limit)
        standing = {each.key.threshold_bp for each in self.alerts if each.state in OPEN}
        for bp in now.thresholds_bp:
            assert not now.passes(bp) or bp in standing


TestAlerting = Alerting.TestCase
