"""The budget authority in an SQL database: holds, leases and balances, exact to the last unit.

Rows are taken in the order of their keys, so that two transactions never wait for each other.
That order is this program's: a database may sort texts as its language does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from tollkeeper.domain.budget_raises import Overdraft
from tollkeeper.domain.budgets import (
    NOTHING,
    Amounts,
    Balance,
    BalanceKey,
    Budget,
)
from tollkeeper.domain.gateway_company import Beat
from tollkeeper.domain.holds import HoldState
from tollkeeper.domain.leases import (
    LEASE_US,
    NOTHING_UNTOLD,
    Charge,
    LateBooking,
    LeaseAnswer,
    LeaseRequest,
    LeaseState,
    LostLease,
    OpenGateway,
    Shortage,
    outstanding,
    slice_of,
)
from tollkeeper.storage.store import abandoned_leases
from tollkeeper.storage.store import budget_sql as sql
from tollkeeper.storage.store.budget_rows import read_budget, write_budget
from tollkeeper.storage.store.budget_steps import Database, add_hold, end_holds, move

_OPEN: Final = "open"
_NEVER_US: Final = -1  # no raise counts then
_CLOSED: Final = "closed"


class _Standing(NamedTuple):
    """How a row stands: ``leased`` is what all leases may still spend."""

    posted: int
    held: int
    limit: int
    leased: int

    @property
    def left(self) -> int:
        return self.limit - self.posted - self.held


class _Lease(NamedTuple):
    granted: int
    spent: int
    epoch: int
    state: str


class SqlBudgetAuthority:
    """Implements ``domain.leases.BudgetAuthority``; ``transaction`` gives one that writes."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Database]]) -> None:
        self._transaction = transaction

    def budgets(self) -> list[Budget]:
        with self._transaction() as db:
            return [read_budget(row) for row in db.execute(sql.BUDGETS, {}).fetchall()]

    def follow_file(
        self,
        changes: Callable[[Sequence[Budget]], Sequence[Budget]],
        overdrafts: Callable[[Sequence[Budget], Sequence[Overdraft]], Sequence[Overdraft]],
        now_us: int,
        by: str,
    ) -> Sequence[Budget]:
        with self._transaction() as db:
            db.execute(sql.RAISE_REVISION, {})  # first: writers wait for each other here
            (revision,) = db.execute(sql.REVISION, {}).fetchone()
            kept = [read_budget(row) for row in db.execute(sql.BUDGETS, {}).fetchall()]
            changed = changes(kept)
            about = {"changed_revision": revision, "now_us": now_us, "by": by}
            for budget in changed:
                db.execute(sql.KEEP_BUDGET, {**write_budget(budget), **about})
            now = {budget.budget_id: budget for budget in (*kept, *changed)}
            rows = (Overdraft(*row) for row in db.execute(sql.OVERDRAFTS, {}).fetchall())
            said = {row.budget_id: row for row in rows}  # the last of each
            for allowed in overdrafts(list(now.values()), list(said.values())):
                db.execute(sql.ALLOW_OVERDRAFT, allowed._asdict())
            return changed

    # ------------------------------------------------------------- leases

    def exchange(self, gateway: str, requests: Sequence[LeaseRequest], now_us: int) -> LeaseAnswer:
        ordered = sorted(requests, key=lambda request: request.key)
        with self._transaction() as db:
            state = _see(db, gateway, now_us)
            asked = [it for it in ordered if _report(db, gateway, it, now_us, state)]
            shortage = None
            db.execute("SAVEPOINT grants", {})
            for request in asked:
                shortage = _grant(db, gateway, request, now_us)
                if shortage is not None:
                    db.execute("ROLLBACK TO SAVEPOINT grants", {})
                    break
            db.execute("RELEASE SAVEPOINT grants", {})
            states = tuple(_state(db, gateway, request.key, now_us) for request in ordered)
            return LeaseAnswer(states, shortage)

    def finish(
        self,
        gateway: str,
        spent: Mapping[BalanceKey, int],
        now_us: int,
        untold: Mapping[BalanceKey, int] = NOTHING_UNTOLD,
    ) -> int:
        with self._transaction() as db:
            _see(db, gateway, now_us)
            abandoned_leases.replace(db, gateway, spent, untold, now_us)
            db.execute(sql.END_GATEWAY, {"gateway": gateway, "now_us": now_us})
            rows = db.execute(sql.LEASES_OF, {"gateway": gateway}).fetchall()
            known, closed = {BalanceKey(*row[:3]): row[3:] for row in rows}, 0
            for key in sorted({*known, *spent, *untold}):
                if key not in known:
                    _ensure_lease(db, gateway, key, now_us)
                granted, said = known.get(key, (0, 0))
                in_all = max(spent.get(key, 0), said) + untold.get(key, 0)
                values = {**key._asdict(), "gateway": gateway, "spent": in_all}
                if db.execute(sql.CLOSE_LEASE, values).rowcount:
                    move(db, key, in_all - said, -outstanding(granted, said))
                    closed += 1
            return closed

    def expire(self, now_us: int) -> list[LostLease]:
        lost = []
        with self._transaction() as db:
            for gateway, *key, granted, spent in sorted(
                db.execute(sql.LATE, {"now_us": now_us}).fetchall()
            ):
                late = LostLease(gateway, BalanceKey(*key), outstanding(granted, spent))
                values = {**late.key._asdict(), "gateway": gateway, "now_us": now_us}
                db.execute(sql.TURN, values)  # its exchanges wait before they lock anything
                if db.execute(sql.EXPIRE, values).rowcount:
                    lost.append(late)
        return lost

    def open_gateways(self) -> list[OpenGateway]:
        with self._transaction() as db:
            return abandoned_leases.open_gateways(db)

    def abandon(self, gateway: str, now_us: int) -> OpenGateway:
        with self._transaction() as db:
            return abandoned_leases.abandon(db, gateway, now_us)

    def abandoned(self) -> Mapping[BalanceKey, int]:
        with self._transaction() as db:
            rows = db.execute(sql.ABANDONED_SUMS, {}).fetchall()
            return {BalanceKey(*row[:3]): int(row[3]) for row in rows}

    def write_off(self, gateway: str, now_us: int) -> OpenGateway:
        with self._transaction() as db:
            return abandoned_leases.write_off(db, gateway, now_us)

    # ------------------------------------------------------------- holds

    def hold(
        self, entry_id: str, gateway: str, charges: Sequence[Charge], now_us: int
    ) -> Shortage | None:
        with self._transaction() as db:
            is_closed = _see(db, gateway, now_us) == _CLOSED  # first: it lets others wait
            known = db.execute(sql.HOLDS, {"entry_id": entry_id}).fetchall()
            if known:
                if any(state != HoldState.HELD for *_, state, _unit in known):
                    raise ValueError(f"the hold of {entry_id} has ended already")
                return None
            if is_closed:
                raise ValueError(f"the gateway {gateway} has ended, and holds nothing more")
            db.execute("SAVEPOINT holds", {})
            for charge in sorted(charges):
                _ensure_row(db, charge.key, charge.window_end_us)
                taken = {**charge.key._asdict(), "amount": charge.amount, "now_us": now_us}
                if charge.amount and not db.execute(sql.TAKE, taken).rowcount:
                    shortage = _shortage(db, charge, now_us)
                    db.execute("ROLLBACK TO SAVEPOINT holds", {})
                    db.execute("RELEASE SAVEPOINT holds", {})
                    return shortage
                add_hold(db, entry_id, gateway, charge, HoldState.HELD, now_us)
            db.execute("RELEASE SAVEPOINT holds", {})
            return None

    def settle(self, entry_id: str, spent: Amounts | None, now_us: int) -> bool:
        state = HoldState.ESTIMATED if spent is None else HoldState.POSTED
        with self._transaction() as db:
            return end_holds(db, entry_id, state, spent, now_us) > 0

    def void(self, entry_id: str, gateway: str, charges: Sequence[Charge], now_us: int) -> bool:
        with self._transaction() as db:
            _see(db, gateway, now_us)
            ended = end_holds(db, entry_id, HoldState.VOIDED, NOTHING, now_us)
            for charge in sorted(charges):
                nothing = charge._replace(amount=0)
                add_hold(db, entry_id, gateway, nothing, HoldState.VOIDED, now_us)
            return ended > 0

    def book_late(self, bookings: Sequence[LateBooking], now_us: int) -> int:
        booked = 0
        with self._transaction() as db:
            for name, key, window_end_us, amount in sorted(bookings, key=lambda it: it.key):
                _ensure_row(db, key, window_end_us)
                nothing = Charge(key, window_end_us, 0)
                if add_hold(db, name, "", nothing, HoldState.POSTED, now_us):
                    move(db, key, max(amount, -_standing(db, key, now_us).posted), 0)
                    booked += 1
        return booked

    # ------------------------------------------------------------- company

    def meet(self, gateway: str, now_us: int) -> list[Beat]:
        name = f"{sql.SHARING}{gateway}"
        with self._transaction() as db:
            db.execute(sql.SEE_GATEWAY, {"gateway": name, "now_us": now_us})
            rows = db.execute(sql.BEATS, {}).fetchall()
        return [Beat(row[0].removeprefix(sql.SHARING), row[1]) for row in rows]

    def leave(self, gateway: str, now_us: int) -> None:
        values = {"gateway": f"{sql.SHARING}{gateway}", "now_us": now_us}
        with self._transaction() as db:
            db.execute(sql.END_GATEWAY, values)

    # ------------------------------------------------------------- balances

    def balances(self, budget_id: str | None = None) -> list[Balance]:
        with self._transaction() as db:
            rows = db.execute(sql.BALANCES, {"budget_id": budget_id}).fetchall()
        return [
            Balance(BalanceKey(*row[:3]), row[3], row[4], row[5], int(row[6]), row[7])
            for row in sorted(rows)
        ]

    def correct(self, key: BalanceKey, posted: int, booked: int) -> bool:
        values = {**key._asdict(), "posted": posted, "booked": booked}
        with self._transaction() as db:
            return db.execute(sql.CORRECT, values).rowcount > 0

    def prune(self, before_us: int) -> int:
        with self._transaction() as db:
            values = {"before_us": before_us}
            return sum(
                db.execute(statement, values).rowcount
                for statement in (sql.FORGET_HOLDS, sql.FORGET_LEASES, sql.FORGET_GATEWAYS)
            )


