"""The Store port's part about alerts and messages, on SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.budgets import BalanceKey
from tollkeeper.domain.deliveries import ChannelState, Delivery, Message, Told
from tollkeeper.storage.store import alert_rows, outbox_rows
from tollkeeper.storage.store.transactions import Transactions


class StoredAlerts:
    """Implements ``domain.alerts.AlertBook`` and ``domain.deliveries.Outbox``.

    Whatever belongs together is one transaction, or part of the one that ``together`` opened.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    # ------------------------------------------------------------- alerts

    def add_alert(self, alert: Alert) -> bool:
        with self._transactions.write() as (db, _):
            return alert_rows.add_alert(db, alert)

    def move_alert(self, alert: Alert, state: AlertState, now_us: int, by: str = "") -> bool:
        with self._transactions.write() as (db, _):
            return alert_rows.move_alert(db, alert, state, now_us, by)

    def alert(self, alert_id: str) -> Alert | None:
        with self._transactions.read() as db:
            return alert_rows.alert(db, alert_id)

    def alerts(self, most: int, *, open_only: bool = False) -> list[Alert]:
        with self._transactions.read() as db:
            return alert_rows.newest_alerts(db, most, open_only=open_only)

    def open_alerts(self) -> list[Alert]:
        with self._transactions.read() as db:
            return alert_rows.open_alerts(db)

    def alerts_of(self, keys: Sequence[AlertKey]) -> list[Alert]:
        with self._transactions.read() as db:
            return alert_rows.alerts_of(db, keys)

    def spent_rows(self, now_us: int, part_bp: int) -> list[Mapping[str, Any]]:
        with self._transactions.read() as db:
            return [*alert_rows.spent_rows(db, now_us, part_bp)]

    def spent_row(self, key: BalanceKey, now_us: int) -> Mapping[str, Any] | None:
        with self._transactions.read() as db:
            return alert_rows.spent_row(db, key, now_us)

    def forget_alerts(self, before_us: int) -> int:
        with self._transactions.quiet_write() as db:
            return alert_rows.forget_alerts(db, before_us)

    # ------------------------------------------------------------- messages

    def add_message(self, message: Message) -> bool:
        with self._transactions.write() as (db, _):
            return outbox_rows.add_message(db, message)

    def untold(self, most: int) -> list[Message]:
        with self._transactions.read() as db:
            return outbox_rows.untold(db, most)

    def address(self, message_id: str, deliveries: Sequence[Delivery]) -> bool:
        with self._transactions.write() as (db, _):
            return outbox_rows.address(db, message_id, deliveries)

    def claim(self, now_us: int, most: int) -> list[Told]:
        with self._transactions.read() as db:
            if not outbox_rows.is_due(db, now_us):
                return []
        # What looks before it changes anything must have the writer's lock first.
        with self._transactions.write() as (db, _):
            return outbox_rows.claim(db, now_us, most)

    def settle(self, delivery: Delivery, channel: ChannelState) -> bool:
        with self._transactions.quiet_write() as db:
            return outbox_rows.settle(db, delivery, channel)

    def gathered(self, channel: str, most: int) -> list[Told]:
        with self._transactions.read() as db:
            return outbox_rows.gathered(db, channel, most)

    def digest(self, message: Message, channel: str, parts: Sequence[str]) -> bool:
        with self._transactions.quiet_write() as db:
            return outbox_rows.digest(db, message, channel, parts)

    def deliveries(self, most: int, message_ids: Sequence[str] | None = None) -> list[Told]:
        with self._transactions.read() as db:
            return outbox_rows.newest_deliveries(db, most, message_ids)

    def channel_states(self) -> list[ChannelState]:
        with self._transactions.read() as db:
            return outbox_rows.channel_states(db)

    def set_channel(self, channel: ChannelState) -> None:
        with self._transactions.write() as (db, _):
            outbox_rows.set_channel(db, channel)

    def forget_messages(self, before_us: int) -> int:
        with self._transactions.write() as (db, _):
            return outbox_rows.forget_messages(db, before_us)
