"""What somebody may spend and how often they may call: LiteLLM's fields, our budgets and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.console.litellm.fields import Fields
from tollkeeper.console.shared import Console
from tollkeeper.domain.budget_windows import WindowRule
from tollkeeper.domain.budget_words import ALERT_AT_BP
from tollkeeper.domain.budgets import NAME_CHARS_MAX, Budget, BudgetScope, Mode, Unit
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.domain.litellm_terms import duration_of, usd_number, window_of
from tollkeeper.domain.rate_limits import RateRule
from tollkeeper.ports import Store
from tollkeeper.services import budgets, rate_rules
from tollkeeper.services.budget_standings import (
    EVERYTHING,
    Standing,
    opens_at_us,
    standings,
)

TEMPLATE_TAG: Final = "litellm_budget"
"""A budget on this tag only holds the figures of ``/budget/new``; no key carries the tag."""


class Bounds(NamedTuple):
    """What a body says of limits. ``duration`` is "" for one budget for ever."""

    max_nanos: int | None
    duration: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel: int | None

    @property
    def rates(self) -> tuple[int | None, int | None, int | None]:
        """Give the three rate limits, as a rule takes them."""
        return self.requests_per_minute, self.tokens_per_minute, self.parallel


class Owner(NamedTuple):
    """Whose limits they are: as a budget names them, as a rate limit does, and in words."""

    scope: BudgetScope
    match: str
    rate_match: str
    called: str

    @property
    def rule_name(self) -> str:
        """Name the rate limit of this owner."""
        return f"LiteLLM {self.scope} {self.match}"


def read_bounds(fields: Fields) -> Bounds:
    """Take the limits out of a body."""
    max_nanos = fields.amount("max_budget")
    if max_nanos is None:
        fields.note("budget_duration", "there is no max_budget")
    return Bounds(
        max_nanos,
        fields.text("budget_duration"),
        fields.count("rpm_limit"),
        fields.count("tpm_limit"),
        fields.count("max_parallel_requests"),
    )


def keep_bounds(console: Console, bounds: Bounds, owner: Owner, by: str, now_us: int) -> None:
    """Make the budget and the rate limit of somebody who has just been made."""
    if bounds.max_nanos is not None:
        window = window_of(bounds.duration, console.zone)
        _make_budget(console.store, owner, bounds.max_nanos, window, by, now_us)
    if any(bounds.rates):
        rule = RateRule(
            *("", owner.rule_name, owner.scope, owner.rate_match),
            requests_per_minute=bounds.requests_per_minute,
            tokens_per_minute=bounds.tokens_per_minute,
            parallel=bounds.parallel,
        )
        rate_rules.set_rule(console.store, rule, console.rate_limits(), by, now_us)


def copy_template(console: Console, budget_id: str, owner: Owner, by: str, now_us: int) -> None:
    """Give somebody a budget of their own with the figures of a template. Raises NotFound."""
    found = template(console.store, budget_id, now_us)
    _make_budget(console.store, owner, found.limit, found.window, by, now_us)


def make_template(console: Console, bounds: Bounds, budget_id: str, by: str, now_us: int) -> Budget:
    """Keep figures for keys to come, as a budget that counts nothing. Raises Conflict."""
    store = console.store
    with store.together():
        if any(each.budget_id == budget_id for each in store.budgets()):
            raise Conflict(f"there is a budget {budget_id!r} already", code="budget_exists")
        wanted = Budget(
            budget_id="",
            name=f"LiteLLM budget {budget_id}",
            scope=BudgetScope.TAG,
            unit=Unit.USD,
            limit=bounds.max_nanos or 0,
            window=window_of(bounds.duration, console.zone),
            match=budget_id,
            tag=TEMPLATE_TAG,
            mode=Mode.OBSERVE,
        )
        return budgets.make_budget(store, wanted, by, now_us, budget_id)


def template(store: Store, budget_id: str, now_us: int) -> Budget:
    """Give the figures that ``/budget/new`` kept, until they are ended. Raises NotFound."""
    for found in store.budgets():
        kept = found.budget_id == budget_id and found.tag == TEMPLATE_TAG
        if kept and found.until_us > now_us:
            return found
    raise NotFound(f"there is no budget {budget_id[:60]!r}", code="budget_not_found")


def drop_bounds(console: Console, owner: Owner, by: str, now_us: int) -> None:
    """End what bounds somebody who is there no more."""
    for each in console.store.budgets():
        if (each.scope, each.match) == (owner.scope, owner.match) and each.until_us > now_us:
            budgets.end_budget(console.store, each.budget_id, by, now_us)
    if any(stored.rule.name == owner.rule_name for stored in console.store.rate_rules()):
        rate_rules.remove_rule(console.store, owner.rule_name, console.rate_limits(), by)


class BoundBook:
    """All budgets and rate limits, asked what bounds somebody."""

    def __init__(self, console: Console, now_us: int) -> None:
        self._now_us = now_us
        self._budgets: dict[tuple[BudgetScope, str], Standing] = {}
        for found in standings(console.store, EVERYTHING, now_us):
            budget = found.budget
            counts = budget.mode is Mode.HARD and budget.unit is Unit.USD and not budget.each
            if counts and budgets.state_of(budget, now_us) != "ended":
                self._budgets.setdefault((budget.scope, budget.match), found)  # the oldest
        rules = console.store.rate_rules()
        self._rules = {stored.rule.name: stored.rule for stored in rules}

    def of(self, owner: Owner) -> dict[str, Any]:
        """Give somebody's limits in LiteLLM's words. ``spend`` is None where no budget counts."""
        return {**self._money(owner), **self._rates(owner)}

    def _money(self, owner: Owner) -> Mapping[str, Any]:
        found = self._budgets.get((owner.scope, owner.match))
        if found is None:
            names = ("max_budget", "budget_duration", "budget_reset_at", "spend")
            return dict.fromkeys(names)
        budget, row = found.budget, found.tightest
        return {
            "max_budget": usd_number(budget.limit),
            "budget_duration": duration_of(budget.window),
            "budget_reset_at": second_text(None if row is None else opens_at_us(budget, row)),
            "spend": usd_number(0 if row is None else row.posted),
        }

    def _rates(self, owner: Owner) -> Mapping[str, Any]:
        rule = self._rules.get(owner.rule_name)
        return {
            "rpm_limit": rule and rule.requests_per_minute,
            "tpm_limit": rule and rule.tokens_per_minute,
            "max_parallel_requests": rule and rule.parallel,
        }


def _make_budget(
    store: Store, owner: Owner, limit_nanos: int, window: WindowRule, by: str, now_us: int
) -> None:
    wanted = Budget(
        budget_id="",
        name=f"{owner.scope} {owner.called}"[:NAME_CHARS_MAX],
        scope=owner.scope,
        unit=Unit.USD,
        limit=limit_nanos,
        window=window,
        match=owner.match,
        thresholds_bp=ALERT_AT_BP,
    )
    budgets.make_budget(store, wanted, by, now_us)