# --------------------------------------------------------------------- steps


def _see(db: Database, gateway: str, now_us: int) -> str:
    """Note that a gateway was heard of; one exchange of it at a time. Gives its leases' state."""
    db.execute(sql.SEE_GATEWAY, {"gateway": gateway, "now_us": now_us})
    return _CLOSED if db.execute(sql.ENDED, {"gateway": gateway}).fetchone() else _OPEN


def _report(db: Database, gateway: str, request: LeaseRequest, now_us: int, state: str) -> bool:
    """Take in what a gateway says of a row; tell whether it may be granted more.

    What is spent counts whatever the epoch, as the most that was ever said. What is given
    back counts only if the gateway knew all that it has.
    """
    key = request.key
    _ensure_row(db, key, request.window_end_us)
    values = {**key._asdict(), "gateway": gateway, "expires_at_us": now_us + LEASE_US}
    db.execute(sql.ADD_LEASE, {**values, "state": state})
    lease = _Lease(*db.execute(sql.LEASE, values).fetchone())
    spent = max(lease.spent, request.spent)
    knows = lease.epoch == request.epoch and lease.state != _CLOSED
    granted = lease.granted
    if knows:
        needed = request.spent + request.held
        granted = needed + min(request.keep, max(granted - needed, 0))
    elif lease.state == _CLOSED:
        granted = spent
    told = {**values, "granted": granted, "spent": spent, "epoch": lease.epoch}
    if not db.execute(sql.REPORT, told).rowcount:
        raise OSError(f"the lease of {gateway} has been changed by another process")
    before = outstanding(lease.granted, lease.spent)
    moved = {"posted": spent - lease.spent, "held": outstanding(granted, spent) - before}
    db.execute(sql.MOVE, {**key._asdict(), **moved})  # also of nothing: it locks the row
    return knows and bool(request.amount or request.wanted)


