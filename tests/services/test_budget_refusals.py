"""What somebody is told whose call a budget refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_desks import CENT, DOLLAR, budget
from tollkeeper.domain.budget_windows import LATEST_US, WindowKind, WindowRule
from tollkeeper.domain.budgets import ANY, LIMIT_MAX, BalanceKey, BudgetScope, Unit
from tollkeeper.domain.errors import OverBudget, Overloaded
from tollkeeper.domain.holds import UNPRICED
from tollkeeper.services.budget_gate import EXCEEDED, UNREACHABLE, Refused
from tollkeeper.services.budget_refusals import amount_text, ask_link, refusal_error, whose
from tollkeeper.wire.refusals import BUDGET_EXCEEDED, BUDGET_UNREACHABLE

DECEMBER_US = 1_796_079_600_000_000  # 2026-12-01 00:00 in Berlin
DAY_US = 86_400_000_000
NOW_US = DECEMBER_US - 3 * DAY_US - 8 * 3_600_000_000
MONTHLY = WindowRule(WindowKind.MONTH, "Europe/Berlin")
ASK = "https://tk.acme.com/budgets/ask?budget=b1"


def refused(code: str = EXCEEDED, entity: str = "", **fields: Any) -> Refused:
    """Give the refusal of a team's budget of $10 a month, of which all is spent or held."""
    figures = {
        "spent": 10 * DOLLAR + 2 * CENT,
        "held": 40 * CENT,
        "limit": 10 * DOLLAR,
        "opens_at_us": DECEMBER_US,
        "soon": False,
    }
    figures |= {name: fields.pop(name) for name in figures.keys() & fields.keys()}
    usual = {"name": "Core", "scope": BudgetScope.TEAM, "match": "core", "window": MONTHLY}
    capped = budget("b1", 10 * DOLLAR, **usual | fields)
    return Refused(code, capped, BalanceKey("b1", entity, 0), **figures)


def text(found: Refused, ask_url: str = ASK, **words: str) -> str:
    return refusal_error(found, NOW_US, ask_url, **words).message


def test_the_codes_are_those_that_the_wire_knows() -> None:
    assert (EXCEEDED, UNREACHABLE) == (BUDGET_EXCEEDED, BUDGET_UNREACHABLE)


def test_a_budget_that_is_used_up() -> None:
    error = refusal_error(refused(), NOW_US, ASK)
    assert isinstance(error, OverBudget)
    assert (error.code, error.status, error.resets_at_us) == (EXCEEDED, 402, DECEMBER_US)
    assert error.message == (
        'Budget "Core" (team core) is used up: $10.02 spent and $0.40 held for calls under way, '
        f"of $10.00. Ask for more at {ASK} or wait until 2026-12-01 00:00 Europe/Berlin "
        "(in 3 d 8 h)."
    )


def test_a_budget_that_has_too_little_left() -> None:
    said = text(refused(spent=990 * CENT, held=0))
    assert "has $0.10 left, too little for this call: $9.90 spent, of $10.00." in said
    said = text(refused(spent=10 * DOLLAR - 400_000, held=0))
    assert "has $0.0004 left, too little for this call: $10.00 spent, of $10.00." in said


def test_other_units_and_a_limit_of_nothing() -> None:
    said = text(refused(unit=Unit.TOKENS, spent=9_800, held=200, limit=10_000))
    assert "9,800 tokens spent and 200 tokens held for calls under way, of 10,000 tokens" in said
    said = text(refused(unit=Unit.REQUESTS, spent=1, held=0, limit=1))
    assert "is used up: 1 request spent, of 1 request." in said
    assert "allows nothing: its limit is $0.00." in text(refused(spent=0, held=0, limit=0))


def test_what_never_opens_by_itself_says_so() -> None:
    for opens_at_us in (None, LATEST_US):
        lifetime = WindowRule(WindowKind.LIFETIME)
        said = text(refused(window=lifetime, opens_at_us=opens_at_us))
        assert said.endswith(f"Ask for more at {ASK} (it does not open again by itself).")
    prepaid = WindowRule(WindowKind.PREPAID)
    assert "more is paid in" in text(refused(window=prepaid, opens_at_us=None))


def test_what_others_may_give_back_is_worth_another_try() -> None:
    assert "try again in a moment" in text(refused(soon=True))


def test_without_an_address_somebody_is_named_to_ask() -> None:
    assert "Ask whoever keeps your budgets or wait until" in text(refused(), "")


def test_figures_that_nobody_knows_are_not_told() -> None:
    said = text(refused(spent=None, held=None, limit=None))
    assert "(team core) has too little left for this call. Ask" in said
    assert "$" not in said


@pytest.mark.parametrize(
    ("opens_in_us", "length"),
    [
        (1, "(in 1 min)"),
        (59 * 60_000_000, "(in 59 min)"),
        (3_600_000_000, "(in 1 h 0 min)"),
        (DAY_US - 60_000_000, "(in 23 h 59 min)"),
        (DAY_US, "(in 1 d 0 h)"),
        (0, "Europe/Berlin."),
        (-DAY_US, "Europe/Berlin."),
    ],
)
def test_how_long_until_it_opens(opens_in_us: int, length: str) -> None:
    error = refusal_error(refused(), DECEMBER_US - opens_in_us, ASK)
    assert length in error.message


