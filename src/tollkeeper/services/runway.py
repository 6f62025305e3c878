"""When a budget will be spent: by the pace of its own window, or by what was burnt lately."""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.domain.budgets import Balance, Budget
from tollkeeper.domain.runway import (
    Runway,
    RunwayReason,
    history_needed_us,
    runway,
)


class Burn(NamedTuple):
    """What was spent of one balance during the last ``during_us``, in its own unit."""

    amount: int
    during_us: int


def runway_of(budget: Budget, balance: Balance, now_us: int, burn: Burn | None = None) -> Runway:
    """Say when a balance is spent.

    Without a ``burn`` the pace is that of the window so far, from its beginning or the
    budget's own, whichever is later; a window that has hardly begun has none. What is held
    counts as left: most of it is given back.
    """
    spent, limit = balance.posted, balance.limit
    if burn is None:
        began_us = max(balance.key.window_start_us, budget.since_us)
        during_us = max(now_us - began_us, 0)
        window_us = balance.window_end_us - balance.key.window_start_us
        if during_us < history_needed_us(window_us):
            reason = RunwayReason.NOT_ENOUGH_HISTORY
            return Runway(None, RunwayReason.SPENT if limit <= spent and spent else reason)
        burn = Burn(spent, during_us)
    return runway(
        spent=spent,
        left=limit - spent,
        burnt=burn.amount,
        during_us=burn.during_us,
        now_us=now_us,
        window_end_us=balance.window_end_us,
    )
