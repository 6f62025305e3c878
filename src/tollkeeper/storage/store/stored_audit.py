"""The Store port's part about the audit log, and what makes every other part leave entries.

Each method that changes something says so in the log, in the transaction of its change: a
change whose entry cannot be written is undone, and there is no entry without its change. So
no service, page or command has to think of the log, and none can leave it out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from inspect import Signature, signature
from typing import Any, TypeVar

from tollkeeper import acting, clock
from tollkeeper.domain.audit import (
    Actor,
    ActorKind,
    AuditEntry,
    AuditQuestion,
    Head,
    Record,
)
from tollkeeper.ports import User
from tollkeeper.storage.store import audit_rows
from tollkeeper.storage.store.audit_lines import Line, Told
from tollkeeper.storage.store.audit_words import LINES
from tollkeeper.storage.store.transactions import Transactions

_UNKNOWN = frozenset({ActorKind.ANYBODY, ActorKind.SYSTEM})


class StoredAudit:
    """Implements ``domain.audit.AuditLog``. Who acts is whoever ``acting`` names."""

    _transactions: Transactions
    user: Callable[[str], User | None]
    together: Callable[[], AbstractContextManager[None]]

    def add_audit(self, record: Record) -> AuditEntry:
        with self._transactions.write() as (db, _):
            return audit_rows.add(db, record, clock.now_us())

    def audit(self, question: AuditQuestion) -> list[AuditEntry]:
        with self._transactions.read() as db:
            return audit_rows.newest(db, question)

    def audit_after(self, seq: int, most: int) -> list[AuditEntry]:
        with self._transactions.read() as db:
            return audit_rows.after(db, seq, most)

    def audit_head(self) -> Head:
        with self._transactions.read() as db:
            return audit_rows.head(db)

    def _tell(self, told: Told) -> None:
        actor = acting.actor()
        if told.by_user_id and actor.kind in _UNKNOWN:
            user = self.user(told.by_user_id)
            name = "" if user is None else user.email
            actor = Actor(ActorKind.PERSON, name, told.by_user_id, actor.address)
        self.add_audit(Record(actor, told.action, told.target, told.detail))


AnyStore = TypeVar("AnyStore", bound=StoredAudit)


def audited(store: type[AnyStore]) -> type[AnyStore]:
    """Let every method of a store that stands in ``audit_words.LINES`` leave its entries."""
    for name, line in LINES.items():
        change = getattr(store, name, None)
        if change is not None:
            setattr(store, name, _told(change, signature(change), line))
    return store


def _told(change: Callable[..., Any], form: Signature, line: Line) -> Callable[..., Any]:
    """Give a method that tells what it changed, or changes nothing."""

    @wraps(change)
    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = form.bind(self, *args, **kwargs)
        bound.apply_defaults()
        with self.together():
            before = line.before(self, bound.arguments)
            result = change(self, *args, **kwargs)
            for each in line.after(bound.arguments, before, result):
                self._tell(each)
            return result

    return told
