"""The Store port's part about invitations, on SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, func, insert, select, update

from tollkeeper.domain.access import Role
from tollkeeper.domain.invitations import Invitation
from tollkeeper.storage.store.schema import invitations, teams
from tollkeeper.storage.store.teams import require_team
from tollkeeper.storage.store.transactions import Transactions

_IS_OPEN = and_(invitations.c.accepted_at_us.is_(None), invitations.c.revoked_at_us.is_(None))


class StoredInvitations:
    """Implements ``domain.invitations.Invitations``."""

    _transactions: Transactions

    def add_invitation(
        self, invitation: Invitation, team_id: str | None, token_hash: bytes
    ) -> None:
        values = invitation._asdict() | {"role": invitation.role.value, "token_hash": token_hash}
        del values["team"]
        with self._transactions.write() as (db, _):
            if team_id is not None:
                require_team(db, team_id)
            db.execute(insert(invitations).values(**values, team_id=team_id))

    def invitations(self) -> list[Invitation]:
        newest = _select().order_by(
            invitations.c.created_at_us.desc(), invitations.c.invitation_id.desc()
        )
        with self._transactions.read() as db:
            return [_invitation(row) for row in db.execute(newest)]

    def invitation_with(self, token_hash: bytes) -> Invitation | None:
        with self._transactions.read() as db:
            return _with(db, token_hash)

    def renew_invitation(self, invitation_id: str, token_hash: bytes, expires_at_us: int) -> None:
        with self._transactions.write() as (db, _):
            _require(db, invitation_id)
            db.execute(
                update(invitations)
                .where(invitations.c.invitation_id == invitation_id, _IS_OPEN)
                .values(token_hash=token_hash, expires_at_us=expires_at_us)
            )

    def revoke_invitation(self, invitation_id: str, now_us: int) -> None:
        with self._transactions.write() as (db, _):
            _require(db, invitation_id)
            db.execute(
                update(invitations)
                .where(invitations.c.invitation_id == invitation_id, _IS_OPEN)
                .values(revoked_at_us=now_us)
            )

    def accept_invitation(self, token_hash: bytes, now_us: int) -> Invitation | None:
        with self._transactions.write() as (db, _):
            spent = db.execute(
                update(invitations)
                .where(
                    invitations.c.token_hash == token_hash,
                    _IS_OPEN,
                    invitations.c.expires_at_us > now_us,
                )
                .values(accepted_at_us=now_us)
            )
            return _with(db, token_hash) if spent.rowcount == 1 else None


def _with(db: Connection, token_hash: bytes) -> Invitation | None:
    row = db.execute(_select().where(invitations.c.token_hash == token_hash)).first()
    return None if row is None else _invitation(row)


def _require(db: Connection, invitation_id: str) -> None:
    found = select(invitations.c.invitation_id).where(invitations.c.invitation_id == invitation_id)
    if db.execute(found).first() is None:
        raise LookupError(f"no invitation with id {invitation_id!r}")


def _select() -> Select[*tuple[Any, ...]]:
    return select(
        invitations.c.invitation_id,
        invitations.c.email,
        invitations.c.role,
        func.coalesce(teams.c.name, ""),
        invitations.c.invited_by,
        invitations.c.invited_by_id,
        invitations.c.created_at_us,
        invitations.c.expires_at_us,
        invitations.c.accepted_at_us,
        invitations.c.revoked_at_us,
    ).select_from(invitations.outerjoin(teams, teams.c.team_id == invitations.c.team_id))


def _invitation(row: Sequence[Any]) -> Invitation:
    invitation_id, email, role, *rest = row
    return Invitation(invitation_id, email, Role(role), *rest)
