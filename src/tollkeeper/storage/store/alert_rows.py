"""Alerts in the store: each fires once, whoever else looks at the same moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    or_,
    select,
    update,
)

from tollkeeper.domain.alerts import OPEN, Alert, AlertKey, AlertState
from tollkeeper.domain.budgets import BASIS_POINTS, BalanceKey
from tollkeeper.storage.store.alert_schema import alerts
from tollkeeper.storage.store.once import insert_once
from tollkeeper.storage.store.raise_rows import raised_at
from tollkeeper.storage.store.schema import budget_balances, budgets

LATE_US: Final = 24 * 3_600_000_000
"""So long after its end a window is still looked at: costs are settled late, and whoever looks
may have been away."""

_OPEN: Final = [str(state) for state in OPEN]


def add_alert(db: Connection, alert: Alert) -> bool:
    """Keep a new alert; False where its key is there already."""
    key = alert.key
    values = {
        **{name: getattr(alert, name) for name in ("alert_id", "window_end_us", "value", "name")},
        **{name: getattr(alert, name) for name in ("title", "fired_at_us", "changed_at_us")},
        **key._asdict(),
        "state": str(alert.state),
        "limit_amount": alert.limit,
        "acknowledged_by": alert.by,
    }
    return insert_once(db, alerts, values)


def move_alert(db: Connection, alert: Alert, state: AlertState, now_us: int, by: str) -> bool:
    """Give an alert another state, unless it is in another one than ``alert`` by now."""
    moved = db.execute(
        update(alerts)
        .where(alerts.c.alert_id == alert.alert_id, alerts.c.state == str(alert.state))
        .values(state=str(state), changed_at_us=now_us, acknowledged_by=by or alert.by)
    )
    return moved.rowcount > 0


def alert(db: Connection, alert_id: str) -> Alert | None:
    """Give one alert."""
    row = db.execute(select(alerts).where(alerts.c.alert_id == alert_id)).first()
    return None if row is None else _read(row)


def newest_alerts(db: Connection, most: int, *, open_only: bool) -> list[Alert]:
    """List alerts that were told, newest first."""
    wanted = select(alerts).where(alerts.c.title != "")
    if open_only:
        wanted = wanted.where(alerts.c.state.in_(_OPEN))
    order = (alerts.c.fired_at_us.desc(), alerts.c.alert_id.desc())
    return _read_all(db.execute(wanted.order_by(*order).limit(most)))


def open_alerts(db: Connection) -> list[Alert]:
    """List all alerts that are not over."""
    return _read_all(db.execute(select(alerts).where(alerts.c.state.in_(_OPEN))))


def alerts_of(db: Connection, keys: Sequence[AlertKey]) -> list[Alert]:
    """List the alerts about some things in some windows."""
    found: list[Alert] = []
    for first in range(0, len(keys), 100):
        some = keys[first : first + 100]
        about = [
            and_(
                alerts.c.rule == key.rule,
                alerts.c.subject == key.subject,
                alerts.c.entity == key.entity,
                alerts.c.window_start_us == key.window_start_us,
            )
            for key in some
        ]
        found += _read_all(db.execute(select(alerts).where(or_(*about))))
    return found


def spent_rows(db: Connection, now_us: int, part_bp: int) -> list[dict[str, Any]]:
    """List rows of balances of which a part is spent, and whose windows are not long over."""
    row = budget_balances.c
    part = _limit(now_us) // BASIS_POINTS * min(part_bp, BASIS_POINTS)
    asked = _spent(now_us).where(
        row.window_end_us > now_us - LATE_US, row.posted > 0, row.posted >= part
    )
    return [_spent_row(found) for found in db.execute(asked).mappings()]


def spent_row(db: Connection, key: BalanceKey, now_us: int) -> dict[str, Any] | None:
    """Give one row of balances in the same form."""
    row = budget_balances.c
    asked = _spent(now_us).where(
        row.budget_id == key.budget_id,
        row.entity == key.entity,
        row.window_start_us == key.window_start_us,
    )
    found = db.execute(asked).mappings().first()
    return None if found is None else _spent_row(found)


def _spent(now_us: int) -> Select[Any]:
    row = budget_balances.c
    names = (*BalanceKey._fields, "window_end_us", "posted")
    return select(*(row[name] for name in names), _limit(now_us).label("limit")).join(
        budgets, budgets.c.budget_id == row.budget_id
    )


def _limit(now_us: int) -> ColumnElement[int]:
    """Give a row's limit with what raises it: now, or at the end of a window that is over."""
    row = budget_balances.c
    at_us = case((row.window_end_us <= now_us, row.window_end_us - 1), else_=now_us)
    return budgets.c.limit_amount + raised_at(row, at_us) + row.rolled_in - row.rolled_on


def _spent_row(found: RowMapping) -> dict[str, Any]:
    return {**found, "limit": int(found["limit"])}


def forget_alerts(db: Connection, before_us: int) -> int:
    """Delete alerts that are over and changed last before a time."""
    gone = delete(alerts).where(alerts.c.state.not_in(_OPEN), alerts.c.changed_at_us < before_us)
    return db.execute(gone).rowcount


def _read_all(rows: Iterable[Row[Any]]) -> list[Alert]:
    return [_read(row) for row in rows]


def _read(row: Row[Any]) -> Alert:
    found = row._mapping
    return Alert(
        alert_id=found["alert_id"],
        key=AlertKey(*(found[name] for name in AlertKey._fields)),
        state=AlertState(found["state"]),
        window_end_us=found["window_end_us"],
        value=found["value"],
        limit=found["limit_amount"],
        name=found["name"],
        title=found["title"],
        fired_at_us=found["fired_at_us"],
        changed_at_us=found["changed_at_us"],
        by=found["acknowledged_by"],
    )
