"""Budgets in tollkeeper.yaml: what is read, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budgets import BudgetScope, Unit
from tollkeeper.domain.errors import ConfigError


def load(tmp_path: Path, *lines: str) -> config.Configuration:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("\n".join(("timezone: Europe/Berlin", "budgets:", *lines)))
    return config.load(file, {})


def test_a_budget_is_read_as_people_write_it(tmp_path: Path) -> None:
    (found,) = load(
        tmp_path,
        "  - {scope: org, limit: 5000 USD, window: month, alert_at: [50, 80, 100]}",
    ).budgets
    assert (found.scope, found.unit, found.limit) == (BudgetScope.ORG, Unit.USD, 5_000 * 10**9)
    assert (found.window.kind, found.window.zone) == (WindowKind.MONTH, "Europe/Berlin")
    assert found.thresholds_bp == (5_000, 8_000, 10_000)


def test_a_limit_of_nothing_is_one(tmp_path: Path) -> None:
    (found,) = load(tmp_path, "  - {scope: org, limit: 0 requests}").budgets
    assert (found.limit, found.unit) == (0, Unit.REQUESTS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{scope: org, limit: -5 USD}", "budgets.1.limit: is 0 or more"),
        ("{scope: org, limit: 1e400 USD}", "budgets.1.limit"),
        ("{scope: org, limit: .nan}", "budgets.1.limit"),
        ("{scope: org, limit: 5}", "budgets.1.limit"),
        ("{scope: planet, limit: 5 USD}", "budgets.1.scope"),
        ("{scope: org, limit: 5 USD, timezone: Mars/Olympus}", "budgets.1.timezone"),
        ("{scope: org, limit: 5 USD, window: fortnight}", "budgets.1.window"),
        ("{scope: org, limit: 5 USD, colour: red}", "budgets.1.colour: no such option"),
        ("{scope: user, match: a@b.c, limit: 5 USD}", "budgets.1.match: a person"),
        ("{name: good, scope: org, limit: 6 USD}", "there are two budgets 'good'"),
        ("{limit: 5 USD}", "budgets.1.scope"),
        ("{scope: org, limit: 5 USD, since: soon}", "budgets.1.since: is a day like"),
        ("{scope: org, limit: 5 USD, until: '2026-13-01'}", "budgets.1.until: is a day like"),
        ("{scope: org, limit: 5 USD, until: 2026-12-01T08:00:00}", "or a moment with its offset"),
        ("{scope: org, limit: 5 USD, since: 9999-01-01}", "budgets.1.since"),
        ("{scope: org, limit: 5 USD, since: 5}", "budgets.1.since"),
        ("{scope: org, limit: 5 USD, since: 2026-12-02, until: 2026-12-01}", "ends before"),
        ("{scope: org, limit: 5 USD, overdraft: lots}", "budgets.1.overdraft"),
        ("{scope: org, limit: 5 USD, overdraft: 2 tokens}", "budgets.1.overdraft"),
        ("{scope: org, limit: 5 USD, overdraft: 101%}", "at most 100%"),
        ("{scope: org, limit: 5 USD, overdraft: -1 USD}", "budgets.1.overdraft"),
        ("{scope: org, limit: 5 USD, overdraft: [1]}", "budgets.1.overdraft: is an amount"),
        ("{scope: org, limit: 5 USD, window: lifetime, overdraft: 10%}", "has no windows"),
    ],
)
def test_a_fault_names_file_line_and_remedy(words: str, said: str, tmp_path: Path) -> None:
    good = "  - {name: good, scope: org, limit: 5 USD}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, good, f"  - {words}")
    assert said in str(caught.value)
    assert f"{tmp_path / 'tollkeeper.yaml'}:4: " in str(caught.value)
    assert caught.value.hint


def test_when_it_begins_and_ends_is_counted_in_its_zone(tmp_path: Path) -> None:
    days, moments = load(
        tmp_path,
        "  - {scope: org, limit: 5 USD, since: 2026-12-01, until: '2026-12-31'}",
        "  - {scope: team, limit: 5 USD, since: 2026-12-01T00:00:00Z, "
        "until: 2027-01-01T08:00-08:00}",
    ).budgets
    assert (days.since_us, days.until_us) == (1_796_079_600_000_000, 1_798_758_000_000_000)
    assert (moments.since_us, moments.until_us) == (1_796_083_200_000_000, 1_798_819_200_000_000)


def test_what_its_owner_may_take_beyond_the_limit(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        "  - {name: a, scope: org, limit: 50 USD, overdraft: 10%}",
        "  - {name: b, scope: each user, limit: 2M tokens, overdraft: 5k tokens}",
        "  - {name: c, scope: each team, limit: 5 USD, overdraft: none}",
        "  - {name: d, scope: each key, limit: 5 USD}",
    ).overdrafts
    assert {name: (it.part_bp, it.amount) for name, it in found.items()} == {
        "a": (1_000, 0),
        "b": (0, 5_000),
        "c": (0, 0),
    }
