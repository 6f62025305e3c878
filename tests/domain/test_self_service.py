"""Bounds for keys that people issue: how caps are written, and which rule is whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budget_words import UnclearWords
from tollkeeper.domain.budgets import LIMIT_MAX, Unit
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.domain.self_service import (
    DAY_US,
    Cap,
    SelfService,
    cap_of_words,
    cap_words,
    rule_for,
)

MONTHLY_50 = Cap(50 * NANOS_PER_USD, Unit.USD, WindowKind.MONTH)


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        *(
            (text, MONTHLY_50)
            for text in ("50/month", "50 USD/month", "$50 / monthly", "50", "50 usd")
        ),
        ("0.10/day", Cap(NANOS_PER_USD // 10, Unit.USD, WindowKind.DAY)),
        ("1M tokens/week", Cap(1_000_000, Unit.TOKENS, WindowKind.WEEK)),
        ("1,000 requests/hour", Cap(1_000, Unit.REQUESTS, WindowKind.HOUR)),
        ("0/lifetime", Cap(0, Unit.USD, WindowKind.LIFETIME)),
    ],
)
def test_a_cap_is_an_amount_and_a_window(text: str, cap: Cap) -> None:
    assert cap_of_words(text) == cap


@pytest.mark.parametrize(
    "text", ["", "month", "-5/month", "50 EUR/month", "50/fortnight", "50/month from 15", "5/5/5"]
)
def test_what_is_no_cap_says_what_to_write(text: str) -> None:
    with pytest.raises(UnclearWords):
        cap_of_words(text)


@given(st.integers(0, LIMIT_MAX), st.sampled_from(list(Unit)), st.sampled_from(list(WindowKind)))
def test_a_cap_that_is_written_reads_as_itself(amount: int, unit: Unit, window: WindowKind) -> None:
    cap = Cap(amount, unit, window)
    assert cap_of_words(cap_words(cap)) == cap


def test_the_first_rule_that_fits_counts() -> None:
    core = SelfService(frozenset({Role.MEMBER}), ("a",), ("*",), teams=("Core", "x-*"))
    leads = SelfService(frozenset({Role.LEAD}), ("b",), ("*",))
    members = SelfService(frozenset({Role.MEMBER}), ("c",), ("*",))
    rules = (core, leads, members)
    for role, team, rule in (
        (Role.MEMBER, "core", core),
        (Role.MEMBER, "X-1", core),
        (Role.MEMBER, "sales", members),
        (Role.MEMBER, "", members),
        (Role.LEAD, "core", leads),
        (Role.FINANCE, "core", None),
        (Role.AUDITOR, "core", None),
    ):
        assert rule_for(rules, role, team) is rule
    assert rule_for((core,), Role.MEMBER, "") is None


@given(st.integers(0, 4 * 10**15), st.integers(1, 1_000))
def test_a_key_may_work_to_the_end_of_its_last_day(now_us: int, days: int) -> None:
    rule = SelfService(frozenset(), (), (), lifetime_max_us=days * DAY_US)
    ends_us = rule.latest_end_us(now_us)
    assert ends_us % DAY_US == 0
    assert 0 < ends_us - now_us - days * DAY_US <= DAY_US