def _ensure_lease(db: Database, gateway: str, key: BalanceKey, now_us: int) -> None:
    """Make the lease of a row that a gateway spent of before it had told of it."""
    found = db.execute(sql.BUDGET, {"budget_id": key.budget_id}).fetchone()
    if found is not None:
        _ensure_row(db, key, read_budget(found).window.around(key.window_start_us).end_us)
        values = {**key._asdict(), "gateway": gateway, "expires_at_us": now_us, "state": _OPEN}
        db.execute(sql.ADD_LEASE, values)


def _grant(db: Database, gateway: str, request: LeaseRequest, now_us: int) -> Shortage | None:
    """Grant a slice of a row, or say why there is not even enough for the call."""
    key, amount = request.key, request.amount
    standing = _standing(db, key, now_us)
    size = slice_of(standing.left, standing.leased, amount, request.wanted)
    if not size:
        return None
    values = {**key._asdict(), "gateway": gateway, "now_us": now_us}
    for part in (size, amount):
        if part and db.execute(sql.TAKE, {**values, "amount": part}).rowcount:
            db.execute(sql.GRANT, {**values, "amount": part})
            return None
    if not amount:
        return None  # it was only to have some ready
    return _shortage(db, Charge(key, request.window_end_us, amount), now_us)


def _state(db: Database, gateway: str, key: BalanceKey, now_us: int) -> LeaseState:
    lease = _Lease(*db.execute(sql.LEASE, {**key._asdict(), "gateway": gateway}).fetchone())
    standing = _standing(db, key, now_us)
    recalled = standing.left < standing.leased
    closed = lease.state == _CLOSED
    how = (lease.epoch, lease.granted, lease.spent, recalled, closed)
    return LeaseState(key, *how, standing.left, standing.posted, standing.limit)


