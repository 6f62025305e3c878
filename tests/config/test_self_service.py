"""``keys.self_service`` in tollkeeper.yaml: what it means, and faults that name their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.self_service import DAY_US, SelfService, cap_of_words

GOOD = 'models: ["gpt-*"], providers: ["*"]'


def read(tmp_path: Path, rules: str) -> tuple[SelfService, ...]:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(f"keys:\n  self_service:\n    - {{{rules}}}\n")
    return config.load(file, {}).self_service


def test_a_rule_is_read_with_its_defaults(tmp_path: Path) -> None:
    (rule,) = read(tmp_path, GOOD)
    assert rule == SelfService(frozenset({Role.MEMBER, Role.LEAD}), ("gpt-*",), ("*",))
    assert rule.lifetime_max_us == 90 * DAY_US
    assert config.load(None, {}).self_service == ()


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    more = (
        "roles: [lead], teams: [core], keys_max: 0, lifetime_max: 7d, networks_required: true, "
        "key_budget_max: 5/day, total_budget_max: 9 USD/day, tags: {a: b}"
    )
    (rule,) = read(tmp_path, f"{GOOD}, {more}")
    assert rule == SelfService(
        *(frozenset({Role.LEAD}), ("gpt-*",), ("*",), ("core",), 0, 7 * DAY_US),
        *(cap_of_words("5/day"), cap_of_words("9/day"), True, {"a": "b"}),
    )


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ('models: ["*"]', "providers"),
        ('models: [], providers: ["*"]', "an empty list allows nothing"),
        (f"{GOOD}, roles: [admin]", "issues no keys within bounds"),
        (f"{GOOD}, lifetime_max: 90", "lifetime_max"),
        (f"{GOOD}, lifetime_max: forever", "number of days"),
        (f"{GOOD}, key_budget_max: 50 EUR", "key_budget_max"),
        (f"{GOOD}, total_budget_max: 50/month", "needs key_budget_max"),
        (f"{GOOD}, key_budget_max: 5/day, total_budget_max: 50/month", "same unit and window"),
        (f"{GOOD}, tags: {{'': x}}", "a tag has no name"),
        (f"{GOOD}, keys_maximum: 3", "keys_maximum"),
    ],
)
def test_a_fault_names_what_is_wrong(tmp_path: Path, rules: str, reason: str) -> None:
    with pytest.raises(ConfigError) as fault:
        read(tmp_path, rules)
    assert reason in str(fault.value)


def test_proxies_that_are_no_networks_are_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text("listen:\n  trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]\n")
    with pytest.raises(ConfigError, match="is no network"):
        config.load(file, {})
