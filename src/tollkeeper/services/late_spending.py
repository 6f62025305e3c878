"""What is booked later than its call: bills of jobs, and corrections of a price.

No gateway holds anything for it, so it is added to the balances here, once for each booking, in
the window that its call began in. What is lost when a console dies, the check of balances finds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budgets import Budget, amount_of
from tollkeeper.domain.jobs import JOB_PREFIX
from tollkeeper.domain.leases import BudgetAuthority, LateBooking
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.services.budget_spending import spender_of, spending_booked

AT_ONCE: Final = 500
WAITING_MAX: Final = 1_000_000


def is_late(entry: LedgerEntry) -> bool:
    """Tell whether an entry was booked by nobody who held budgets for it."""
    return bool(entry.corrects) or entry.entry_id.startswith(JOB_PREFIX)


class LateSpending:
    """Takes in what was loaded, and tells the budget authority of what is late in it.

    ``notice`` may be called from any thread; ``take_turn`` is a job's.
    """

    def __init__(
        self,
        connect: Callable[[], BudgetAuthority],
        budgets: Callable[[], Sequence[Budget]],
        now_us: Callable[[], int],
    ) -> None:
        self._connect = connect
        self._budgets = budgets
        self._now_us = now_us
        self._lock = threading.Lock()
        self._waiting: list[LedgerEntry] = []

    def notice(self, entries: Iterable[LedgerEntry]) -> None:
        """Keep what is late among entries that are in the ledger."""
        late = [entry for entry in entries if is_late(entry)]
        if late:
            with self._lock:
                self._waiting += late[: max(0, WAITING_MAX - len(self._waiting))]

    def take_turn(self) -> None:
        """Book what waits. Raises OSError where the store cannot be used; then it waits on."""
        with self._lock:
            entries, self._waiting = self._waiting, []
        if not entries:
            return
        try:
            bookings = late_bookings(Book(self._budgets()), entries)
            if bookings:
                self._book(bookings)
        except OSError:
            with self._lock:
                self._waiting = entries + self._waiting
            raise

    def _book(self, bookings: Sequence[LateBooking]) -> None:
        authority = self._connect()
        try:
            for start in range(0, len(bookings), AT_ONCE):
                authority.book_late(bookings[start : start + AT_ONCE], self._now_us())
        finally:
            authority.close()


def late_bookings(book: Book, entries: Iterable[LedgerEntry]) -> list[LateBooking]:
    """Give what late entries change of rows. Both halves of a correction are one booking."""
    sums: dict[tuple[str, object], LateBooking] = {}
    for entry in entries:
        amounts = spending_booked(entry)
        name = f"{entry.corrects}~{entry.revision}" if entry.corrects else entry.entry_id
        for concern in book.concerns(spender_of(entry), entry.started_at_us):
            amount = amount_of(amounts, concern.budget.unit) or 0
            known = sums.get((name, concern.key))
            so_far = 0 if known is None else known.amount
            booking = LateBooking(name, concern.key, concern.window_end_us, so_far + amount)
            sums[(name, concern.key)] = booking
    return [booking for booking in sums.values() if booking.amount]
