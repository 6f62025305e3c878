"""What a budget would have refused of calls that were made: the budget tried on the past.

The replay knows what each call came to, not what was held for it: a call is refused where what
it cost does not fit beside the cost of those that were let through before it. Calls are taken
by the order of their beginnings, and what was refused does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


PastCall = tuple[int, str | None, int | None, str, str]
"""One call as it was, as a plain tuple, because a million of them may be looked at: when it
began (epoch microseconds), on whose balance it counts (None: on none), its amount in the
budget's unit (None where it is unknown), whose call it was (a person's id, or a key's where
there is none) and what they are called."""


class PastCalls(NamedTuple):
    """Calls of one entity and one person or key that are all refused, the first and the last."""

    entity: str
    who: str
    who_name: str
    calls: int
    amount: int
    first_us: int
    last_us: int


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
        self._names: dict[str, tuple[int, str]] = {}  # of the last call that was refused
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

    def take(self, calls: Iterable[PastCall], tight: frozenset[str]) -> None:
        """Let calls of tight entities through, or refuse them, in the order in which they began."""
        room = self._room
        refused: dict[tuple[str, str], list[int]] = {}
        names: dict[tuple[str, str], str] = {}
        for at_us, entity, amount, who, who_name in calls:
            if amount is None or entity is None or entity not in tight:
                continue
            left = room[entity]
            if amount <= left:
                room[entity] = left - amount
                continue
            key = entity, who
            found = refused.get(key)
            if found is None:
                refused[key] = [1, amount, at_us, at_us]
            else:
                found[0] += 1
                found[1] += amount
                found[3] = at_us
            names[key] = who_name
        for (entity, who), (count, amount, first_us, last_us) in refused.items():
            self._refuse(
                PastCalls(entity, who, names[entity, who], count, amount, first_us, last_us)
            )

    def most_room(self, tight: frozenset[str]) -> int:
        """Say what a call may come to at most that still fits somewhere."""
        return max(self._room[entity] for entity in tight)

    def refuse(self, many: Iterable[PastCalls], tight: frozenset[str]) -> None:
        """Refuse calls that fit nowhere any more, all at once, in whatever order."""
        for calls in many:
            if calls.entity in tight:
                self._refuse(calls)

    def _refuse(self, refused: PastCalls) -> None:
        entity, who, who_name, calls, amount, first_us, last_us = refused
        found = self._found.get(entity)
        if found is None:
            self._found[entity] = [calls, amount, first_us]
        else:
            found[0] += calls
            found[1] += amount
            if first_us < found[2]:
                found[2] = first_us
        whom = self._whom.get(who)
        if whom is None:
            self._whom[who], self._names[who] = [calls, amount], (last_us, who_name)
            return
        whom[0] += calls
        whom[1] += amount
        if last_us >= self._names[who][0]:
            self._names[who] = last_us, who_name

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
        for entity, each in sorted(self._sums.items()):  # engines give them in any order
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
        whom = [Refusals(who, self._names[who][1], *found) for who, found in self._whom.items()]
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
