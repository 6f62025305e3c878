"""Rate limits: whose calls are counted, and how many may begin in a minute or be at work at once.

A call concerns every rule that matches it, and passes only where all of them have room.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.budgets import ANY, BudgetScope, Spender, entity_text, value_of
from tollkeeper.domain.errors import Refused

RATE_MAX: Final = 10**12
NAME_CHARS_MAX: Final = 200
MATCH_CHARS_MAX: Final = 200
SCOPES: Final = (BudgetScope.KEY, BudgetScope.USER, BudgetScope.TEAM, BudgetScope.MODEL)
"""By what a rule picks calls. For a model ``match`` is a pattern, elsewhere a name as it is."""

_NO_TAG: Final = ""
_GLOB: Final = BudgetScope.MODEL


class Rate(enum.StrEnum):
    """What a rule may limit: calls and tokens in a minute, calls at the same time."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    PARALLEL = "parallel"

    __hash__ = str.__hash__


class RateRule(NamedTuple):
    """One rule, with at least one of three limits; None is no limit.

    ``match`` says whose calls: all (``*``), or a value, or a pattern of models. With ``each``
    every value is counted apart, up to the limits each. ``rule_id`` is "" where the rule
    stands in the configuration file.
    """

    rule_id: str
    name: str
    scope: BudgetScope
    match: str = ANY
    each: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None

    @property
    def counted(self) -> tuple[str, str, str, str, bool]:
        """Give what must stay as it is for counts to go on when a rule changes."""
        return self.rule_id, self.name, self.scope, self.match, self.each

    @property
    def limits(self) -> tuple[int | None, int | None, int | None]:
        """Give the three limits, in the order of ``Rate``."""
        return self.requests_per_minute, self.tokens_per_minute, self.parallel

    def problem(self) -> str:
        """Say why the rule cannot be used, "" if it can."""
        if not self.name or not self.name.isprintable() or len(self.name) > NAME_CHARS_MAX:
            return f"a rate limit needs a name of 1 to {NAME_CHARS_MAX} characters"
        if self.scope not in SCOPES:
            return f"unknown scope {str(self.scope)[:40]!r}; known: {', '.join(SCOPES)}"
        if not self.match or not self.match.isprintable() or len(self.match) > MATCH_CHARS_MAX:
            return f"say whose calls it counts: * for all, or 1 to {MATCH_CHARS_MAX} characters"
        given = [limit for limit in self.limits if limit is not None]
        if not given:
            return "set at least one of requests_per_minute, tokens_per_minute and parallel"
        if not all(type(limit) is int and 1 <= limit <= RATE_MAX for limit in given):
            return f"a limit is a whole number from 1 to {RATE_MAX}"
        return ""

    def entity_of(self, call: Spender) -> str | None:
        """Say with whom a call is counted: "" is all together, None that it is not."""
        value = value_of(call, self.scope, _NO_TAG)
        if self.match == ANY:
            if self.each and not value:
                return None  # whoever has no team is in none
        elif self.scope is _GLOB:
            if not fnmatchcase(value.lower(), self.match.lower()):
                return None
        elif value != self.match:
            return None
        return entity_text(value) if self.each else ""


class StoredRateRule(NamedTuple):
    """A rule that was made by a command or through the API, and by whom it was set last."""

    rule: RateRule
    set_at_us: int
    set_by: str


class RateRules(Protocol):
    """Where rate limits are kept."""

    def set_rate_rule(self, stored: StoredRateRule) -> None:
        """Keep a rule, in place of the one with its id if there is one.

        Raises ValueError where another one has its name.
        """

    def rate_rules(self) -> list[StoredRateRule]:
        """List the rules by name."""

    def remove_rate_rule(self, rule_id: str) -> None:
        """Forget a rule. Raises LookupError where there is none."""


class RateBook:
    """All rules, asked which of them a call concerns. One version of them.

    Rules on one value are found by it, so that many of them cost a call nothing.
    """

    def __init__(self, rules: Iterable[RateRule] = ()) -> None:
        self.rules: Sequence[RateRule] = tuple(rules)
        self._tried: list[RateRule] = []
        self._named: dict[tuple[BudgetScope, str], list[RateRule]] = {}
        for rule in self.rules:
            if rule.match == ANY or rule.scope is _GLOB:
                self._tried.append(rule)
            else:
                self._named.setdefault((rule.scope, rule.match), []).append(rule)
        self._scopes = sorted({scope for scope, _ in self._named})

    def concerns(self, call: Spender) -> list[tuple[RateRule, str]]:
        """Give the rules that a call concerns, each with whom it is counted."""
        candidates = list(self._tried)
        for scope in self._scopes:
            candidates += self._named.get((scope, value_of(call, scope, _NO_TAG)), ())
        found = []
        for rule in candidates:
            entity = rule.entity_of(call)
            if entity is not None:
                found.append((rule, entity))
        return found


class WindowState(NamedTuple):
    """How much of a limit is left, and in how many whole seconds all of it will be."""

    limit: int
    left: int
    reset_s: int


class Standing(NamedTuple):
    """Where a caller stands: of each limit by the minute the one with the least left."""

    requests: WindowState | None
    tokens: WindowState | None


NO_STANDING: Final = Standing(None, None)


class RateLimited(Refused):
    """A rate limit has no room for the call at the moment: 429, and when to come back.

    ``rule`` is the one that has none, ``rate`` what of it, ``limit`` how much there may be at
    this gateway.
    ``standing`` is where the caller stands at all rules together.
    """

    code = "rate_limited"
    status = 429

    def __init__(
        self, rule: RateRule, rate: Rate, limit: int, retry_after_s: int, standing: Standing
    ) -> None:
        allowed = _ALLOWED[rate].format(limit, "" if limit == 1 else "s")
        whole = dict(zip(Rate, rule.limits, strict=True))[rate]
        if whole is not None and whole != limit:
            allowed += f" at this gateway, its share of {whole},"
        super().__init__(
            f"rate limit {rule.name!r} allows {allowed} for {whose_words(rule)}; "
            f"come back in {retry_after_s} s",
            retry_after_s=retry_after_s,
        )
        self.rule = rule
        self.rate = rate
        self.limit = limit
        self.standing = standing


_ALLOWED: Final = {
    Rate.REQUESTS: "{} request{} a minute",
    Rate.TOKENS: "{} token{} a minute",
    Rate.PARALLEL: "{} call{} at the same time",
}


def whose_words(rule: RateRule) -> str:
    """Say in words whose calls a rule counts together."""
    of = rule.match if rule.scope is _GLOB and rule.match != ANY else ""
    if rule.each:
        return f"each {rule.scope} of {of}" if of else f"each {rule.scope}"
    if rule.match == ANY:
        return f"all {rule.scope}s together"
    return f"{rule.scope} {rule.match}"
