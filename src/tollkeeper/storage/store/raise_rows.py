"""Requests for more of a budget, decisions about them, and raises: rows that are only added."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tollkeeper.domain.budget_raises import (
    Asked,
    BudgetRaise,
    BudgetRequest,
    Decision,
    Overdraft,
    RaiseEnd,
    RaiseKind,
)
from tollkeeper.storage.store.raise_schema import (
    budget_decisions,
    budget_overdrafts,
    budget_raise_ends,
    budget_raises,
    budget_requests,
)
from tollkeeper.storage.store.schema import budgets

_REQUEST: Final = tuple(budget_requests.c[name] for name in BudgetRequest._fields)
_DECISION: Final = tuple(budget_decisions.c[name] for name in Decision._fields)
_RAISE: Final = tuple(budget_raises.c[name] for name in BudgetRaise._fields if name != "ended")
_RAISE_KIND: Final = BudgetRaise._fields.index("kind")
_END: Final = tuple(budget_raise_ends.c[name] for name in RaiseEnd._fields)
_WITH_DECISION: Final = select(*_REQUEST, *_DECISION).join(
    budget_decisions,
    budget_decisions.c.request_id == budget_requests.c.request_id,
    isouter=True,
)


def add_request(db: Connection, request: BudgetRequest) -> None:
    """Keep a request."""
    db.execute(insert(budget_requests).values(**request._asdict()))


def requests(db: Connection, *, undecided: bool, most: int) -> list[Asked]:
    """List requests, the newest first."""
    wanted = _WITH_DECISION
    if undecided:
        wanted = wanted.where(budget_decisions.c.request_id.is_(None))
    order = (budget_requests.c.asked_at_us.desc(), budget_requests.c.request_id.desc())
    return [_asked(row) for row in db.execute(wanted.order_by(*order).limit(most))]


def request(db: Connection, request_id: str) -> Asked | None:
    """Give one request."""
    row = db.execute(_WITH_DECISION.where(budget_requests.c.request_id == request_id)).first()
    return None if row is None else _asked(row)


def decide(db: Connection, decision: Decision, given: BudgetRaise | None) -> bool:
    """Keep a decision and what it gives; False if there is one already."""
    known = request(db, decision.request_id)
    if known is None:
        raise LookupError(f"no request {decision.request_id!r}")
    if known.decision is not None or not _added(db, budget_decisions, decision._asdict()):
        return False
    if given is not None:
        db.execute(insert(budget_raises).values(**_raise_values(given)))
    return True


def add_overdraft(db: Connection, taken: BudgetRaise) -> bool:
    """Keep an overdraft; False where the window's has been taken."""
    return _added(db, budget_raises, _raise_values(taken))


def raises(db: Connection, budget_id: str | None) -> list[BudgetRaise]:
    """List raises in the order in which they were made."""
    ends = budget_raise_ends.c.raise_id == budget_raises.c.raise_id
    wanted = select(*_RAISE, *_END).join(budget_raise_ends, ends, isouter=True)
    if budget_id is not None:
        wanted = wanted.where(budget_raises.c.budget_id == budget_id)
    order = (budget_raises.c.made_at_us, budget_raises.c.raise_id)
    return [_raise(row) for row in db.execute(wanted.order_by(*order))]


def end_raise(db: Connection, end: RaiseEnd, revision: int) -> bool:
    """Keep that a raise ends; False if it has been ended already.

    Its budget counts as changed: by that gateways know that what they were granted ahead is to
    be given back.
    """
    known = select(budget_raises.c.budget_id).where(budget_raises.c.raise_id == end.raise_id)
    budget_id = db.execute(known).scalar()
    if budget_id is None:
        raise LookupError(f"no raise {end.raise_id!r}")
    if not _added(db, budget_raise_ends, end._asdict()):
        return False
    changed = {"version": budgets.c.version + 1, "changed_revision": revision}
    db.execute(update(budgets).where(budgets.c.budget_id == budget_id).values(**changed))
    return True


def raised_at(row: Any, at_us: ColumnElement[int] | int) -> ScalarSelect[int]:
    """Give what raises a row of balances at a time, as a part of a question."""
    more, end = budget_raises.c, budget_raise_ends.c
    ended = exists().where(end.raise_id == more.raise_id, end.ended_at_us <= at_us)
    return (
        select(func.coalesce(func.sum(more.amount), 0))
        .where(more.budget_id == row.budget_id, more.entity == row.entity)
        .where(more.from_us <= at_us, more.until_us > at_us, ~ended)
        .scalar_subquery()
    )


def allow_overdraft(db: Connection, allowed: Overdraft) -> None:
    """Keep from now on what a budget's owner may take."""
    db.execute(insert(budget_overdrafts).values(**allowed._asdict()))


def overdrafts(db: Connection) -> list[Overdraft]:
    """List what is allowed, the newest line of each budget."""
    wanted = select(*(budget_overdrafts.c[name] for name in Overdraft._fields))
    rows = db.execute(wanted.order_by(budget_overdrafts.c.budget_id, budget_overdrafts.c.set_at_us))
    return [*{row[0]: Overdraft(*row) for row in rows}.values()]


def _raise_values(made: BudgetRaise) -> dict[str, Any]:
    once = made.request_id or f"{made.window_start_us} {made.budget_id} {made.entity}"
    values = {**made._asdict(), "kind": str(made.kind), "once": once}
    del values["ended"]  # said by a row of another table
    return values


def _added(db: Connection, table: Any, values: dict[str, Any]) -> bool:
    """Add a row of which there may be one only; tell whether it is this one."""
    try:
        with db.begin_nested():
            db.execute(insert(table).values(**values))
    except IntegrityError:
        return False
    return True


def _raise(row: Row[Any]) -> BudgetRaise:
    many = len(_RAISE)
    ended = RaiseEnd(*row[many:]) if row[many] is not None else None
    return BudgetRaise(*row[:many])._replace(kind=RaiseKind(row[_RAISE_KIND]), ended=ended)


def _asked(row: Row[Any]) -> Asked:
    many = len(_REQUEST)
    decision = Decision(*row[many:]) if row[many] is not None else None
    return Asked(BudgetRequest(*row[:many]), decision)
