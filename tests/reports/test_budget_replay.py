"""A budget tried on the past, against plain Python that reads every entry in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_desks import CENT, DOLLAR, budget
from ledger_entries import ledger_entry
from tollkeeper.domain.budget_replay import Replay
from tollkeeper.domain.budget_windows import ENDLESS, Window, WindowKind, WindowRule
from tollkeeper.domain.budgets import Budget, BudgetScope, Unit, entity_text
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.ports import Ledger, Position
from tollkeeper.reports import budget_replay
from tollkeeper.reports.budget_replay import replay
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.services.budget_spending import spender_of

HOUR = 3_600_000_000
DAY = 24 * HOUR
START = 1_792_368_000_000_000
"""19 October 2026: clocks go back in Berlin on the 25th."""
END = START + 12 * DAY


@pytest.fixture(scope="module")
def engine(ledger: Ledger) -> Ledger:
    return ledger


class Filled(NamedTuple):
    """A ledger of one organisation's entries; each filling has an organisation of its own."""

    ledger: Ledger
    org: str

    def replay(self, one: Budget, start_us: int = START, end_us: int = END) -> Replay:
        return replay(self.ledger, self.org, one, start_us, end_us)


class Filler:
    def __init__(self, engine: Ledger) -> None:
        self._engine = engine
        self._filled = 0

    def __call__(self, entries: Sequence[LedgerEntry]) -> Filled:
        self._filled += 1
        org = f"org-{self._filled}"
        named = [
            entry._replace(
                org=org, entry_id=f"{org}-{entry.entry_id}", call_id=f"{org}-{entry.call_id}"
            )
            for entry in entries
        ]
        if named:
            self._engine.append(named, Position("test", self._filled))
        return Filled(self._engine, org)


@pytest.fixture(scope="module")
def fill(engine: Ledger) -> Filler:
    return Filler(engine)


def call(at_us: int, cost: int | None = CENT, **changes: Any) -> LedgerEntry:
    known = {"basis": Basis.UNPRICED if cost is None else Basis.MEASURED} | changes
    return ledger_entry(started_at_us=START + at_us, cost_nanos=cost, **known)


# ------------------------------------------------------------------ by example


def test_what_does_not_fit_is_refused_and_smaller_calls_still_go(fill: Filler) -> None:
    filled = fill([call(at, cents * CENT) for at, cents in enumerate((60, 50, 40, 1))])
    found = filled.replay(budget(limit=DOLLAR, window=WindowRule(WindowKind.MONTH)))
    assert (found.calls, found.amount) == (4, 151 * CENT)
    assert (found.refused, found.refused_amount) == (2, 51 * CENT)
    (window,) = found.windows
    assert window.first_us == START + 1
    assert window.entity == ""
    assert [each.calls for each in found.whom] == [2]


def test_each_window_begins_anew_where_the_zone_has_its_midnight(fill: Filler) -> None:
    # Berlin is two hours ahead until the 25th, one hour from then on.
    days = [call(day * DAY + 22 * HOUR, 60 * CENT) for day in range(11)]
    days += [call(day * DAY + 23 * HOUR, 60 * CENT) for day in range(11)]
    daily = budget(limit=DOLLAR, window=WindowRule(WindowKind.DAY, "Europe/Berlin"))
    found = fill(days).replay(daily)
    reference = expected(days, daily)
    assert found.refused == sum(each[0] for each in reference.values()) > 0
    for window in found.windows:
        assert daily.window.around(window.first_us) == window.window


def test_each_value_has_a_limit_of_its_own(fill: Filler) -> None:
    entries = [
        call(number, 60 * CENT, user_id=who, user_name=f"{who}@acme.com")
        for number, who in enumerate(("u-1", "u-2", "u-1", "u-1", ""))
    ]
    each = budget(limit=DOLLAR, scope=BudgetScope.USER, each=True)
    found = fill(entries).replay(each)
    assert (found.calls, found.refused) == (4, 2)
    assert [(row.who, row.who_name, row.calls) for row in found.whom] == [
        ("u-1", "u-1@acme.com", 2)
    ]
    assert [window.entity for window in found.windows] == ["u-1"]


