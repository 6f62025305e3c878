"""The outbox in the store: messages, their deliveries, and how channels have done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update

from tollkeeper.domain.deliveries import (
    CLAIM_US,
    ChannelState,
    Delivery,
    DeliveryState,
    Message,
    Severity,
    Told,
)
from tollkeeper.storage.store.alert_schema import (
    alert_channels,
    alert_deliveries,
    alert_messages,
)
from tollkeeper.storage.store.once import insert_once

_WAITING: Final = str(DeliveryState.WAITING)
_GATHERED: Final = str(DeliveryState.GATHERED)
_UNDERWAY: Final = (_WAITING, _GATHERED)
_JOINED: Final = alert_deliveries.c.message_id == alert_messages.c.message_id


def add_message(db: Connection, message: Message) -> bool:
    """Keep a message; False where its id is there already."""
    return insert_once(db, alert_messages, _written(message, addressed=False))


def untold(db: Connection, most: int) -> list[Message]:
    """List messages without deliveries, oldest first."""
    rows = db.execute(
        select(alert_messages)
        .where(alert_messages.c.addressed.is_(False))
        .order_by(alert_messages.c.created_at_us, alert_messages.c.message_id)
        .limit(most)
    )
    return [_message(row) for row in rows]


def address(db: Connection, message_id: str, deliveries: Sequence[Delivery]) -> bool:
    """Give a message its deliveries, once."""
    taken = db.execute(
        update(alert_messages)
        .where(alert_messages.c.message_id == message_id, alert_messages.c.addressed.is_(False))
        .values(addressed=True)
    )
    if not taken.rowcount:
        return False
    if deliveries:
        rows = [{**each._asdict(), "state": str(each.state)} for each in deliveries]
        db.execute(insert(alert_deliveries), rows)
    return True


def is_due(db: Connection, now_us: int) -> bool:
    """Tell whether any delivery is due."""
    found = select(alert_deliveries.c.message_id).where(_due(now_us)).limit(1)
    return db.execute(found).first() is not None


def claim(db: Connection, now_us: int, most: int) -> list[Told]:
    """Take deliveries that are due. What another process takes at the same moment is left out."""
    rows = db.execute(
        select(alert_deliveries, alert_messages)
        .join(alert_messages, _JOINED)
        .where(_due(now_us))
        .order_by(alert_deliveries.c.next_at_us)
        .limit(most)
    ).all()
    claimed = []
    for told in map(_told, rows):
        known = told.delivery
        taken = known._replace(
            attempts=known.attempts + 1, next_at_us=now_us + CLAIM_US, changed_at_us=now_us
        )
        if _move(db, known, taken):
            claimed.append(told._replace(delivery=taken))
    return claimed


def settle(db: Connection, delivery: Delivery, channel: ChannelState) -> bool:
    """Keep what became of a try, unless somebody else has tried it since."""
    kept = db.execute(
        update(alert_deliveries)
        .where(
            *_names(delivery),
            alert_deliveries.c.state == _WAITING,
            alert_deliveries.c.attempts == delivery.attempts,
        )
        .values(**{**delivery._asdict(), "state": str(delivery.state)})
    )
    if kept.rowcount:
        set_channel(db, channel)
    return kept.rowcount > 0


def gathered(db: Connection, channel: str, most: int) -> list[Told]:
    """List what waits for a channel's digest, oldest first."""
    rows = db.execute(
        select(alert_deliveries, alert_messages)
        .join(alert_messages, _JOINED)
        .where(alert_deliveries.c.channel == channel, alert_deliveries.c.state == _GATHERED)
        .order_by(alert_messages.c.created_at_us, alert_messages.c.message_id)
        .limit(most)
    )
    return [_told(row) for row in rows]


def digest(db: Connection, message: Message, channel: str, parts: Sequence[str]) -> bool:
    """Put a digest in place of the messages that it sums up."""
    if not insert_once(db, alert_messages, _written(message, addressed=True)):
        return False
    moment_us = message.created_at_us
    whole = Delivery(message.message_id, channel, DeliveryState.WAITING, 0, moment_us, moment_us)
    db.execute(insert(alert_deliveries).values(**{**whole._asdict(), "state": _WAITING}))
    db.execute(
        update(alert_deliveries)
        .where(
            alert_deliveries.c.channel == channel,
            alert_deliveries.c.state == _GATHERED,
            alert_deliveries.c.message_id.in_(list(parts)),
        )
        .values(state=str(DeliveryState.DIGESTED), changed_at_us=moment_us)
    )
    return True


