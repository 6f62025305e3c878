"""How far people may go who issue keys for themselves and their teams, as an admin says it.

Where nothing is said, everybody may issue what their role allows. As soon as anything is said,
the first rule that fits somebody counts, and whoever no rule fits issues nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from tollkeeper.domain.access import NO_TAGS, Role
from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budget_words import (
    UnclearWords,
    amount_of_words,
    amount_words,
    window_of_words,
)
from tollkeeper.domain.budgets import Unit

DAY_US: Final = 86_400 * 1_000_000
LIFETIME_US: Final = 90 * DAY_US
"""How long a person's key lasts at most where a rule does not say."""
KEYS_MAX: Final = 20
"""How many keys a person may have where a rule does not say."""
_BARE: Final = re.compile(r"[0-9][0-9_,]*(\.[0-9]+)?")


class Cap(NamedTuple):
    """What may be spent in a window: ``amount`` in its unit, USD in nano-dollars."""

    amount: int
    unit: Unit
    window: WindowKind


class SelfService(NamedTuple):
    """One rule: whom it fits, and what keys they may issue.

    ``roles`` and ``teams`` (patterns) say whom. Keys get no more than ``models`` and
    ``providers`` (patterns), always have ``tags``, and a person's key ends after
    ``lifetime_max_us``. ``key_budget_max`` is the most that one key may spend,
    ``total_budget_max`` the most for all keys of a person together; None is no such bound.
    """

    roles: frozenset[Role]
    models: tuple[str, ...]
    providers: tuple[str, ...]
    teams: tuple[str, ...] = ("*",)
    keys_max: int = KEYS_MAX
    lifetime_max_us: int = LIFETIME_US
    key_budget_max: Cap | None = None
    total_budget_max: Cap | None = None
    networks_required: bool = False
    tags: Mapping[str, str] = NO_TAGS

    def fits(self, role: Role, team: str) -> bool:
        """Tell whether the rule is about somebody."""
        folded = team.casefold()
        return role in self.roles and any(
            fnmatchcase(folded, pattern.casefold()) for pattern in self.teams
        )

    def default_cap(self) -> Cap | None:
        """Give the budget of a key that is issued without one: as much as there may be."""
        return self.key_budget_max

    def latest_end_us(self, now_us: int) -> int:
        """Give the end of the last day (UTC) on which a person's key of now may work."""
        return ((now_us + self.lifetime_max_us) // DAY_US + 1) * DAY_US


def rule_for(rules: Sequence[SelfService], role: Role, team: str) -> SelfService | None:
    """Give the first rule that fits somebody, None where none does."""
    return next((rule for rule in rules if rule.fits(role, team)), None)


def cap_of_words(text: str, option: str = "budget") -> Cap:
    """Read ``50 USD/month``, ``50/month``, ``1M tokens/day`` or ``50 USD`` (of a month).

    A number without a unit is in USD. Raises UnclearWords.
    """
    amount, _, window = text.partition("/")
    said = amount.strip()
    if _BARE.fullmatch(said):
        said += " USD"
    limit, unit = amount_of_words(said, option)
    rule = window_of_words(window.strip() or WindowKind.MONTH)
    if rule != window_of_words(rule.kind):
        raise UnclearWords(option, "its window begins as the calendar does, like 50 USD/month")
    return Cap(limit, unit, rule.kind)


def cap_words(cap: Cap) -> str:
    """Write a cap as ``cap_of_words`` reads it: ``50 USD/month``."""
    return f"{amount_words(cap.amount, cap.unit)}/{cap.window}"