def test_what_has_no_price_is_told_apart(fill: Filler) -> None:
    found = fill([call(0), call(1, None), call(2)]).replay(budget(limit=CENT))
    assert (found.calls, found.unpriced, found.refused) == (3, 1, 1)
    tokens = fill([call(0), call(1, None)]).replay(budget(limit=62, unit=Unit.TOKENS))
    assert (tokens.unpriced, tokens.refused, tokens.refused_amount) == (0, 1, 62)


def test_refused_calls_cost_nothing_and_do_not_count(fill: Filler) -> None:
    refused = call(0, 0, outcome=Outcome.REFUSED, basis=Basis.FREE)
    found = fill([refused, call(1)]).replay(budget(limit=1, unit=Unit.REQUESTS))
    assert (found.calls, found.refused) == (1, 0)


def test_an_attempt_with_its_further_models_and_corrections_is_one(fill: Filler) -> None:
    first = call(0, 30 * CENT)
    part = first._replace(entry_id=f"{first.entry_id}.1", part=1, cost_nanos=40 * CENT)
    taken_back = first._replace(
        entry_id="c1", corrects=first.entry_id, revision=1, sign=-1, cost_nanos=-30 * CENT,
        input_tokens=-48, output_tokens=-14,
    )  # fmt: skip
    anew = first._replace(
        entry_id="c2", corrects=first.entry_id, revision=1, sign=1, cost_nanos=10 * CENT
    )
    filled = fill([first, part, taken_back, anew])
    fits = filled.replay(budget(limit=50 * CENT))
    assert (fits.calls, fits.amount, fits.refused) == (1, 50 * CENT, 0)
    over = filled.replay(budget(limit=50 * CENT - 1))
    assert (over.refused, over.refused_amount) == (1, 50 * CENT)


def test_a_limit_of_nothing_refuses_all_that_costs(fill: Filler) -> None:
    entries = [call(0, 0, basis=Basis.FREE), call(1), call(2)]
    found = fill(entries).replay(budget(limit=0))
    assert (found.calls, found.refused) == (3, 2)


def test_nothing_in_the_ledger_refuses_nothing(fill: Filler) -> None:
    found = fill([]).replay(budget())
    assert (found.calls, found.refused, found.windows, found.whom) == (0, 0, (), ())


def test_the_model_is_the_one_that_live_admission_goes_by(fill: Filler) -> None:
    entries = [
        call(0, model_requested="fast", model_asked="gpt-4.1", model_served="gpt-4.1-mini"),
        call(1, model_requested="gpt-4.1", model_asked="claude-x", model_served="claude-x-1"),
        call(2, model_requested="openai/gpt-4.1", model_asked="gpt-4.1", model_served=""),
    ]
    filled = fill(entries)
    for match in ("gpt-4.1", "gpt-4.1*", "gpt-4.1-mini", "fast", "claude-x", "claude-*"):
        for each in (False, True):
            one = budget(scope=BudgetScope.MODEL, match=match, each=each)
            live = [one.entity_of(spender_of(entry)) for entry in entries]
            assert filled.replay(one).calls == sum(entity is not None for entity in live)
            refused = filled.replay(one._replace(limit=0)).windows
            assert {window.entity for window in refused} == set(live) - {None}
    exempt = budget(exempt_models=("gpt-4.1",))
    assert filled.replay(exempt).calls == 1


def test_older_entries_do_not_say_what_was_asked_for(fill: Filler) -> None:
    entries = [
        call(0, model_requested="openai/gpt-4.1", model_served="gpt-4.1-2025-04-14"),
        call(1, model_requested="fast", model_served="gpt-4.1-mini"),
        call(2, model_requested="gpt-4.1", model_served=""),
    ]
    filled = fill(entries)
    for match, calls in (("gpt-4.1", 2), ("gpt-4.1*", 3), ("fast", 0), ("claude-*", 0)):
        assert filled.replay(budget(scope=BudgetScope.MODEL, match=match)).calls == calls
    exempt = budget(exempt_models=("GPT-4.1-mini",))
    assert filled.replay(exempt).calls == 2


