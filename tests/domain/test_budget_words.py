"""Budgets as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budget_words import (
    ALERT_AT_BP,
    OPTIONS,
    UnclearWords,
    amount_of_words,
    amount_words,
    budget_of,
    percent_words,
    scope_words,
    window_of_words,
    window_words,
    words_of,
)
from tollkeeper.domain.budgets import LIMIT_MAX, Budget, BudgetScope, Mode, Sizing, Unit

DOLLAR = 10**9
MINIMAL = {"scope": "org", "limit": "5000 USD"}


@pytest.mark.parametrize(
    ("typed", "amount", "unit"),
    [
        ("5000 USD", 5000 * DOLLAR, Unit.USD),
        ("$5000", 5000 * DOLLAR, Unit.USD),
        ("$5,000.50", 5_000_500_000_000, Unit.USD),
        ("US$ 5", 5 * DOLLAR, Unit.USD),
        ("usd 5k", 5000 * DOLLAR, Unit.USD),
        ("0.000000001usd", 1, Unit.USD),
        (".5 dollars", DOLLAR // 2, Unit.USD),
        ("0 USD", 0, Unit.USD),
        ("1 dollar", DOLLAR, Unit.USD),
        ("2M tokens", 2_000_000, Unit.TOKENS),
        ("1.5 million tokens", 1_500_000, Unit.TOKENS),
        ("1B tokens", 10**9, Unit.TOKENS),
        ("0 tokens", 0, Unit.TOKENS),
        ("1000 requests", 1000, Unit.REQUESTS),
        (" 1_000 Calls ", 1000, Unit.REQUESTS),
        ("1 request", 1, Unit.REQUESTS),
    ],
)
def test_amounts_are_read_as_people_type_them(typed: str, amount: int, unit: Unit) -> None:
    assert amount_of_words(typed) == (amount, unit)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        *(("-5 USD", "0 or more"), ("$-5", "0 or more"), ("-$5", "0 or more")),
        *(("1e400 USD", "amount and its unit"), ("NaN USD", "amount and its unit")),
        *(("inf USD", "amount and its unit"), ("5000", "its unit"), ("USD", "amount")),
        *(("", "amount and its unit"), ("5 EUR", "its unit"), ("€5", "its unit")),
        *(("$5 USD", "its unit"), ("5 USD tokens", "its unit"), ("1,50 USD", "its unit")),
        *(("٣ USD", "its unit"), ("9" * 99 + " USD", "amount"), ("9" * 60 + " tokens", "at most")),
        *(("1.5 tokens", "finer"), ("0.0000000001 USD", "finer"), ("5000000000 USD", "at most")),
        *((5000, "its unit"), (None, "its unit"), (True, "its unit"), (["5 USD"], "its unit")),
    ],
)
def test_what_is_no_amount_is_refused(typed: object, reason: str) -> None:
    with pytest.raises(UnclearWords, match=reason) as refused:
        amount_of_words(typed, "limit")
    assert refused.value.option == "limit"


@given(st.integers(0, LIMIT_MAX), st.sampled_from(Unit))
def test_an_amount_is_written_as_it_is_read(amount: int, unit: Unit) -> None:
    assert amount_of_words(amount_words(amount, unit)) == (amount, unit)


def test_amounts_are_written_for_people() -> None:
    assert amount_words(5000 * DOLLAR, Unit.USD) == "5,000 USD"
    assert amount_words(DOLLAR // 10, Unit.USD) == "0.10 USD"
    assert amount_words(-1, Unit.USD) == "-0.000000001 USD"
    assert amount_words(1, Unit.REQUESTS) == "1 request"
    assert amount_words(2_000_000, Unit.TOKENS) == "2,000,000 tokens"


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("month", WindowRule(WindowKind.MONTH)),
        ("Monthly", WindowRule(WindowKind.MONTH)),
        ("per  day", WindowRule(WindowKind.DAY)),
        ("week from sun", WindowRule(WindowKind.WEEK, first_weekday=7)),
        ("month from 15", WindowRule(WindowKind.MONTH, first_day=15)),
        ("quarter from Feb", WindowRule(WindowKind.QUARTER, first_month=2)),
        ("year from April 6", WindowRule(WindowKind.YEAR, first_month=4, first_day=6)),
        ("year from 6 april", WindowRule(WindowKind.YEAR, first_month=4, first_day=6)),
        ("lifetime", WindowRule(WindowKind.LIFETIME)),
        ("prepaid", WindowRule(WindowKind.PREPAID)),
    ],
)
def test_windows_are_read_as_people_type_them(typed: str, rule: WindowRule) -> None:
    assert window_of_words(typed) == rule


@pytest.mark.parametrize(
    ("window", "zone", "option"),
    [
        *(("fortnight", "UTC", "window"), ("", "UTC", "window"), ("day from 3", "UTC", "window")),
        *(("week from Mo", "UTC", "window"), ("month from 0", "UTC", "window")),
        *(("month from 32", "UTC", "window"), ("year from Smarch", "UTC", "window")),
        *(("month from ²", "UTC", "window"), ("hour from May", "UTC", "window")),
        *(("month", "Mars/Olympus", "timezone"), ("month", "../etc", "timezone")),
    ],
)
def test_what_is_no_window_is_refused(window: str, zone: str, option: str) -> None:
    with pytest.raises(UnclearWords) as refused:
        window_of_words(window, zone)
    assert refused.value.option == option


@pytest.mark.parametrize(
    ("words", "scope", "match", "each", "tag"),
    [
        ({"scope": "org"}, BudgetScope.ORG, "*", False, ""),
        ({"scope": "Organisation"}, BudgetScope.ORG, "*", False, ""),
        ({"scope": "team:core"}, BudgetScope.TEAM, "core", False, ""),
        ({"scope": "team core web"}, BudgetScope.TEAM, "core web", False, ""),
        ({"scope": "team", "match": "core"}, BudgetScope.TEAM, "core", False, ""),
        ({"scope": "each team"}, BudgetScope.TEAM, "*", True, ""),
        ({"scope": "team", "each": True}, BudgetScope.TEAM, "*", True, ""),
        ({"scope": "each model:claude-*"}, BudgetScope.MODEL, "claude-*", True, ""),
        ({"scope": "tag:feature=chat"}, BudgetScope.TAG, "chat", False, "feature"),
        ({"scope": "each tag:feature"}, BudgetScope.TAG, "*", True, "feature"),
        ({"scope": "tag", "tag": "feature"}, BudgetScope.TAG, "*", False, "feature"),
        ({"scope": "customer:c-7"}, BudgetScope.END_CUSTOMER, "c-7", False, ""),
        ({"scope": "user", "match": 7}, BudgetScope.USER, "7", False, ""),
    ],
)
def test_whose_calls_is_read(
    words: dict[str, Any], scope: BudgetScope, match: str, each: bool, tag: str
) -> None:
    read = budget_of({"limit": "5 USD", **words})
    assert (read.scope, read.match, read.each, read.tag) == (scope, match, each, tag)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        *(({"scope": "galaxy"}, "scope"), ({"scope": ""}, "scope"), ({"scope": None}, "scope")),
        *(({"scope": "org:acme"}, ""), ({"scope": "tag"}, ""), ({"scope": "each org"}, "")),
        *(({"scope": "team:a", "match": "b"}, "match"), ({"each": "maybe"}, "each")),
        *(({"limit": "-1 USD"}, "limit"), ({"limit": None}, "limit")),
        *(({"window": "aeon"}, "window"), ({"timezone": "Nowhere"}, "timezone")),
        *(({"mode": "soft"}, "mode"), ({"sizing": "big"}, "sizing"), ({"mode": True}, "mode")),
        *(({"rollover": "5 tokens"}, "rollover"), ({"rollover": "5001 USD"}, "rollover")),
        *(({"rollover": "101%"}, "rollover"), ({"rollover": 1}, "rollover")),
        *(({"rollover": [1]}, "rollover"), ({"window": "lifetime", "rollover": "all"}, "")),
        *(({"alert_at": "many"}, "alert_at"), ({"alert_at": [True]}, "alert_at")),
        *(({"alert_at": [0]}, ""), ({"alert_at": {"50": 1}}, "alert_at")),
        *(
            ({"exempt_models": [1]}, "exempt_models"),
            ({"exempt_models": 0}, "exempt_models"),
            ({"name": "a\nb"}, ""),
        ),
        *(({"scop": "org"}, "scop"), ({"reset": "month"}, "reset")),
    ],
)
def test_what_is_no_budget_is_refused_by_its_option(words: dict[str, Any], option: str) -> None:
    with pytest.raises(UnclearWords) as refused:
        budget_of({**MINIMAL, **words})
    assert refused.value.option == option
    assert refused.value.reason


def test_an_option_that_is_nearly_one_is_named() -> None:
    with pytest.raises(UnclearWords, match="did you mean timezone"):
        budget_of({**MINIMAL, "time_zone": "UTC"})


def test_what_is_not_said_has_a_sense() -> None:
    read = budget_of(MINIMAL, "Europe/Berlin")
    assert read.window == WindowRule(WindowKind.MONTH, "Europe/Berlin")
    assert (read.mode, read.sizing) == (Mode.HARD, Sizing.BALANCED)
    assert read.thresholds_bp == ALERT_AT_BP
    assert read.name == "org 5,000 USD month"
    assert budget_of({**MINIMAL, "alert_at": []}).thresholds_bp == ()


def test_the_rest_is_read() -> None:
    read = budget_of(
        {
            **MINIMAL,
            "name": " All of us ",
            "mode": "Observe",
            "sizing": "strict",
            "rollover": "20%",
            "exempt_models": "gpt-4.1-nano, local/*",
            "alert_at": [100, "50", "99.5%"],
        }
    )
    assert read.name == "All of us"
    assert (read.mode, read.sizing) == (Mode.OBSERVE, Sizing.STRICT)
    assert read.rollover_max == 1000 * DOLLAR
    assert read.exempt_models == ("gpt-4.1-nano", "local/*")
    assert read.thresholds_bp == (5_000, 9_950, 10_000)
    assert budget_of({**MINIMAL, "rollover": "all"}).rollover_max == read.limit
    for nothing in ("", "none", None, False):
        assert budget_of({**MINIMAL, "rollover": nothing}).rollover_max == 0
    assert budget_of({**MINIMAL, "alert_at": 80}).thresholds_bp == (8_000,)
    assert percent_words(9_950) == "99.5"
    assert percent_words(10_000) == "100"


def test_a_scope_is_said_in_a_phrase() -> None:
    for phrase in ("org", "team:core", "each team", "each tag:feature", "tag:feature=chat"):
        assert scope_words(budget_of({"scope": phrase, "limit": "1 USD"})) == phrase


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)


@st.composite
def windows(draw: st.DrawFn) -> WindowRule:
    kind = draw(st.sampled_from(WindowKind))
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")))
    rule = WindowRule(kind, zone)
    if kind is WindowKind.WEEK:
        return rule._replace(first_weekday=draw(st.integers(1, 7)))
    if kind in {WindowKind.MONTH, WindowKind.QUARTER, WindowKind.YEAR}:
        rule = rule._replace(first_day=draw(st.integers(1, 31)))
    if kind in {WindowKind.QUARTER, WindowKind.YEAR}:
        rule = rule._replace(first_month=draw(st.integers(1, 12)))
    return rule


@st.composite
def written(draw: st.DrawFn) -> Budget:
    scope = draw(st.sampled_from(BudgetScope))
    org = scope is BudgetScope.ORG
    limit = draw(st.integers(0, LIMIT_MAX))
    window = draw(windows())
    endless = window.kind in {WindowKind.LIFETIME, WindowKind.PREPAID}
    return Budget(
        budget_id="",
        name=draw(TEXTS),
        scope=scope,
        unit=draw(st.sampled_from(Unit)),
        limit=limit,
        window=window,
        match="*" if org else draw(st.one_of(st.just("*"), TEXTS)),
        each=False if org else draw(st.booleans()),
        tag=draw(TEXTS) if scope is BudgetScope.TAG else "",
        mode=draw(st.sampled_from(Mode)),
        sizing=draw(st.sampled_from(Sizing)),
        exempt_models=tuple(draw(st.lists(TEXTS, max_size=3))),
        rollover_max=0 if endless else draw(st.integers(0, limit)),
        thresholds_bp=tuple(sorted(draw(st.sets(st.integers(1, 1_000_000), max_size=5)))),
    )


@given(windows())
def test_a_window_is_written_as_it_is_read(rule: WindowRule) -> None:
    assert window_of_words(window_words(rule), rule.zone) == rule


@given(written())
def test_a_budget_is_written_as_it_is_read(one: Budget) -> None:
    assert one.problem() == ""
    assert budget_of(words_of(one)) == one


TYPED = st.one_of(
    st.sampled_from(
        (None, True, False, 0, 7, -1, 1e400, "", "all", "5%", "-5 USD", "each", [], {})
    ),
    TEXTS,
    st.lists(st.one_of(st.integers(), TEXTS), max_size=3),
)


@given(st.dictionaries(st.sampled_from((*OPTIONS, "x")), TYPED, max_size=6))
def test_whatever_is_typed_is_a_budget_or_unclear(words: dict[str, Any]) -> None:
    try:
        read = budget_of({**MINIMAL, **words})
    except UnclearWords as unclear:
        assert str(unclear)
    else:
        assert read.problem() == ""
