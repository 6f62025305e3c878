"""The budget gate of one gateway process: admits calls in memory, from what it has leased.

Nothing here waits or speaks to anybody. Where a call needs more than is leased, the gate says
what to ask the authority (``Ask``); whoever runs it does so, gives back the answer, and admits
again. One exchange is under way at a time, so that answers never come out of order. Only one
thread may use a gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budget_windows import LATEST_US
from tollkeeper.domain.budgets import (
    NOTHING,
    UNITS,
    BalanceKey,
    Budget,
    Sizing,
    Spender,
    Unit,
)
from tollkeeper.domain.holds import UNPRICED, Hold
from tollkeeper.domain.leases import (
    LEASE_US,
    Account,
    BudgetAuthority,
    LeaseAnswer,
    LeaseRequest,
    Shortage,
)
from tollkeeper.services.leased_row import STRICTLY, LeasedRow, RowsByUnit, grouped, put_back

EXCEEDED: Final = "budget_exceeded"
UNREACHABLE: Final = "budget_unreachable"
REFUSED_US: Final = 1_000_000
"""For so long a call that does not fit is refused from memory."""
REPORTS_MAX: Final = 1_000
"""An exchange tells of no more rows than this; the others follow in the next."""
AHEAD_MAX: Final = 200
"""And it asks for so many rows on which calls wait, beside those of the call that asks."""


class Admitted(NamedTuple):
    """The call may go; its hold stands until it is settled or voided."""


class Refused(NamedTuple):
    """The call may not go, and because of which budget.

    ``spent``, ``held`` and ``limit`` are in the budget's unit, None where the authority was
    not asked. ``opens_at_us`` is when its window ends, None for one that never does.
    ``soon`` tells that other gateways may give back enough within a second or two.
    """

    code: str
    budget: Budget
    key: BalanceKey
    spent: int | None = None
    held: int | None = None
    limit: int | None = None
    opens_at_us: int | None = None
    soon: bool = False


class Ask(NamedTuple):
    """Exchange these with the authority, give the gate the answer, then admit again."""

    requests: tuple[LeaseRequest, ...]


class Wait(NamedTuple):
    """An exchange is under way: admit again when it has been answered."""


Decision = Admitted | Refused | Ask | Wait
ADMITTED: Final = Admitted()
_USD: Final = UNITS.index(Unit.USD)
WAIT: Final = Wait()


class Subject:
    """Calls that concern the same budgets: made once for many calls of one profile.

    ``charges`` are good for calls from ``since_us`` to before ``until_us``, while ``seal`` is
    the gate's; ``by_unit`` has the same rows by the unit that is held of them. ``is_strict``
    tells that one of the budgets holds strictly, so that a hold has to say both sizes.
    """

    __slots__ = ("by_unit", "call", "charges", "is_strict", "seal", "since_us", "until_us")

    def __init__(self, call: Spender) -> None:
        self.call = call
        self.seal: object = None
        self.charges: tuple[tuple[LeasedRow, int], ...] = ()
        self.by_unit: RowsByUnit = ()
        self.is_strict = False
        self.since_us = self.until_us = 0


_Open = tuple[RowsByUnit, Hold]


class BudgetGate:
    """Admits and settles the calls of one gateway process, whose name is ``gateway``.

    A new ``seal`` lets every subject be matched anew.
    """

    def __init__(self, gateway: str, book: Book, now_us: int) -> None:
        self.gateway = gateway
        self.closed = False
        self._book = book
        self.seal = object()
        self._rows: dict[BalanceKey, LeasedRow] = {}
        self.holds: dict[str, _Open] = {}
        self._next: dict[BalanceKey, int] = {}  # what calls need that wait for an exchange
        self._busy = False
        self._fresh_until_us = now_us + LEASE_US

    @property
    def open_calls(self) -> int:
        """Count the holds that are not resolved."""
        return len(self.holds)

    def accounts(self) -> list[Account]:
        """Say what was spent of each row that is remembered."""
        return [Account(row.key, row.spent, row.epoch > 0) for row in self._rows.values()]

    def left_nanos(self, subject: Subject) -> int | None:
        """Say how much of the scarcest budget in USD is left, as far as it is known here.

        None where no such budget has a limit. May be off by what others spent since.
        """
        least: int | None = None
        for _, unit, rows in subject.by_unit:
            if unit != _USD:
                continue
            for row in rows:
                if row.left is not None and row.is_hard:
                    left = row.left + row.free
                    if least is None or left < least:
                        least = left
        return least

    # ------------------------------------------------------------- calls

    def match(self, subject: Subject, now_us: int) -> bool:
        """Find what a call that begins at a time concerns; tell whether that is anything."""
        if subject.seal is not self.seal or not subject.since_us <= now_us < subject.until_us:
            self._match(subject, now_us)
        return bool(subject.charges)

    def admit(self, subject: Subject, entry_id: str, hold: Hold, now_us: int) -> Decision:
        """Hold for a call at all budgets that it concerns, or at none.

        ``hold`` says both sizes where ``subject.is_strict``. ``now_us`` is the time that its
        journal entry bears. Raises ValueError for an entry that is held already.
        """
        if subject.seal is not self.seal or not subject.since_us <= now_us < subject.until_us:
            self._match(subject, now_us)
        if subject.is_strict and len(hold) == STRICTLY:
            hold += hold
        if now_us >= self._fresh_until_us or self.closed:
            return self._admit_slowly(subject, entry_id, hold, now_us)
        holds = self.holds
        if entry_id in holds:
            raise ValueError(f"{entry_id} is held already")
        # All rows or none, in one pass: what was taken is put back where one has too little.
        by_unit = subject.by_unit
        for unit, _, rows in by_unit:
            needed = hold[unit]
            if needed is None:
                put_back(by_unit, hold, rows[0])
                return self._admit_slowly(subject, entry_id, hold, now_us)
            for row in rows:
                left = row.free - needed
                if left < 0:
                    put_back(by_unit, hold, row)
                    return self._admit_slowly(subject, entry_id, hold, now_us)
                row.free = left
        holds[entry_id] = (by_unit, hold)
        return ADMITTED

    def settle(self, entry_id: str, cost: Hold) -> bool:
        """Turn a hold into what was spent; what is not known is taken to be what was held.

        Returns False where there is no such hold, or no more: then nothing changes.
        """
        found = self.holds.pop(entry_id, None)
        if found is None:
            return False
        by_unit, hold = found
        for unit, spent_unit, rows in by_unit:
            held, spent = hold[unit] or 0, cost[spent_unit]
            if spent is None:
                spent = held
            unused = held - spent
            for row in rows:
                row.free += unused
                row.spent += spent
        return True

    def void(self, entry_id: str) -> bool:
        """Free a hold of a call that was never sent."""
        return self.settle(entry_id, NOTHING)

    # ------------------------------------------------------------- budgets

    def use(self, book: Book) -> None:
        """Take over changed budgets. Calls in flight stay with what they hold."""
        now = {budget.budget_id: budget for budget in book.budgets}
        for row in self._rows.values():
            budget = now.get(row.budget.budget_id, row.budget)
            if budget != row.budget:
                row.change(budget)
        self._book = book
        self.seal = object()

    def _match(self, subject: Subject, now_us: int) -> None:
        since_us, until_us = self._book.edges_around(now_us)
        charges, is_strict = [], False
        for key, end_us, budget in self._book.concerns(subject.call, now_us):
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = LeasedRow(key, end_us, budget, now_us)
            unit = UNITS.index(budget.unit)
            if budget.sizing is Sizing.STRICT and row.is_hard:
                unit, is_strict = unit + STRICTLY, True
            charges.append((row, unit))
            # Clocks step back, and a call may have begun before others that came after it.
            since_us, until_us = max(since_us, key.window_start_us), min(until_us, end_us)
        subject.charges, subject.is_strict = tuple(charges), is_strict
        subject.by_unit = grouped(charges)
        subject.since_us, subject.until_us = since_us, until_us
        subject.seal = self.seal

    def _admit_slowly(self, subject: Subject, entry_id: str, hold: Hold, now_us: int) -> Decision:
        """Decide where something is missing: a price, room in a lease, or the authority."""
        known = tuple([amount or 0 for amount in hold])
        is_fresh = now_us < self._fresh_until_us
        lacking = []
        for row, unit in subject.charges:
            if not row.is_hard:
                continue
            if hold[unit] is None:
                return _refusal(UNPRICED, row)
            needed = known[unit]
            if not needed:
                continue  # what costs nothing passes, whatever is left
            if self.closed:
                return _refusal(UNREACHABLE, row)
            if row.free >= needed and is_fresh:
                continue
            if now_us < row.refused_until_us and row.refusal and needed >= row.refusal.amount:
                return _refusal(EXCEEDED, row, row.refusal)
            lacking.append((row, needed))
        if lacking:
            if not self._busy:
                return self._ask(lacking, now_us)
            self._next.update((row.key, needed) for row, needed in lacking)
            return WAIT
        if entry_id in self.holds:
            raise ValueError(f"{entry_id} is held already")
        for row, unit in subject.charges:
            row.free -= known[unit]
        self.holds[entry_id] = (subject.by_unit, known)
        return ADMITTED

    def unreachable(self, subject: Subject, hold: Hold, now_us: int) -> Refused | None:
        """Refuse a call because its budgets cannot be asked; None where none has to be.

        A budget that is known to be spent is said to be: to ask it again would change nothing.
        """
        unasked: Refused | None = None
        for row, unit in subject.charges:
            needed = hold[unit % len(hold)]
            if not row.is_hard or needed == 0:
                continue
            short = None if needed is None else row.spent_out(needed, now_us)
            if short is not None:
                return _refusal(EXCEEDED, row, short)
            unasked = unasked or _refusal(UNREACHABLE, row)
        return unasked

    # ------------------------------------------------------------- the authority

    def _ask(self, lacking: list[tuple[LeasedRow, int]], now_us: int) -> Ask:
        """Ask for a call, and for something on the rows that others wait for meanwhile.

        Only the call can come to a shortage: what is wanted ahead is granted or not.
        """
        self._busy = True
        requests = [row.request(now_us, amount=amount) for row, amount in lacking]
        asked = {request.key for request in requests}
        waiting, self._next = self._next, {}
        for key, needed in islice(waiting.items(), AHEAD_MAX):
            row = self._rows.get(key)
            if row is not None and key not in asked:
                request = row.request(now_us, keep=True)
                requests.append(request._replace(wanted=max(row.wanted(now_us), needed)))
        return Ask(tuple(requests))

    def reports(self, now_us: int) -> Ask | None:
        """Say what to tell the authority now; to be asked about once a second.

        None where there is nothing to tell, or an exchange is under way.
        """
        if self._busy or self.closed:
            return None
        self._forget(now_us)
        requests = []
        for row in self._rows.values():
            row.look(now_us)
            if row.has_news(now_us):
                requests.append(row.request(now_us, keep=row.keeps(now_us), ahead=True))
                if len(requests) == REPORTS_MAX:
                    break
        if not requests:
            return None
        if len(requests) == REPORTS_MAX:  # these stand behind the others next time
            for request in requests:
                self._rows[request.key] = self._rows.pop(request.key)
        self._busy = True
        return Ask(tuple(requests))

    def answered(self, asked: Ask, answer: LeaseAnswer, now_us: int) -> Sequence[Account]:
        """Take in the authority's answer; give the rows that were heard of for the first time."""
        self._busy = False
        self._fresh_until_us = now_us + LEASE_US
        said = {request.key: request.spent for request in asked.requests}
        new: list[Account] = []
        for state in answer.states:
            self.closed = self.closed or state.closed
            row = self._rows[state.key]
            is_new = not row.epoch
            row.sync(state, said[state.key], now_us)
            if is_new:
                new.append(Account(row.key, row.spent, in_all=True))
        short = answer.shortage
        if short is not None:
            row = self._rows[short.key]
            row.refusal, row.refused_until_us = short, now_us + REFUSED_US
        return new

    def failed(self) -> None:
        """Say that an exchange was not answered: nobody knows whether the authority heard it.

        What was offered back is used no more until the authority says that it is there.
        """
        self._busy = False

    def _forget(self, now_us: int) -> None:
        done = [key for key, row in self._rows.items() if row.is_done(now_us)]
        for key in done:
            del self._rows[key]
        if done:
            self.seal = object()


def exchange(gate: BudgetGate, authority: BudgetAuthority, asked: Ask, now_us: int) -> None:
    """Ask the authority for a gate, here and now. Raises OSError when it cannot be reached."""
    try:
        answer = authority.exchange(gate.gateway, asked.requests, now_us)
    except OSError:
        gate.failed()
        raise
    gate.answered(asked, answer, now_us)


def _refusal(code: str, row: LeasedRow, short: Shortage | None = None) -> Refused:
    refused = Refused(code, row.budget, row.key)
    if row.end_us < LATEST_US:
        refused = refused._replace(opens_at_us=row.end_us)
    if short is None:
        return refused
    left = short.limit - short.posted - short.held
    return refused._replace(
        spent=short.posted,
        held=short.held,
        limit=short.limit,
        soon=short.amount <= left + short.leased,
    )
