"""Rate limits in tollkeeper.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollkeeper.config import yaml_file
from tollkeeper.config.settings import RateLimitOptions
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.rate_limits import SCOPES, RateRule

_SECTION: Final = "rate_limits"
_EXAMPLE: Final = "rate_limits: [{name: agents, scope: key, each: true, requests_per_minute: 60}]"
_BY_EMAIL: Final = (
    "make it with: tollkeeper limits set NAME --scope user --match ADDRESS; or write the id "
    "that `tollkeeper users list --json` shows"
)


def rate_limits(
    document: yaml_file.Document, listed: Sequence[RateLimitOptions]
) -> tuple[RateRule, ...]:
    """Read the section, in order. Raises ConfigError, which names the line."""
    rules: dict[str, RateRule] = {}
    for number, options in enumerate(listed):
        path: yaml_file.Path = (_SECTION, number)
        if options.scope not in SCOPES:
            raise document.error(
                (*path, "scope"), f"no such scope: {options.scope[:40]!r}", f"{', '.join(SCOPES)}"
            )
        rule = RateRule(
            "",
            options.name,
            BudgetScope(options.scope),
            options.match,
            options.each,
            options.requests_per_minute,
            options.tokens_per_minute,
            options.parallel,
        )
        problem = rule.problem()
        if problem:
            raise document.error(path, problem, _EXAMPLE)
        if rule.scope is BudgetScope.USER and "@" in rule.match:
            raise document.error((*path, "match"), "a person is named by an id here", _BY_EMAIL)
        if rule.name in rules:
            raise document.error((*path, "name"), f"there are two rate limits {rule.name!r}")
        rules[rule.name] = rule
    return tuple(rules.values())
