"""Budgets: whose use is counted, in what, up to how much, and which of them a call concerns.

What a budget counts (scope, unit, window) is fixed for its life, so that its balance always
means the same; its limit, mode and name may change. A call concerns every budget that matches
it, each with one row of balances: the budget, whom it counts there, and the window's start.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.budget_windows import (
    EARLIEST_US,
    ENDLESS,
    LATEST_US,
    WindowRule,
)

LIMIT_MAX: Final = 4 * 10**18
"""Nano-dollars (four billion USD), tokens or requests: a sum of two still fits 63 bits."""
AMOUNT_MAX: Final = 10**17
"""What one call may hold or cost at most."""
KNOWN_AFTER_US: Final = 2_000_000
"""So long after a change every gateway has it: from then on a budget counts, or no more."""
BASIS_POINTS: Final = 10_000
THRESHOLDS_MAX: Final = 16
PATTERNS_MAX: Final = 50
NAME_CHARS_MAX: Final = 200
ENTITY_CHARS_MAX: Final = 200
ANY: Final = "*"

_THRESHOLD_BP_MAX: Final = 100 * BASIS_POINTS
_ENTITY_PREFIX_CHARS: Final = 150
_DIGEST_CHARS: Final = 32


class BudgetScope(enum.StrEnum):
    """By what a budget picks calls."""

    ORG = "org"
    TEAM = "team"
    USER = "user"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    ENDPOINT = "endpoint"
    TOOL = "tool"
    TAG = "tag"
    END_CUSTOMER = "end_customer"
    SESSION = "session"

    __hash__ = str.__hash__


class Unit(enum.StrEnum):
    """What a budget counts. USD are whole nano-dollars."""

    USD = "usd"
    TOKENS = "tokens"
    REQUESTS = "requests"

    __hash__ = str.__hash__


class Mode(enum.StrEnum):
    """A hard budget refuses what does not fit, one that observes only counts."""

    HARD = "hard"
    OBSERVE = "observe"

    __hash__ = str.__hash__


class Sizing(enum.StrEnum):
    """How much a call holds: what it can cost at most, or what such calls usually cost."""

    STRICT = "strict"
    BALANCED = "balanced"

    __hash__ = str.__hash__


class Amounts(NamedTuple):
    """How much of each unit, in the order of ``UNITS``. None where it is not known."""

    usd_nanos: int | None
    tokens: int | None
    requests: int = 1


UNITS: Final = (Unit.USD, Unit.TOKENS, Unit.REQUESTS)
NOTHING: Final = Amounts(0, 0, 0)
GLOBS: Final = frozenset(
    {BudgetScope.MODEL, BudgetScope.PROVIDER, BudgetScope.ENDPOINT, BudgetScope.TOOL}
)
"""Scopes whose ``match`` is a pattern. Elsewhere it is a name as it is, or ``*`` for all."""


class Spender(Protocol):
    """What of a call decides which budgets it concerns: a ``Profile`` is one."""

    @property
    def org(self) -> str: ...
    @property
    def team(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def key_id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def tool(self) -> str: ...
    @property
    def end_customer(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


_VALUE: Final[Mapping[BudgetScope, Callable[[Spender], str]]] = {
    BudgetScope.ORG: lambda call: call.org,
    BudgetScope.TEAM: lambda call: call.team,
    BudgetScope.USER: lambda call: call.user_id,
    BudgetScope.KEY: lambda call: call.key_id,
    BudgetScope.MODEL: lambda call: call.model,
    BudgetScope.PROVIDER: lambda call: call.provider,
    BudgetScope.ENDPOINT: lambda call: call.endpoint,
    BudgetScope.TOOL: lambda call: call.tool,
    BudgetScope.END_CUSTOMER: lambda call: call.end_customer,
    BudgetScope.SESSION: lambda call: call.session_id,
}


class Budget(NamedTuple):
    """One budget.

    ``match`` says whose calls: all (``*``), or a value, or a pattern where ``GLOBS`` says so.
    With ``each`` every value has a balance of its own, up to the limit each; ``tag`` is the
    tag's key. ``limit`` is in ``unit``. Calls of ``exempt_models`` (patterns) are not counted.
    Of what a window left over, up to ``rollover_max`` is added to the next one's limit.
    ``thresholds_bp`` are the basis points of the limit at which somebody is told.
    It counts calls that begin at ``since_us`` or later and before ``until_us``. ``version``
    grows with each change.
    """

    budget_id: str
    name: str
    scope: BudgetScope
    unit: Unit
    limit: int
    window: WindowRule
    match: str = ANY
    each: bool = False
    tag: str = ""
    mode: Mode = Mode.HARD
    sizing: Sizing = Sizing.BALANCED
    exempt_models: tuple[str, ...] = ()
    rollover_max: int = 0
    thresholds_bp: tuple[int, ...] = ()
    since_us: int = EARLIEST_US
    until_us: int = LATEST_US
    version: int = 1

    def problem(self) -> str:
        """Say why the budget cannot be used, "" if it can."""
        return (
            self._wrong_words()
            or self.window.problem()
            or self._wrong_amounts()
            or self._wrong_thresholds()
        )

    def entity_of(self, call: Spender) -> str | None:
        """Say on whose balance a call counts: "" is the one of all, None that it does not."""
        value = value_of(call, self.scope, self.tag)
        if not self._matches(value) or _is_one_of(call.model, self.exempt_models):
            return None
        return entity_text(value) if self.each else ""

    def _matches(self, value: str) -> bool:
        if self.match == ANY:
            # Whoever has no team is in none; but what is counted together counts everybody.
            return bool(value) or (not self.each and self.scope is not BudgetScope.TAG)
        if self.scope in GLOBS:
            return _is_one_of(value, (self.match,))
        return value == self.match

    def _wrong_words(self) -> str:
        if not self.name or not self.name.isprintable() or len(self.name) > NAME_CHARS_MAX:
            return f"a budget needs a name of 1 to {NAME_CHARS_MAX} characters"
        for kind, value in (
            (BudgetScope, self.scope),
            (Unit, self.unit),
            (Mode, self.mode),
            (Sizing, self.sizing),
        ):
            if value not in tuple(kind):
                return f"unknown {kind.__name__.lower()} {value!r}; known: {', '.join(kind)}"
        if not self.match or len(self.match) > ENTITY_CHARS_MAX:
            return f"say whose calls it counts: * for all, or 1 to {ENTITY_CHARS_MAX} characters"
        if self.scope is BudgetScope.ORG and (self.match != ANY or self.each):
            return "a budget of the organisation counts all calls together"
        if (self.scope is BudgetScope.TAG) != bool(self.tag):
            return "a budget on a tag needs the tag's key, and only such a one has it"
        if len(self.tag) > NAME_CHARS_MAX:
            return "the tag's key is too long"
        patterns = self.exempt_models
        if len(patterns) > PATTERNS_MAX or not all(
            0 < len(it) <= ENTITY_CHARS_MAX for it in patterns
        ):
            return f"at most {PATTERNS_MAX} patterns of exempt models, none of them empty"
        return ""

    def _wrong_amounts(self) -> str:
        if type(self.limit) is not int or not 0 <= self.limit <= LIMIT_MAX:
            return f"a limit is a whole number from 0 to {LIMIT_MAX} ({self.unit})"
        if type(self.rollover_max) is not int or not 0 <= self.rollover_max <= self.limit:
            return "what rolls over is 0 up to the limit itself"
        if self.rollover_max and self.window.kind in ENDLESS:
            return f"a {self.window.kind} budget has no next window to roll over to"
        if not EARLIEST_US <= self.since_us <= self.until_us <= LATEST_US:
            return "it ends before it begins"
        return ""

    def _wrong_thresholds(self) -> str:
        bp = self.thresholds_bp
        if len(bp) > THRESHOLDS_MAX:
            return f"at most {THRESHOLDS_MAX} thresholds"
        if any(type(it) is not int or not 0 < it <= _THRESHOLD_BP_MAX for it in bp):
            return f"a threshold is 1 to {_THRESHOLD_BP_MAX} basis points (10000 is the limit)"
        if any(later <= earlier for earlier, later in pairwise(bp)):
            return "thresholds grow, and none stands twice"
        return ""


FIXED: Final = ("budget_id", "scope", "unit", "window", "match", "each", "tag", "exempt_models")
"""What of a budget never changes; another one is made instead."""


class BalanceKey(NamedTuple):
    """Names one row of balances. Rows are always taken in the order of their keys."""

    budget_id: str
    entity: str
    window_start_us: int


class Concern(NamedTuple):
    """One budget that a call concerns: its row, until when that is the row, and the budget."""

    key: BalanceKey
    window_end_us: int
    budget: Budget


class Balance(NamedTuple):
    """One row of balances, in the budget's unit.

    ``posted`` is spent for good. ``held`` is what may still be spent: holds of calls in
    flight, and what gateways have leased and not reported (``leased``, a part of it).
    ``limit`` counts what rolled over and leaves out what rolled on.
    """

    key: BalanceKey
    window_end_us: int
    posted: int
    held: int
    leased: int
    limit: int

    @property
    def left(self) -> int:
        """Give what may still be held; negative where more was spent than there was."""
        return self.limit - self.posted - self.held


class Budgets(Protocol):
    """Where budgets are kept, and by whom they were made."""

    def add_budget(self, budget: Budget, now_us: int, by: str) -> None:
        """Keep a new budget."""

    def change_budget(self, budget: Budget) -> bool:
        """Keep a budget in place of the version before it; False if that is another by now.

        Raises LookupError where there is none, ValueError for a change of what is fixed.
        """

    def budgets(self) -> list[Budget]:
        """List all budgets, those too that have ended, by their ids."""

    def balances(self, budget_id: str | None = None, at_us: int | None = None) -> list[Balance]:
        """List rows of balances by their keys: of one budget or of all.

        With ``at_us`` only those of windows that last at that time.
        """


def entity_text(value: str) -> str:
    """Give a value as it names a row: short and printable, and never two values as one."""
    if len(value) <= ENTITY_CHARS_MAX and value.isprintable():
        return value
    digest = sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    seen = "".join(char for char in value[:_ENTITY_PREFIX_CHARS] if char.isprintable())
    return f"{seen}\N{HORIZONTAL ELLIPSIS}{digest}"


def amount_of(amounts: Amounts, unit: Unit) -> int | None:
    """Give the amount in a budget's unit, None where it is not known."""
    if unit is Unit.USD:
        return amounts.usd_nanos
    return amounts.tokens if unit is Unit.TOKENS else amounts.requests


def value_of(call: Spender, scope: BudgetScope, tag: str) -> str:
    """Give what of a call a budget of a scope goes by; of a tag's key if it is a tag."""
    return call.tags.get(tag, "") if scope is BudgetScope.TAG else _VALUE[scope](call)


def _is_one_of(value: str, patterns: Sequence[str]) -> bool:
    folded = value.lower()
    return any(fnmatchcase(folded, pattern.lower()) for pattern in patterns)
