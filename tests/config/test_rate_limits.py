"""Rate limits in the file: what is read, and what is refused with its line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.rate_limits import RateRule


def _read(tmp_path: Path, text: str) -> tuple[RateRule, ...]:
    file = tmp_path / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {}).rate_limits


def test_rules_are_read(tmp_path: Path) -> None:
    read = _read(
        tmp_path,
        "rate_limits:\n"
        "  - {name: agents, scope: key, each: true, requests_per_minute: 60, parallel: 5}\n"
        "  - {name: big, scope: model, match: 'claude-opus-*', tokens_per_minute: 400_000}\n",
    )
    assert read == (
        RateRule("", "agents", BudgetScope.KEY, "*", True, 60, None, 5),
        RateRule("", "big", BudgetScope.MODEL, "claude-opus-*", False, None, 400_000),
    )
    assert _read(tmp_path, "org: acme\n") == ()


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("name: a, scope: org, parallel: 1", "rate_limits.0.scope: no such scope: 'org'"),
        ("name: a, scope: key", "set at least one of"),
        ("name: a, scope: key, parallel: 0", "a whole number from 1 to"),
        ("name: a, scope: key, requests_per_minute: -5", "a whole number from 1 to"),
        ("name: a, scope: key, tokens_per_minute: 1000000000001", "a whole number from 1 to"),
        ("name: a, scope: key, parallel: 1e400", "rate_limits.0.parallel: expected"),
        ("name: a, scope: key, parallel: 1.0e+400", "rate_limits.0.parallel: expected"),
        ("name: a, scope: key, parallel: .nan", "rate_limits.0.parallel: expected"),
        ("name: a, scope: key, parallel: true", "rate_limits.0.parallel: expected"),
        ("name: a, scope: key, parallel: 2.5", "rate_limits.0.parallel: expected"),
        ("name: '', scope: key, parallel: 1", "needs a name"),
        ("name: a, scope: key, match: '', parallel: 1", "say whose calls it counts"),
        ("name: a, scope: key, paralel: 1", "did you mean 'parallel'?"),
        ("scope: key, parallel: 1", "missing required field `name`"),
        ("name: a, scope: user, match: a@b.c, parallel: 1", "a person is named by an id here"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, entry: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, f"org: acme\nrate_limits:\n  - {{{entry}}}\n")
    assert says in str(caught.value)
    assert "tollkeeper.yaml:3: rate_limits.0" in str(caught.value)


def test_a_name_stands_once(tmp_path: Path) -> None:
    rule = "  - {name: a, scope: key, parallel: 1}\n"
    with pytest.raises(ConfigError, match=r"yaml:3: rate_limits\.1\.name: there are two"):
        _read(tmp_path, f"rate_limits:\n{rule}{rule}")
