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
    ],
)
def test_a_fault_names_file_line_and_remedy(words: str, said: str, tmp_path: Path) -> None:
    good = "  - {name: good, scope: org, limit: 5 USD}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, good, f"  - {words}")
    assert said in str(caught.value)
    assert f"{tmp_path / 'tollkeeper.yaml'}:4: " in str(caught.value)
    assert caught.value.hint
