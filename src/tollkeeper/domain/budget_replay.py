"""What a budget would have refused of calls that were made: the budget tried on the past.

The replay knows what each call came to, not what was held for it: a call is refused where what
it cost does not fit beside the cost of those that were let through before it. Calls are taken
by the order of their beginnings, and what was refused does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.budget_windows import ENDLESS, Window, WindowRule
from tollkeeper.domain.budgets import Budget, Unit

WINDOWS_KEPT: Final = 1_000
"""So many windows are told one by one; all are counted."""


class Sums(NamedTuple):
    """What a window of one entity came to as it was: calls, their amount, calls of unknown
    cost."""

    calls: int
    amount: int
    unpriced: int = 0


class PastCall(NamedTuple):
    """One call as it was. ``amount`` is in the budget's unit, None where it is unknown.

    ``entity`` is None for one that the budget does not count. ``who`` is a person's id, or a
    key's where there is none.
    """

    at_us: int
    entity: str | None
    amount: int | None
    who: str = ""
    who_name: str = ""


class WindowRefusals(NamedTuple):
    """What would have been refused in one window of one entity, and from when on."""

    entity: str
    window: Window
    sums: Sums
    refused: int
    refused_amount: int
    first_us: int


class Refusals(NamedTuple):
    """What one person or key would have been refused."""

    who: str
    who_name: str
    calls: int
    amount: int


class Replay(NamedTuple):
    """What a budget would have refused from ``start_us`` to before ``end_us``.

    ``windows_refusing`` counts the windows (of each entity) in which it would have; the first
    of them stand in ``windows``. ``unpriced`` calls have no known cost: a hard budget in USD
    refuses them for that, and they are not among ``refused``.
    """

    budget: Budget
    start_us: int
    end_us: int
    calls: int
    amount: int
    unpriced: int
    refused: int
    refused_amount: int
    windows_refusing: int
    windows: tuple[WindowRefusals, ...]
    whom: tuple[Refusals, ...]


def windows_of(rule: WindowRule, start_us: int, end_us: int) -> Iterator[Window]:
    """Give the windows from the one around a time to before another, whole ones.

    A window that never ends is as long as what is asked for.
    """
    if rule.kind in ENDLESS:
        yield Window(start_us, end_us)
        return
    window = rule.around(start_us)
    while window.start_us < end_us:
        yield window
        window = rule.around(window.end_us)


class Replayer:
    """Replays one budget, window by window: ``begin`` each, ``take`` its calls, ``end`` it."""

    def __init__(self, budget: Budget, start_us: int, end_us: int) -> None:
        self._budget = budget
        self._span = (start_us, end_us)
        self._total = Sums(0, 0)
        self._refused = self._refused_amount = self._refusing = 0
        self._kept: list[WindowRefusals] = []
        self._whom: dict[str, list[int]] = {}
        self._names: dict[str, str] = {}
        self._left_before: dict[str, int] | None = None
        self._window = Window(start_us, start_us)
        self._sums: Mapping[str, Sums] = {}
        self._room: dict[str, int] = {}  # entity → what still fits
        self._found: dict[str, list[int]] = {}  # entity → refused, amount, first

    def begin(self, window: Window, sums: Mapping[str, Sums]) -> frozenset[str]:
        """Begin a window; name the entities whose calls are needed, because they may not all fit.

        ``sums`` says what each entity's calls came to, those of all calls that counted.
        """
        self._window, self._sums, self._found = window, sums, {}
        self._room = {entity: self._limit(entity) for entity in sums}
        for each in sums.values():
            self._total = Sums(*map(sum, zip(self._total, each, strict=True)))
        return frozenset(
            entity for entity, each in sums.items() if each.amount > self._room[entity]
        )

    def take(self, call: PastCall) -> None:
        """Let a call through, or refuse it. Calls come by the order of their beginnings."""
        if call.amount is None or call.entity is None:
            return
        if call.amount <= self._room[call.entity]:
            self._room[call.entity] -= call.amount
            return
        found = self._found.setdefault(call.entity, [0, 0, call.at_us])
        found[0] += 1
        found[1] += call.amount
        whom = self._whom.setdefault(call.who, [0, 0])
        whom[0] += 1
        whom[1] += call.amount
        self._names[call.who] = call.who_name

    def pass_over(self, sums: Mapping[str, Sums], tight: frozenset[str]) -> bool:
        """Let all calls of a part of the window through at once, if they fit together."""
        amounts = {entity: each.amount for entity, each in sums.items() if entity in tight}
        if any(amount > self._room[entity] for entity, amount in amounts.items()):
            return False
        for entity, amount in amounts.items():
            self._room[entity] -= amount
        return True

    def end(self) -> None:
        """End the window, when all its calls were taken."""
        left = {}
        for entity, each in self._sums.items():
            refused, amount, first_us = self._found.get(entity, (0, 0, 0))
            left[entity] = self._limit(entity) - (each.amount - amount)
            if refused:
                self._refused += refused
                self._refused_amount += amount
                self._refusing += 1
                if len(self._kept) < WINDOWS_KEPT:
                    self._kept.append(
                        WindowRefusals(entity, self._window, each, refused, amount, first_us)
                    )
        self._left_before = left

    def result(self) -> Replay:
        """Give what was found, whoever would have been refused most first."""
        whom = [Refusals(who, self._names[who], *found) for who, found in self._whom.items()]
        return Replay(
            self._budget,
            *self._span,
            self._total.calls,
            self._total.amount,
            self._total.unpriced if self._budget.unit is Unit.USD else 0,
            self._refused,
            self._refused_amount,
            self._refusing,
            tuple(self._kept),
            tuple(sorted(whom, key=lambda each: (-each.amount, -each.calls, each.who))),
        )

    def _limit(self, entity: str) -> int:
        """Give the limit with what rolled over; the first window is as if the budget was new."""
        budget = self._budget
        if not budget.rollover_max or self._left_before is None:
            return budget.limit
        left = self._left_before.get(entity, budget.limit)
        return budget.limit + max(0, min(budget.rollover_max, left))
