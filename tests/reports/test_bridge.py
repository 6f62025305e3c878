"""Why a cost changed, from real entries: each side a recount, the causes the whole difference."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recount
from arbitrary_entries import corrected_entries
from ledger_entries import ledger_entry
from ledgers import store
from tollkeeper.domain.access import Scope
from tollkeeper.domain.bridge import Cause
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.ports import Ledger
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.reports import bridge, zones
from tollkeeper.reports.bridge import Amounts, Bridge, Changes, changes
from tollkeeper.reports.bridge_words import why
from tollkeeper.reports.parameters import changes_question
from tollkeeper.reports.questions import BadQuestion

DAY_US = 86_400_000_000
NOW_US = zones.instant_of(
    datetime.fromisoformat("2026-11-18T15:30"), zones.zone_info("Europe/Berlin")
)
BOOK = shipped_price_book()


def ask(ledger: Ledger, scope: Scope, **asked: str) -> Changes:
    question = changes_question({"tz": "Europe/Berlin", "period": "7d", **asked}, NOW_US)
    return changes(ledger, scope, question, BOOK, NOW_US)


def calls(days_ago: int, times: int = 1, **changed: Any) -> list[LedgerEntry]:
    at_us = NOW_US - days_ago * DAY_US - 60_000_000
    usual = {"price_provider": "openai", "cost_nanos": 208_000} | changed
    return [ledger_entry(started_at_us=at_us, **usual) for _ in range(times)]


sometime = st.integers(NOW_US - 16 * DAY_US, NOW_US - 1)


@settings(max_examples=15, deadline=None)
@given(
    corrected_entries(sometime),
    st.sampled_from(["team", "model", "user", "tag:feature", "streamed"]),
    st.sampled_from(
        [
            {},
            {"before_from": "2026-11-10", "before_to": "2026-11-14"},  # overlaps the period
            {"before_from": "2026-11-01T10:30", "before_to": "2026-11-02T00:00"},
        ]
    ),
)
def test_both_sides_are_a_recount_and_the_causes_the_difference(
    ledger: Ledger, entries: list[LedgerEntry], by: str, before: dict[str, str]
) -> None:
    found = ask(ledger, store(ledger, entries), by=by, **before)
    question = found.question
    for period, amounts in (
        (question.period, found.total.now),
        (question.before, found.total.before),
    ):
        within = [e for e in entries if period.start_us <= e.started_at_us < period.until_us]
        assert amounts.cost_usd == (recount.money(within, "cost_nanos") or 0)
        assert amounts.unpriced == recount.measures(within)["unpriced"]
    for rows in ([found.total], found.rows, found.pairs):
        for row in rows:
            assert sum(row.effects.values()) == row.difference_usd
            assert why(row).endswith(".")
    for cause in Cause:
        in_rows = sum(row.effects.get(cause, Decimal(0)) for row in found.rows)
        assert in_rows == found.total.effects.get(cause, 0)
    moved = [abs(row.difference_usd) for row in found.rows]
    assert moved == sorted(moved, reverse=True)
    assert len(found.rows) == found.rows_found


def only(found: Changes) -> dict[Cause, Decimal]:
    return dict(found.total.effects)


def test_each_thing_that_happens_alone_is_its_own_cause(ledger: Ledger) -> None:
    usd = Decimal("0.000208000")
    more = ask(ledger, store(ledger, calls(9, 4) + calls(1, 6)))
    assert only(more) == {Cause.VOLUME: 2 * usd}
    assert why(more.total) == "More requests (4 → 6) +<$0.01."
    dearer = calls(1, 4, cost_nanos=416_000)
    assert only(ask(ledger, store(ledger, calls(9, 4) + dearer))) == {Cause.PRICE: 4 * usd}
    new = calls(1, 3, model_served="gpt-4.1-mini")
    assert only(ask(ledger, store(ledger, calls(9, 4) + calls(1, 4) + new))) == {Cause.NEW: 3 * usd}
    assert only(ask(ledger, store(ledger, calls(9, 4)))) == {Cause.ENDED: -4 * usd}
    assert ask(ledger, store(ledger, calls(9, 4) + calls(1, 4))).total.effects == {}


def test_failures_and_refusals_are_no_uses_and_what_has_no_price_is_named(ledger: Ledger) -> None:
    failed = {"cost_nanos": 0, "input_tokens": 0, "output_tokens": 0}
    scope = store(
        ledger,
        calls(9, 2)
        + calls(1, 2)
        + calls(1, 5, outcome=Outcome.UPSTREAM_ERROR, basis=Basis.FREE, **failed)
        + calls(1, 5, outcome=Outcome.REFUSED, basis=Basis.FREE, **failed)
        + calls(1, 3, cost_nanos=None, basis=Basis.UNPRICED)
        + calls(1, 1, team="other", cost_nanos=None, basis=Basis.UNPRICED),
    )
    found = ask(ledger, scope)
    assert found.total.effects == {}
    assert (found.total.now.requests, found.total.now.unpriced) == (2, 4)
    assert [(row.name, row.now.unpriced) for row in found.rows] == [("core", 3), ("other", 1)]


def test_values_of_which_nothing_is_said_count_only_where_they_are_too_many_to_be_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"outcome": Outcome.REFUSED, "basis": Basis.FREE, "cost_nanos": 0}
    scope = store(
        ledger,
        calls(9, 2)
        + calls(1, 2)
        + [call for team in "abc" for call in calls(1, team=team, **refused)],
    )
    monkeypatch.setattr(bridge, "CELLS_MAX", 1)
    assert [row.name for row in ask(ledger, scope).rows] == ["core"]
    for limit, most in (("_READ_MAX", 5), ("CELLS_MAX", 0)):
        with monkeypatch.context() as lower, pytest.raises(BadQuestion, match="add a filter"):
            lower.setattr(bridge, limit, most)
            ask(ledger, scope)


def test_by_model_requests_that_move_are_mix_and_by_team_they_are_that_teams(
    ledger: Ledger,
) -> None:
    small = {"model_served": "gpt-4.1-mini", "cost_nanos": 100_000, "team": "other"}
    scope = store(ledger, calls(9, 4) + calls(9, 2, **small) + calls(1, 2) + calls(1, 4, **small))
    assert only(ask(ledger, scope, by="model")) == {Cause.MIX: Decimal("-0.000216000")}
    assert only(ask(ledger, scope, by="team")) == {Cause.VOLUME: Decimal("-0.000216000")}


def test_scope_and_filters_hold(ledger: Ledger) -> None:
    scope = store(ledger, calls(1, 2) + calls(1, 3, team="other", user_id="u_2"))
    assert ask(ledger, scope).total.now.requests == 5
    assert ask(ledger, scope, filter="team:other").total.now.requests == 3
    mine = Scope(scope.org, user_id="u_2")
    assert [row.name for row in ask(ledger, mine).rows] == ["other"]
    assert ask(ledger, Scope(scope.org, teams=frozenset({"core"}))).total.now.requests == 2
    assert ask(ledger, Scope("nobody")).rows == ()


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"by": "colour"}, "by"),
        ({"by": "tag:"}, "by"),
        ({"by": "team,model"}, "by"),
        ({"period": "0d"}, "period"),
        ({"period": "99999999d"}, "period"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"before_from": "2026-11-01"}, "before_to"),
        ({"before_to": "2026-11-01"}, "before_from"),
        ({"before_from": "2026-11-02", "before_to": "2026-11-01"}, "before_from"),
        ({"before_from": "0001-01-01", "before_to": "2026-11-01"}, "before_from"),
        ({"before_from": "1981-01-01", "before_to": "2026-11-01"}, "before_from"),
        ({"before_from": "now", "before_to": "then"}, "before_from"),
        ({"filter": "colour:red"}, "filter"),
        ({"colour": "red"}, "'colour'"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_told(asked: dict[str, str], parameter: str) -> None:
    with pytest.raises(BadQuestion) as refused:
        changes_question({"period": "7d", **asked}, NOW_US)
    assert refused.value.parameter == parameter


@pytest.mark.parametrize(
    ("tokens_in", "said"),
    [
        (2_970, "Shorter prompts -$4.00."),  # one in a hundred is no reason for four dollars
        (2_700, "Shorter prompts (30 → 27 tokens each) -$4.00."),
        (3_300, "Shorter prompts -$4.00."),
    ],
)
def test_figures_that_explain_nothing_are_left_out(tokens_in: int, said: str) -> None:
    before = Amounts(Decimal(9), requests=100, tokens_in=3_000)
    now = Amounts(Decimal(5), requests=100, tokens_in=tokens_in)
    assert why(Bridge("", "", "", before, now, {Cause.PROMPT_SIZE: Decimal(-4)})) == said
