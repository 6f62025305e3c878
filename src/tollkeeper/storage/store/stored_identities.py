"""The Store port's part about single sign-on, on SQLAlchemy."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Select, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tollkeeper.domain.oidc import Identity
from tollkeeper.storage.store.identity_schema import identities, spent_states
from tollkeeper.storage.store.transactions import Transactions
from tollkeeper.storage.store.users import require_user

_IDENTITIES: Final = select(
    identities.c.issuer,
    identities.c.subject,
    identities.c.user_id,
    identities.c.provider,
    identities.c.created_at_us,
    identities.c.used_at_us,
)
_OLDEST_FIRST: Final = (
    identities.c.user_id,
    identities.c.created_at_us,
    identities.c.issuer,
    identities.c.subject,
)


class StoredIdentities:
    """Implements ``domain.oidc.Identities``."""

    _transactions: Transactions

    def identity(self, issuer: str, subject: str) -> Identity | None:
        with self._transactions.read() as db:
            found = _listed(db, _of(_IDENTITIES, issuer, subject))
            return found[0] if found else None

    def identities(self) -> list[Identity]:
        with self._transactions.read() as db:
            return _listed(db, _IDENTITIES.order_by(*_OLDEST_FIRST))

    def identities_of(self, user_id: str) -> list[Identity]:
        wanted = _IDENTITIES.where(identities.c.user_id == user_id)
        with self._transactions.read() as db:
            return _listed(db, wanted.order_by(*_OLDEST_FIRST))

    def add_identity(self, identity: Identity) -> None:
        with self._transactions.write() as (db, _):
            require_user(db, identity.user_id)
            if _listed(db, _of(_IDENTITIES, identity.issuer, identity.subject)):
                raise ValueError("this identity is somebody's already")
            db.execute(insert(identities).values(**identity._asdict()))

    def remove_identities_of(self, user_id: str) -> int:
        with self._transactions.write() as (db, _):
            require_user(db, user_id)
            gone = db.execute(delete(identities).where(identities.c.user_id == user_id))
            return gone.rowcount

    def use_identity(self, issuer: str, subject: str, now_us: int) -> None:
        with self._transactions.write() as (db, _):
            used = db.execute(
                update(identities)
                .where(identities.c.issuer == issuer, identities.c.subject == subject)
                .values(used_at_us=now_us)
            )
            if not used.rowcount:
                raise LookupError("there is no such identity")

    def spend_state(self, state_hash: bytes, now_us: int, expires_at_us: int) -> bool:
        with self._transactions.quiet_write() as db:
            db.execute(delete(spent_states).where(spent_states.c.expires_at_us <= now_us))
            added = postgresql if db.dialect.name == "postgresql" else sqlite
            spent = db.execute(
                added.insert(spent_states)
                .values(state_hash=state_hash, expires_at_us=expires_at_us)
                .on_conflict_do_nothing()
                .returning(spent_states.c.state_hash)
            )
            return spent.first() is not None


def _of(wanted: Select[Any], issuer: str, subject: str) -> Select[Any]:
    return wanted.where(identities.c.issuer == issuer, identities.c.subject == subject)


def _listed(db: Connection, wanted: Select[Any]) -> list[Identity]:
    return [Identity(*row) for row in db.execute(wanted)]