def test_tags_go_by_key_and_value(fill: Filler) -> None:
    entries = [call(0, tags={"feature": "chat"}), call(1, tags={"feature": "x"}), call(2, tags={})]
    filled = fill(entries)
    tagged = budget(scope=BudgetScope.TAG, tag="feature", limit=0)
    assert filled.replay(tagged).calls == 2
    assert filled.replay(tagged._replace(match="chat")).calls == 1
    each = filled.replay(tagged._replace(each=True))
    assert sorted(window.entity for window in each.windows) == ["chat", "x"]
    with pytest.raises(BadQuestion):
        filled.replay(tagged._replace(tag="no such key!"))


def test_pages_never_cut_a_moment(fill: Filler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_replay, "PAGE_ROWS", 3)
    entries = [call(at // 5, CENT) for at in range(23)]
    found = fill(entries).replay(budget(limit=10 * CENT))
    assert (found.calls, found.refused) == (23, 13)


def test_those_that_may_still_fit_are_asked_for_alone(
    fill: Filler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_replay, "PAGE_ROWS", 4)
    costs = [60, 50, 50, 50, 50, 45, 41, 30, 5, 50, 9, 0, 2, 5, 1]
    entries = [
        call(at, cost * CENT, user_id=f"u-{at % 2}", user_name=f"name {at}")
        for at, cost in enumerate(costs)
    ]
    taken_back = entries[5]._replace(
        entry_id="c1", corrects=entries[5].entry_id, revision=1, sign=-1,
        cost_nanos=-45 * CENT, input_tokens=-48, output_tokens=-14,
    )  # fmt: skip
    anew = taken_back._replace(entry_id="c2", sign=1, cost_nanos=3 * CENT)
    filled = fill([*entries, taken_back, anew, call(99, None)])
    found = filled.replay(budget(limit=DOLLAR))
    # Let through: 60, then 3 (it was 45), 30, 5, 0, 2 cents. Of the last 5 and 1, nothing fits.
    assert (found.refused, found.unpriced) == (9, 1)
    assert found.refused_amount == (4 * 50 + 41 + 50 + 9 + 5 + 1) * CENT
    assert [window.first_us for window in found.windows] == [START + 1]
    assert sum(each.calls for each in found.whom) == 9
    names = {each.who: each.who_name for each in found.whom}
    assert names == {"u-0": "name 14", "u-1": "name 13"}


def test_what_is_left_rolls_over(fill: Filler) -> None:
    rolling = budget(limit=DOLLAR, window=WindowRule(WindowKind.DAY), rollover_max=30 * CENT)
    filled = fill([call(0, 90 * CENT), call(DAY, 105 * CENT), call(DAY + 1, 10 * CENT)])
    found = filled.replay(rolling)
    assert (found.refused, found.refused_amount) == (1, 10 * CENT)
    assert filled.replay(rolling._replace(rollover_max=0)).refused_amount == 105 * CENT


def test_it_says_how_far_it_is(fill: Filler) -> None:
    filled = fill([call(0)])
    told: list[tuple[int, int]] = []
    hourly = budget(window=WindowRule(WindowKind.HOUR))
    replay(
        filled.ledger, filled.org, hourly, START, START + 100 * HOUR, lambda *at: told.append(at)
    )
    assert told[-1] == (100, 100)
    assert [done for done, _ in told] == list(range(1, 101))


# ------------------------------------------------------------------ against plain Python


def expected(entries: Sequence[LedgerEntry], one: Budget) -> dict[tuple[str, int], list[int]]:
    """Replay in plain Python: (entity, window) → refused calls, their amount, the first."""
    posted: dict[tuple[str, int], int] = {}
    refused: dict[tuple[str, int], list[int]] = {}
    for entry in sorted(entries, key=lambda each: (each.started_at_us, each.call_id)):
        entity = _entity(entry, one)
        if entry.outcome == Outcome.REFUSED or entity is None:
            continue
        window = _window(one.window, entry.started_at_us)
        key = entity, window.start_us
        amount = _amount(entry, one.unit)
        if amount is None:
            continue
        if posted.get(key, 0) + amount <= _limit(posted, key, one, window):
            posted[key] = posted.get(key, 0) + amount
        else:
            row = refused.setdefault(key, [0, 0, entry.started_at_us])
            row[0] += 1
            row[1] += amount
    return refused


def _limit(
    posted: dict[tuple[str, int], int], key: tuple[str, int], one: Budget, window: Window
) -> int:
    """Give a window's limit, by what the one before left over."""
    first_us = _window(one.window, START).start_us
    if not one.rollover_max or window.start_us <= first_us:
        return one.limit
    before = one.window.around(window.start_us - 1)
    before_key = key[0], before.start_us
    is_known = before_key in posted
    left = (
        one.limit if not is_known else _limit(posted, before_key, one, before) - posted[before_key]
    )
    return one.limit + max(0, min(one.rollover_max, left))


def _window(rule: WindowRule, at_us: int) -> Window:
    return Window(START, END) if rule.kind in ENDLESS else rule.around(at_us)


def _entity(entry: LedgerEntry, one: Budget) -> str | None:
    value = {
        BudgetScope.ORG: "",
        BudgetScope.TEAM: entry.team,
        BudgetScope.USER: entry.user_id,
        BudgetScope.TAG: entry.tags.get("feature", ""),
    }[one.scope]
    counts = value == one.match or (
        one.match == "*" and (bool(value) or (not one.each and one.scope is not BudgetScope.TAG))
    )
    return (entity_text(value) if one.each else "") if counts else None


def _amount(entry: LedgerEntry, unit: Unit) -> int | None:
    if unit is Unit.USD:
        return entry.cost_nanos
    return 1 if unit is Unit.REQUESTS else entry.input_tokens + entry.output_tokens


@st.composite
def pasts(draw: st.DrawFn) -> list[LedgerEntry]:
    made = []
    for _ in range(draw(st.integers(0, 40))):
        outcome = draw(st.sampled_from((Outcome.OK, Outcome.OK, Outcome.REFUSED)))
        cost = draw(st.one_of(st.none(), st.integers(0, 40 * CENT)))
        feature = draw(st.sampled_from(("", "chat", "search")))
        made.append(
            call(
                draw(st.integers(0, 11 * 24 * 4)) * HOUR // 4 + draw(st.integers(0, 1)),
                0 if outcome is Outcome.REFUSED else cost,
                outcome=outcome,
                team=draw(st.sampled_from(("", "core", "web"))),
                user_id=draw(st.sampled_from(("", "u-1", "u-2"))),
                input_tokens=draw(st.integers(0, 100)),
                tags={"feature": feature} if feature else {},
            )
        )
    return made


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    scope = draw(st.sampled_from((BudgetScope.ORG, BudgetScope.TEAM, BudgetScope.TAG)))
    unit = draw(st.sampled_from(Unit))
    match = "*"
    if scope is not BudgetScope.ORG:
        match = draw(st.sampled_from(("*", "core", "chat")))
    limit = draw(st.integers(0, {Unit.USD: DOLLAR, Unit.TOKENS: 400}.get(unit, 6)))
    kind = draw(st.sampled_from(WindowKind))
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")))
    return budget(
        limit=limit,
        scope=scope,
        unit=unit,
        match=match,
        each=scope is not BudgetScope.ORG and draw(st.booleans()),
        tag="feature" if scope is BudgetScope.TAG else "",
        window=WindowRule(kind, zone, first_weekday=draw(st.integers(1, 7))),
        rollover_max=0 if kind in ENDLESS else draw(st.sampled_from((0, limit // 3, limit))),
    )


@settings(max_examples=40, deadline=None)
@given(past=pasts(), one=budgets(), rows=st.sampled_from((1, 4, 20_000)))
def test_it_agrees_with_plain_python(
    fill: Filler, past: list[LedgerEntry], one: Budget, rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget_replay, "PAGE_ROWS", rows)
        found = fill(past).replay(one)
    reference = expected(past, one)
    assert {
        (each.entity, each.window.start_us): [each.refused, each.refused_amount, each.first_us]
        for each in found.windows
    } == reference
    assert found.refused == sum(row[0] for row in reference.values())
    assert found.refused_amount == sum(row[1] for row in reference.values())
    assert sum(each.calls for each in found.whom) == found.refused
    counted = [
        each for each in past if each.outcome != Outcome.REFUSED and _entity(each, one) is not None
    ]
    assert found.calls == len(counted)
    assert found.amount == sum(_amount(each, one.unit) or 0 for each in counted)
