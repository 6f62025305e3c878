"""More for a budget, for a time: who asked for it, what was decided, and what it raised.

Nothing here is ever changed: a request, the decision about it, the raise and its early end are
each written once, so together they say who did what and when. A raise counts towards the limit
of its row while it lasts; when it ends, the limit is what it was, and nothing has to be reset.
"""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

from tollkeeper.domain.budgets import BASIS_POINTS

REASON_CHARS_MAX = 1_000


class RequestState(enum.StrEnum):
    """What has become of a request for more."""

    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"  # nobody decided before the time for which it was asked was over

    __hash__ = str.__hash__


class RaiseKind(enum.StrEnum):
    """How a raise came about."""

    APPROVED = "approved"
    OVERDRAFT = "overdraft"  # taken by the budget's owner, as the budget allows once a window

    __hash__ = str.__hash__


class BudgetRequest(NamedTuple):
    """Somebody asks for ``amount`` more of a row of a budget (in its unit), until a time.

    ``entity`` is whose row: "" for the one that counts everybody. ``asked_by`` is an e-mail
    address or the name of a key, ``asked_by_id`` the person's id, "" where there is none.
    """

    request_id: str
    budget_id: str
    entity: str
    amount: int
    until_us: int
    reason: str
    asked_at_us: int
    asked_by: str
    asked_by_id: str = ""


class Decision(NamedTuple):
    """What somebody decided about a request. ``amount`` and ``until_us`` are what they gave,
    0 where they gave nothing. ``via`` is where they did it: page, link, api or command line.
    """

    request_id: str
    approved: bool
    amount: int
    until_us: int
    note: str
    decided_at_us: int
    decided_by: str
    via: str


class RaiseEnd(NamedTuple):
    """Somebody took a raise back before its time was over. ``via`` is where they did it."""

    raise_id: str
    ended_at_us: int
    ended_by: str
    via: str
    note: str = ""


class BudgetRaise(NamedTuple):
    """So much more for one row of a budget, from a time to before another.

    ``window_start_us`` is set for an overdraft, of which there is one for each window;
    ``ended`` where somebody took it back.
    """

    raise_id: str
    budget_id: str
    entity: str
    amount: int
    from_us: int
    until_us: int
    kind: RaiseKind
    made_at_us: int
    made_by: str
    request_id: str = ""
    window_start_us: int | None = None
    ended: RaiseEnd | None = None

    @property
    def ends_at_us(self) -> int:
        """Say up to when it counts, with what became of it since it was given."""
        return self.until_us if self.ended is None else min(self.until_us, self.ended.ended_at_us)


class Overdraft(NamedTuple):
    """How much the owner of a budget may take by themselves, once in each window.

    Either an amount in the budget's unit, or so many basis points of its limit; both 0 where
    it is not allowed. The last of a budget's rows counts.
    """

    budget_id: str
    set_at_us: int
    set_by: str
    amount: int = 0
    part_bp: int = 0

    def amount_of(self, limit: int) -> int:
        """Give what it comes to under a limit."""
        return self.amount or limit * self.part_bp // BASIS_POINTS


class Asked(NamedTuple):
    """A request, and the decision if there is one."""

    request: BudgetRequest
    decision: Decision | None = None

    def state(self, now_us: int) -> RequestState:
        """Say what has become of it by a time."""
        if self.decision is not None:
            return RequestState.APPROVED if self.decision.approved else RequestState.DECLINED
        return RequestState.EXPIRED if self.request.until_us <= now_us else RequestState.ASKED


class BudgetRaises(Protocol):
    """Where requests, decisions and raises are kept. Whatever is written stays as it is."""

    def add_budget_request(self, request: BudgetRequest) -> None:
        """Keep a request. Raises ValueError for an id that is taken or an unknown budget."""

    def budget_requests(self, *, undecided: bool = False, most: int = 1_000) -> list[Asked]:
        """List requests, the newest first; of those nobody has decided about only, or all."""

    def budget_request(self, request_id: str) -> Asked | None: ...

    def decide_budget_request(self, decision: Decision, given: BudgetRaise | None) -> bool:
        """Keep a decision and what it gives; False if somebody else has decided before.

        Raises LookupError where there is no such request.
        """

    def add_overdraft(self, taken: BudgetRaise) -> bool:
        """Keep an overdraft; False where this window's has been taken already."""

    def budget_raises(self, budget_id: str | None = None) -> list[BudgetRaise]:
        """List raises, ended ones too, of one budget or of all, in the order they were made."""

    def end_budget_raise(self, end: RaiseEnd) -> bool:
        """Keep that a raise ends, and let every gateway ask anew for what it may spend.

        False if somebody has ended it before. Raises LookupError where there is no such raise.
        """

    def allow_overdraft(self, allowed: Overdraft) -> None:
        """Keep from now on what a budget's owner may take. Raises ValueError for no budget."""

    def overdrafts(self) -> list[Overdraft]:
        """List what is allowed, one line for each budget of which something was ever said."""
