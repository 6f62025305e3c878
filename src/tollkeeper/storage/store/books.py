"""The store's part of the bookkeeping: which months are closed, and when prices were tried."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from tollkeeper.domain.months import ClosedMonth
from tollkeeper.domain.repricing import PricingRun
from tollkeeper.storage.store.schema import closed_months, pricing_runs


def all_closed_months(db: Connection) -> list[ClosedMonth]:
    """List the closed months, oldest first."""
    rows = db.execute(select(closed_months).order_by(closed_months.c.month))
    return [ClosedMonth(**row) for row in rows.mappings()]


def close_month(db: Connection, closed: ClosedMonth) -> None:
    """Close a month. One that is closed already has its row: ValueError."""
    db.execute(insert(closed_months).values(**closed._asdict()))


def reopen_month(db: Connection, month: str) -> None:
    """Open a month again. Raises LookupError when it is not closed."""
    removed = db.execute(delete(closed_months).where(closed_months.c.month == month))
    if not removed.rowcount:
        raise LookupError(f"{month!r} is not closed")


def last_pricing_run(db: Connection) -> PricingRun | None:
    """Give the last time that calls without a price were tried again, None before the first."""
    row = db.execute(select(pricing_runs).order_by(pricing_runs.c.began_at_us.desc()).limit(1))
    found = row.mappings().first()
    return None if found is None else PricingRun(**found)


def keep_pricing_run(db: Connection, run: PricingRun) -> None:
    """Keep a run in place of what was known of it."""
    db.execute(delete(pricing_runs).where(pricing_runs.c.began_at_us == run.began_at_us))
    db.execute(insert(pricing_runs).values(**run._asdict()))
