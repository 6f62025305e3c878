"""The store's audit log: added to, asked, walked along.

Every write raises the store's revision first (``transactions``), so that writers wait for each
other: between the look at the head and the insert nobody else adds an entry.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert, or_, select, update

from tollkeeper.domain.audit import (
    NO_HEAD,
    Action,
    AuditEntry,
    AuditQuestion,
    Head,
    Record,
    sealed,
)
from tollkeeper.storage.store.audit_schema import audit_head, audit_log

_COLUMNS: Final = tuple(audit_log.c[name] for name in AuditEntry._fields)
_PREV_HASH: Final = AuditEntry._fields.index("prev_hash")
_ROW: Final = 1
_SUBJECT: Final = "."


def add(db: Connection, record: Record, at_us: int) -> AuditEntry:
    """Add an entry at the end of the chain, within an open write."""
    before = head(db)
    entry = sealed(record, at_us, before)
    db.execute(insert(audit_log).values(**entry._asdict()))
    values = {"seq": entry.seq, "hash": entry.hash}
    if before == NO_HEAD:
        db.execute(insert(audit_head).values(row_number=_ROW, **values))
    else:
        db.execute(update(audit_head).values(**values))
    return entry


def head(db: Connection) -> Head:
    """Give the head that was noted with the last entry."""
    row = db.execute(select(audit_head.c.seq, audit_head.c.hash)).first()
    return NO_HEAD if row is None else Head(row[0], bytes(row[1]))


def newest(db: Connection, question: AuditQuestion) -> list[AuditEntry]:
    """List the entries that a question is about, the newest first."""
    log = audit_log.c
    wanted = select(*_COLUMNS)
    if question.actor:
        wanted = wanted.where(
            or_(
                log.actor_name == question.actor,
                log.actor_id == question.actor,
                log.actor_kind == question.actor,
            )
        )
    if question.action:
        wanted = wanted.where(log.action.in_(_actions(question.action)))
    if question.target_kind:
        wanted = wanted.where(log.target_kind == question.target_kind)
    if question.target:
        wanted = wanted.where(log.target_id == question.target)
    if question.since_us is not None:
        wanted = wanted.where(log.at_us >= question.since_us)
    if question.until_us is not None:
        wanted = wanted.where(log.at_us < question.until_us)
    if question.before_seq is not None:
        wanted = wanted.where(log.seq < question.before_seq)
    return _entries(db, wanted.order_by(log.seq.desc()).limit(question.most))


def after(db: Connection, seq: int, most: int) -> list[AuditEntry]:
    """List the entries after a place, in their order."""
    wanted = select(*_COLUMNS).where(audit_log.c.seq > seq).order_by(audit_log.c.seq)
    return _entries(db, wanted.limit(most))


def _actions(said: str) -> list[str]:
    """Give the words that a question means: itself, and those of which it is the subject."""
    return [said, *(str(each) for each in Action if each.startswith(said + _SUBJECT))]


def _entries(db: Connection, wanted: object) -> list[AuditEntry]:
    rows = db.execute(wanted)  # type: ignore[call-overload]
    return [
        AuditEntry(*row[:_PREV_HASH], *(bytes(each) for each in row[_PREV_HASH:])) for row in rows
    ]