def newest_deliveries(db: Connection, most: int, message_ids: Sequence[str] | None) -> list[Told]:
    """List deliveries, those that changed last first."""
    wanted = select(alert_deliveries, alert_messages).join(alert_messages, _JOINED)
    if message_ids is not None:
        wanted = wanted.where(alert_deliveries.c.message_id.in_(list(message_ids)))
    order = (
        alert_deliveries.c.changed_at_us.desc(),
        alert_deliveries.c.message_id.desc(),
        alert_deliveries.c.channel,
    )
    return [_told(row) for row in db.execute(wanted.order_by(*order).limit(most))]


def channel_states(db: Connection) -> list[ChannelState]:
    """List what is known of channels, by name."""
    rows = db.execute(select(alert_channels).order_by(alert_channels.c.channel))
    return [ChannelState(**row) for row in rows.mappings()]


def set_channel(db: Connection, channel: ChannelState) -> None:
    """Keep what is known of a channel."""
    values = channel._asdict()
    if not insert_once(db, alert_channels, values):
        db.execute(
            update(alert_channels)
            .where(alert_channels.c.channel == channel.channel)
            .values(**values)
        )


def forget_messages(db: Connection, before_us: int) -> int:
    """Delete messages made before a time of which nothing is on its way."""
    underway = select(alert_deliveries.c.message_id).where(alert_deliveries.c.state.in_(_UNDERWAY))
    old = select(alert_messages.c.message_id).where(
        alert_messages.c.created_at_us < before_us,
        alert_messages.c.addressed.is_(True),
        alert_messages.c.message_id.not_in(underway),
    )
    ids = list(db.scalars(old.limit(1_000)))
    db.execute(delete(alert_deliveries).where(alert_deliveries.c.message_id.in_(ids)))
    db.execute(delete(alert_messages).where(alert_messages.c.message_id.in_(ids)))
    return len(ids)


def _due(now_us: int) -> ColumnElement[bool]:
    return and_(alert_deliveries.c.state == _WAITING, alert_deliveries.c.next_at_us <= now_us)


def _move(db: Connection, known: Delivery, taken: Delivery) -> bool:
    moved = db.execute(
        update(alert_deliveries)
        .where(
            *_names(known),
            alert_deliveries.c.state == str(known.state),
            alert_deliveries.c.attempts == known.attempts,
        )
        .values(
            attempts=taken.attempts,
            next_at_us=taken.next_at_us,
            changed_at_us=taken.changed_at_us,
        )
    )
    return moved.rowcount > 0


def _names(delivery: Delivery) -> tuple[Any, ...]:
    return (
        alert_deliveries.c.message_id == delivery.message_id,
        alert_deliveries.c.channel == delivery.channel,
    )


def _written(message: Message, *, addressed: bool) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "event": message.event,
        "created_at_us": message.created_at_us,
        "title": message.title,
        "body": message.text,
        "severity": str(message.severity),
        "data": json.dumps(dict(message.data), ensure_ascii=False),
        "path": message.path,
        "alert_id": message.alert_id,
        "addressed": addressed,
    }


def _message(row: Row[Any]) -> Message:
    found = row._mapping
    return Message(
        message_id=found[alert_messages.c.message_id],
        event=found[alert_messages.c.event],
        created_at_us=found[alert_messages.c.created_at_us],
        title=found[alert_messages.c.title],
        text=found[alert_messages.c.body],
        severity=Severity(found[alert_messages.c.severity]),
        data=json.loads(found[alert_messages.c.data]),
        path=found[alert_messages.c.path],
        alert_id=found[alert_messages.c.alert_id],
    )


def _told(row: Row[Any]) -> Told:
    found = row._mapping
    values = {name: found[alert_deliveries.c[name]] for name in Delivery._fields}
    delivery = Delivery(**{**values, "state": DeliveryState(values["state"])})
    return Told(delivery, _message(row))