@pytest.mark.parametrize(
    ("scope", "match", "entity", "words"),
    [
        (BudgetScope.ORG, ANY, "", "the whole organisation"),
        (BudgetScope.TEAM, ANY, "", "all teams"),
        (BudgetScope.TEAM, ANY, "core", "team core"),
        (BudgetScope.USER, "u-alice", "", "yours"),
        (BudgetScope.USER, ANY, "u-alice", "yours"),
        (BudgetScope.USER, ANY, "", "all people"),
        (BudgetScope.KEY, ANY, "k1", "this key"),
        (BudgetScope.SESSION, ANY, "s1", "this session"),
        (BudgetScope.MODEL, "claude-*", "", "model claude-*"),
        (BudgetScope.MODEL, "claude-*", "claude-x", "model claude-x"),
        (BudgetScope.END_CUSTOMER, ANY, "zeta", "customer zeta"),
        (BudgetScope.TAG, "chat", "", "feature=chat"),
        (BudgetScope.TAG, ANY, "chat", "feature=chat"),
        (BudgetScope.TAG, ANY, "", "all values of feature"),
    ],
)
def test_whose_budget_it_is(scope: BudgetScope, match: str, entity: str, words: str) -> None:
    tag = "feature" if scope is BudgetScope.TAG else ""
    assert whose(budget("b1", scope=scope, match=match, tag=tag), entity) == words


def test_ids_of_people_and_keys_are_not_told() -> None:
    for scope in (BudgetScope.USER, BudgetScope.KEY, BudgetScope.SESSION):
        assert "k7secret" not in text(refused(scope=scope, match="k7secret"))


def test_a_model_without_a_price_is_named_and_who_can_set_one() -> None:
    error = refusal_error(refused(UNPRICED), NOW_US, ASK, model="acme-7b", reason="unknown_model")
    assert isinstance(error, OverBudget)
    assert (error.code, error.resets_at_us) == (UNPRICED, None)
    assert error.message == (
        'Budget "Core" (team core) caps spending, and model "acme-7b" has no price. '
        "An administrator or finance can set one on the page Models or with "
        "`tollkeeper prices set`."
    )
    said = text(refused(UNPRICED), model="m", reason="unknown_dimension:web_searches")
    assert 'model "m" has no price for its web searches.' in said


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("unbounded:output", "max_tokens"),
        ("unbounded:prompt", "kept elsewhere"),
        ("unbounded:web_searches", "nothing bounds its web searches"),
        ("unbounded:size", "larger than any"),
        ("", "has no price."),
    ],
)
def test_a_call_without_a_bound_is_told_what_to_do(reason: str, words: str) -> None:
    assert words in text(refused(UNPRICED), model="m", reason=reason)


def test_a_budget_that_cannot_be_reached_asks_to_come_back() -> None:
    error = refusal_error(refused(UNREACHABLE), NOW_US, ASK)
    assert isinstance(error, Overloaded)
    assert (error.code, error.status, error.retry_after_s) == (UNREACHABLE, 503, 5)
    assert '"Core" (team core) cannot be checked at the moment' in error.message


def test_the_link_names_the_budget_and_whom_it_counts() -> None:
    link = ask_link("https://tk.acme.com/", refused(entity="a&b c=d/é"))
    assert link == "https://tk.acme.com/budgets/ask?budget=b1&for=a%26b+c%3Dd%2F%C3%A9"
    assert ask_link("https://tk.acme.com", refused()) == ASK
    assert ask_link("", refused()) == ""


@given(
    name=st.text(min_size=1, max_size=300),
    entity=st.text(max_size=300),
    code=st.sampled_from([EXCEEDED, UNPRICED, UNREACHABLE]),
    scope=st.sampled_from([BudgetScope.TEAM, BudgetScope.END_CUSTOMER, BudgetScope.MODEL]),
    spent=st.integers(0, LIMIT_MAX),
    held=st.integers(0, LIMIT_MAX),
    limit=st.integers(0, LIMIT_MAX),
    opens_at_us=st.none() | st.integers(0, LATEST_US),
    unit=st.sampled_from(Unit),
)
def test_every_text_is_one_short_line_without_a_key(name: str, entity: str, **fields: Any) -> None:
    key = "tk_live_abcdefgh_" + "x" * 38
    found = refused(name=f"{name}{key}", entity=f"{key}\r\n{entity}", match=ANY, **fields)
    said = text(found, model=f"{key}{entity}", reason="unknown_model")
    assert said.isprintable()
    assert "abcdefgh" not in said
    assert len(said) < 800


@given(st.integers(0, LIMIT_MAX))
def test_an_amount_in_short_is_off_by_less_than_it_shows(amount: int) -> None:
    shown = amount_text(amount, Unit.USD).removeprefix("$").replace(",", "")
    whole, _, decimals = shown.partition(".")
    read = int(whole) * DOLLAR + int(decimals.ljust(9, "0"))
    assert 2 <= len(decimals) <= 9
    assert abs(read - amount) <= (CENT // 2 if amount >= DOLLAR else max(amount // 200, 0))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (52_000, "$0.000052"),
        (999_999_999, "$1.00"),
        (12_400_000_000, "$12.40"),
        (1_234_567_890_000_000, "$1,234,567.89"),
        (-52_000, "-$0.000052"),
    ],
)
def test_amounts_in_short(amount: int, shown: str) -> None:
    assert amount_text(amount, Unit.USD) == shown
