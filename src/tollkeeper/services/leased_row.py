"""One row of balances as one gateway has it: what it leased, what of that is free, held, spent.

Also the rows that one call concerns, together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tollkeeper.domain.budgets import LIMIT_MAX, UNITS, BalanceKey, Budget, Mode
from tollkeeper.domain.holds import Hold
from tollkeeper.domain.leases import BURN_S, LEASE_US, LeaseRequest, LeaseState, Shortage

RENEW_US: Final = LEASE_US // 3
IDLE_US: Final = 10_000_000
"""What was not used for so long is given back."""
FORGET_US: Final = 600_000_000
"""A row that was not used for so long is forgotten, until it is needed again."""
STRICTLY: Final = len(UNITS)
"""So much further back in a hold stands what a budget holds that sizes strictly."""

_UNLIMITED: Final = 1 << 62
_SECOND_US: Final = 1_000_000


class LeasedRow:
    """One row of balances, as far as this gateway is concerned.

    ``base`` is what it may use in all: what it was granted, or without end where the budget
    only observes. What its calls hold is ``base - spent - free``. ``is_hard`` is what the
    budget's mode says.
    """

    __slots__ = (
        *("base", "budget", "end_us", "epoch", "free", "granted", "is_hard", "is_unsure", "key"),
        *("known", "left", "marked_at_us", "marked_use", "moved_at_us", "recalled", "refusal"),
        *("refused_until_us", "said_at_us", "said_free", "said_spent", "seen", "spent"),
    )

    def __init__(self, key: BalanceKey, end_us: int, budget: Budget, now_us: int) -> None:
        self.key = key
        self.end_us = end_us
        self.budget = budget
        self.is_hard = budget.mode is Mode.HARD
        self.epoch = self.granted = self.spent = 0
        self.said_spent = self.said_free = self.marked_use = 0
        self.base = self.free = _UNLIMITED if budget.mode is Mode.OBSERVE else 0
        self.is_unsure = False  # something was said, and no answer to it has come
        self.seen = (self.free, 0)
        self.said_at_us = self.moved_at_us = self.marked_at_us = now_us
        self.recalled = False
        self.left: int | None = None  # at the authority, beside what is leased
        self.known: LeaseState | None = None  # how the row stood when it was last heard of
        self.refusal: Shortage | None = None
        self.refused_until_us = 0

    @property
    def held(self) -> int:
        return self.base - self.spent - self.free

    def rebase(self, base: int) -> None:
        """Change what may be used in all; what calls hold stays held."""
        self.free += base - self.base
        self.base = base

    def give_back(self) -> None:
        """Use nothing more from here on: the authority may take back what is free."""
        if self.is_hard and self.free > 0:
            self.rebase(self.base - self.free)

    def change(self, budget: Budget) -> None:
        """Take over a changed budget; the authority is asked before anything more is held."""
        if budget.mode is Mode.OBSERVE:
            self.rebase(_UNLIMITED)
        self.budget = budget
        self.is_hard = budget.mode is Mode.HARD
        self.give_back()
        self.recalled = True
        self.refused_until_us = 0
        self.known = None

    def look(self, now_us: int) -> None:
        """Notice whether it was used since the last look."""
        if self.seen != (self.free, self.spent):
            self.seen, self.moved_at_us = (self.free, self.spent), now_us

    def keeps(self, now_us: int) -> bool:
        """Tell whether what is free is to stay here."""
        is_idle = now_us - self.moved_at_us >= IDLE_US
        return not (self.recalled or is_idle or self.end_us <= now_us)

    def has_news(self, now_us: int) -> bool:
        """Tell whether the authority should hear of the row."""
        if self.is_unsure or self.spent != self.said_spent:
            return True
        unused = self.granted - self.spent - self.held
        if unused > 0 and not (self.is_hard and self.keeps(now_us)):
            return True
        return self.granted > self.spent and now_us - self.said_at_us >= RENEW_US

    def is_done(self, now_us: int) -> bool:
        """Tell whether the row can be forgotten: the authority knows all of it."""
        if self.is_unsure or self.held or self.spent != self.said_spent:
            return False
        is_over = self.end_us <= now_us or now_us - self.moved_at_us >= FORGET_US
        return is_over and self.granted <= self.spent

    def spent_out(self, needed: int, now_us: int) -> Shortage | None:
        """Say why a call cannot fit whatever others give back: spending alone has used it up.

        None where that is not so, or was last known too long ago: so long as a lease is good.
        """
        known = self.known
        if known is None or known.limit is None or now_us - self.said_at_us >= LEASE_US:
            return None
        posted = known.posted + max(self.spent - known.spent, 0)
        if posted + needed <= known.limit:
            return None
        held = max(known.limit - posted - (known.left or 0), 0)
        return Shortage(self.key, needed, posted, held, 0, known.limit, self.end_us)

    def wanted(self, now_us: int) -> int:
        """Guess what will be needed in the next minute, from the use since the last mark."""
        use = self.spent + self.held
        if not use:
            return LIMIT_MAX  # nobody knows yet
        since_us = now_us - self.marked_at_us
        wanted = (use - self.marked_use) * BURN_S * _SECOND_US // max(since_us, _SECOND_US)
        if since_us >= BURN_S * _SECOND_US:
            self.marked_use, self.marked_at_us = use, now_us
        return max(wanted, 0)

    def request(
        self, now_us: int, *, amount: int = 0, keep: bool = False, ahead: bool = False
    ) -> LeaseRequest:
        """Say how the row stands, and offer back what is free unless it is kept."""
        kept = self.free if keep and self.is_hard and self.free > 0 else 0
        wanted = self.wanted(now_us) if amount else 0
        if ahead and kept and kept * 2 < self.said_free:
            wanted = max(self.wanted(now_us) - kept, 0)
        if not kept:
            self.give_back()
        self.is_unsure = True
        # Before the first answer nobody knows what was said of the row before it was forgotten.
        spent, held = (self.spent, self.held) if self.epoch else (0, 0)
        return LeaseRequest(self.key, self.end_us, self.epoch, spent, held, kept, amount, wanted)

    def sync(self, state: LeaseState, said_spent: int, now_us: int) -> None:
        """Take over what the authority says, unless it is older than what is known."""
        if state.epoch < self.epoch:
            return
        if not self.epoch:
            # If the row was forgotten and is needed again, what is counted here came on top.
            self.spent += state.spent
            self.base += state.spent
            said_spent = state.spent
        self.is_unsure = False
        self.left, self.known = state.left, state
        self.epoch, self.granted, self.recalled = state.epoch, state.granted, state.recalled
        if self.is_hard:
            self.rebase(state.granted)
        self.said_spent, self.said_free, self.said_at_us = said_spent, self.free, now_us


RowsByUnit = tuple[tuple[int, int, tuple[LeasedRow, ...]], ...]
"""Where in a hold it stands what rows hold, where in a cost what is spent of them, the rows."""


def grouped(charges: Sequence[tuple[LeasedRow, int]]) -> RowsByUnit:
    """Put the rows of a call together that hold the same; each stands with where that is."""
    rows: dict[int, tuple[LeasedRow, ...]] = {}
    for row, unit in charges:
        rows[unit] = (*rows.get(unit, ()), row)
    return tuple((unit, unit % STRICTLY, found) for unit, found in rows.items())


def put_back(rows_by_unit: RowsByUnit, hold: Hold, until: LeasedRow) -> None:
    """Undo what a call took from the rows before one that had too little."""
    for unit, _, rows in rows_by_unit:
        for row in rows:
            if row is until:
                return
            row.free += hold[unit] or 0