def _standing(db: Database, key: BalanceKey, now_us: int) -> _Standing:
    """Say how a row stands at a time, which decides what raises its limit."""
    values = {**key._asdict(), "now_us": now_us}
    posted, held, limit, leased = db.execute(sql.STANDING, values).fetchone()
    return _Standing(posted, held, limit, int(leased))


def _shortage(db: Database, charge: Charge, now_us: int) -> Shortage:
    standing = _standing(db, charge.key, now_us)
    return Shortage(
        charge.key,
        charge.amount,
        standing.posted,
        standing.held,
        standing.leased,
        standing.limit,
        charge.window_end_us,
    )


def _ensure_row(db: Database, key: BalanceKey, window_end_us: int) -> None:
    """Make a row when it is first needed, with what the window before left over.

    The row of the window before is locked first: it comes first in the order of keys. What
    raised a limit for a time does not roll over.
    """
    if db.execute(sql.ROW, key._asdict()).fetchone():
        return
    found = db.execute(sql.BUDGET, {"budget_id": key.budget_id}).fetchone()
    budget = read_budget(found) if found else None
    earlier = _row_before(db, budget, key) if budget else None
    values = {**key._asdict(), "window_end_us": window_end_us}
    if not db.execute(sql.ADD_ROW, values).rowcount or budget is None or earlier is None:
        return  # another process has made it meanwhile, or nothing rolls over
    amount = min(budget.rollover_max, _standing(db, earlier, _NEVER_US).left)
    # What moves on is no longer there for a late call of the window before.
    if amount > 0 and db.execute(sql.ROLL_ON, {**earlier._asdict(), "amount": amount}).rowcount:
        db.execute(sql.ROLL_IN, {**key._asdict(), "amount": amount})


def _row_before(db: Database, budget: Budget, key: BalanceKey) -> BalanceKey | None:
    """Lock the row whose rest rolls over into a row; None where nothing does."""
    window = budget.window.around(key.window_start_us)
    before = budget.window.before(window) if budget.rollover_max else None
    if before is None or before.end_us <= budget.since_us:
        return None
    earlier = key._replace(window_start_us=before.start_us)
    db.execute(sql.ADD_ROW, {**earlier._asdict(), "window_end_us": before.end_us})
    db.execute(sql.MOVE, {**earlier._asdict(), "posted": 0, "held": 0})
    return earlier
