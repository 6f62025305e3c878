"""Leases: what a gateway may hold by itself, and what it and the authority say to each other.

The authority keeps the balances. A gateway is granted a slice of a row and admits calls from
it without asking; it says how much it has spent in all, which the authority can hear twice, or
late, without counting anything twice. What was granted and not said to be spent stays held, also
when the gateway is gone, until its journal has been read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.domain.budgets import Amounts, Balance, BalanceKey, Budget
from tollkeeper.domain.gateway_company import Beat

SLICE_PART: Final = 20
"""A slice is at most one of so many parts of what is left: 5 %."""
BURN_S: Final = 60
"""And at most what the gateway spends in so many seconds."""
LEASE_US: Final = 60_000_000
"""A gateway that was not heard of for so long is shown as lost; nothing is taken from it."""
NOTHING_UNTOLD: Final[Mapping[BalanceKey, int]] = MappingProxyType({})


class LeaseRequest(NamedTuple):
    """What a gateway says of one row, and what it asks for.

    ``spent`` is all that it ever spent of the row, ``held`` what its calls in flight hold;
    it keeps ``keep`` more if it has that, and gives back the rest. It needs ``amount`` for a
    call, or nothing (0), and will probably need ``wanted`` in the next minute. ``epoch`` is
    that of the last answer it has seen.
    """

    key: BalanceKey
    window_end_us: int
    epoch: int
    spent: int
    held: int
    keep: int = 0
    amount: int = 0
    wanted: int = 0


class LeaseState(NamedTuple):
    """What a gateway was ever granted of a row, and has said to be spent.

    ``recalled`` asks for what it does not need, because others may. A ``closed`` lease is that
    of a gateway which was taken for dead: it must not spend any more. ``left`` is what of the
    row nobody holds, and no gateway has leased; ``posted`` of ``limit`` is spent by all.
    """

    key: BalanceKey
    epoch: int
    granted: int
    spent: int
    recalled: bool
    closed: bool
    left: int | None = None
    posted: int = 0
    limit: int | None = None


class Shortage(NamedTuple):
    """Why a call has no room: the row, what was asked, and how the row stands.

    ``leased`` is the part of ``held`` that gateways may still give back.
    """

    key: BalanceKey
    amount: int
    posted: int
    held: int
    leased: int
    limit: int
    window_end_us: int


class LeaseAnswer(NamedTuple):
    """The state of every row that was named, and what was missing if anything was.

    If there is a shortage, nothing was granted; all reports count all the same.
    """

    states: tuple[LeaseState, ...]
    shortage: Shortage | None = None


class Charge(NamedTuple):
    """What one call holds of one row."""

    key: BalanceKey
    window_end_us: int
    amount: int


class Account(NamedTuple):
    """What a gateway spent of one row: ``in_all``, or since it began to spend of it again.

    The latter is so until the authority has said what it knows of the row. Part of the
    journal's format: add fields at the end only.
    """

    key: BalanceKey
    spent: int
    in_all: bool


class LateBooking(NamedTuple):
    """What is booked on a row later than its call, under a name of its own; it may be negative."""

    name: str
    key: BalanceKey
    window_end_us: int
    amount: int


class LostLease(NamedTuple):
    """A lease whose gateway has not been heard of: ``held`` of the row may be spent or not."""

    gateway: str
    key: BalanceKey
    held: int


class OpenGateway(NamedTuple):
    """A gateway that has not said what it spent in all, and when it was heard of last.

    ``held`` is what it may still spend, or has spent without saying so, by row.
    """

    gateway: str
    seen_at_us: int
    held: dict[BalanceKey, int]

    def is_alive(self, now_us: int) -> bool:
        """Tell whether it may live: one that has anything leased is heard of more often."""
        return now_us - self.seen_at_us < LEASE_US


class BudgetAuthority(Protocol):
    """Who decides whether there is room: one for all gateways.

    Every method is one transaction: it happens whole or not at all, and saying the same thing
    twice changes nothing. All raise OSError when the store cannot be used.
    """

    def budgets(self) -> list[Budget]:
        """List all budgets."""

    def follow_file(
        self,
        changes: Callable[[Sequence[Budget]], Sequence[Budget]],
        overdrafts: Callable[[Sequence[Budget], Sequence[Overdraft]], Sequence[Overdraft]],
        now_us: int,
        by: str,
    ) -> Sequence[Budget]:
        """Keep what ``changes`` makes of all budgets (``domain.file_budgets``), and give it.

        ``overdrafts`` makes of all budgets then, and of what was last said of their overdrafts,
        what is to be said anew. ``by`` is the file.
        """

    def exchange(self, gateway: str, requests: Sequence[LeaseRequest], now_us: int) -> LeaseAnswer:
        """Take a gateway's reports, and grant it what it asks for: all of it or nothing."""

    def finish(
        self,
        gateway: str,
        spent: Mapping[BalanceKey, int],
        now_us: int,
        untold: Mapping[BalanceKey, int] = NOTHING_UNTOLD,
    ) -> int:
        """Close the leases of a gateway that has ended, and free what it did not spend.

        ``spent`` is all that its journal says it ever spent from leases, by row. ``untold``
        is of other rows, which it had never told of since it began to spend of them: so much
        comes on top of what it may have said of them long before. Only for a gateway that can
        no longer send anything. If it was abandoned, this takes the place of what was charged
        then. Returns how many leases were closed.
        """

    def expire(self, now_us: int) -> list[LostLease]:
        """Mark leases that were not renewed in time, and list the new ones. Frees nothing."""

    def open_gateways(self) -> list[OpenGateway]:
        """List the gateways that have something leased, the longest not heard of first."""

    def abandon(self, gateway: str, now_us: int) -> OpenGateway:
        """End a gateway whose journal is lost for good: all that it was granted counts as spent.

        What was never said to be spent is noted as such (``abandoned``). Done again,
        it gives what was noted then. Raises Conflict while the gateway may live, NotFound
        where it has nothing open.
        """

    def abandoned(self) -> Mapping[BalanceKey, int]:
        """Sum up by rows what was charged for gateways that are lost: no entries tell of it."""

    def write_off(self, gateway: str, now_us: int) -> OpenGateway:
        """Take back what abandoning a gateway has charged. Raises NotFound where it has not."""

    def hold(
        self, entry_id: str, gateway: str, charges: Sequence[Charge], now_us: int
    ) -> Shortage | None:
        """Hold for one call at all its rows, or at none: then say what was missing.

        Holding again for the same entry changes nothing. Raises ValueError for an entry whose
        hold has ended.
        """

    def settle(self, entry_id: str, spent: Amounts | None, now_us: int) -> bool:
        """Turn a hold into what was spent. Returns False where there is none, or no more.

        What is not known (None, or an amount of it) is taken to be what was held.
        """

    def book_late(self, bookings: Sequence[LateBooking], now_us: int) -> int:
        """Add what was booked later than its call, each name once; say how many were new."""

    def void(self, entry_id: str, gateway: str, charges: Sequence[Charge], now_us: int) -> bool:
        """Free a hold of a call that was never sent; one that arrives later is refused."""

    def meet(self, gateway: str, now_us: int) -> list[Beat]:
        """Say that a gateway is there which shares rate limits; list all that have said so."""

    def leave(self, gateway: str, now_us: int) -> None:
        """Say that it is there no more."""

    def balances(self, budget_id: str | None = None) -> list[Balance]:
        """List the rows of one budget, or of all."""

    def correct(self, key: BalanceKey, posted: int, booked: int) -> bool:
        """Set what a row says is spent, if it still says ``posted``."""

    def prune(self, before_us: int) -> int:
        """Forget holds and gateways that ended before a time; say how many rows that were."""

    def close(self) -> None:
        """Close the connection."""


def slice_of(left: int, leased: int, amount: int, wanted: int) -> int:
    """Say how much to grant of what is left, at least ``amount`` if that is needed.

    ``leased`` is what all gateways have of the row and have not spent. When less is left than
    that, each call is granted by itself, so that the last cent goes where it is asked for. A
    slice is a whole number of such calls, so that none keeps a rest that nobody can use.
    """
    if left < leased:
        return amount
    size = min(left // SLICE_PART, wanted)
    if size <= amount:
        return amount
    return size - size % amount if amount else size


def outstanding(granted: int, spent: int) -> int:
    """Give what a lease may still spend."""
    return max(granted - spent, 0)
