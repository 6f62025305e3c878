"""The Store port's part about SCIM, on SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from tollkeeper.domain.scim import KeptToken, ScimGroup, ScimToken, ScimUser
from tollkeeper.storage.store.schema import scim_groups, scim_tokens, scim_users
from tollkeeper.storage.store.teams import require_team
from tollkeeper.storage.store.transactions import Transactions
from tollkeeper.storage.store.users import require_user


class StoredScim:
    """Implements ``domain.scim.ScimBook``."""

    _transactions: Transactions

    def add_scim_token(self, token: ScimToken, secret_hash: bytes) -> None:
        with self._transactions.write() as (db, _):
            db.execute(insert(scim_tokens).values(**token._asdict(), secret_hash=secret_hash))

    def scim_tokens(self) -> list[ScimToken]:
        newest = _tokens().order_by(
            scim_tokens.c.created_at_us.desc(), scim_tokens.c.token_id.desc()
        )
        with self._transactions.read() as db:
            return [_kept(row).token for row in db.execute(newest)]

    def scim_token(self, token_id: str) -> KeptToken | None:
        with self._transactions.read() as db:
            return _token(db, token_id)

    def revoke_scim_token(self, token_id: str, now_us: int) -> None:
        with self._transactions.write() as (db, _):
            if _token(db, token_id) is None:
                raise LookupError(f"no SCIM token with id {token_id!r}")
            db.execute(
                update(scim_tokens)
                .where(scim_tokens.c.token_id == token_id, scim_tokens.c.revoked_at_us.is_(None))
                .values(revoked_at_us=now_us)
            )

    def scim_users(self) -> list[ScimUser]:
        with self._transactions.read() as db:
            return _listed(db, _users().order_by(scim_users.c.user_id))

    def scim_user(self, user_id: str) -> ScimUser | None:
        with self._transactions.read() as db:
            return _first(db, _users().where(scim_users.c.user_id == user_id))

    def scim_user_named(self, user_name: str) -> ScimUser | None:
        with self._transactions.read() as db:
            return _first(db, _named(user_name))

    def scim_users_with_external_id(self, external_id: str) -> list[ScimUser]:
        wanted = _users().where(scim_users.c.external_id == external_id)
        with self._transactions.read() as db:
            return _listed(db, wanted.order_by(scim_users.c.user_id))

    def set_scim_user(self, user: ScimUser) -> None:
        with self._transactions.write() as (db, _):
            require_user(db, user.user_id)
            holder = _first(db, _named(user.user_name)) if user.user_name else None
            if holder is not None and holder.user_id != user.user_id:
                raise ValueError("this user name is somebody else's")
            db.execute(delete(scim_users).where(scim_users.c.user_id == user.user_id))
            db.execute(
                insert(scim_users).values(
                    user_id=user.user_id,
                    user_name=user.user_name or None,
                    user_name_folded=user.user_name.casefold() or None,
                    external_id=user.external_id or None,
                    removed_at_us=user.removed_at_us,
                )
            )

    def scim_groups(self) -> list[ScimGroup]:
        with self._transactions.read() as db:
            rows = db.execute(_groups().order_by(scim_groups.c.team_id))
            return [ScimGroup(*row) for row in rows]

    def scim_group(self, team_id: str) -> ScimGroup | None:
        with self._transactions.read() as db:
            row = db.execute(_groups().where(scim_groups.c.team_id == team_id)).first()
            return None if row is None else ScimGroup(*row)

    def set_scim_group(self, group: ScimGroup) -> None:
        with self._transactions.write() as (db, _):
            require_team(db, group.team_id)
            db.execute(delete(scim_groups).where(scim_groups.c.team_id == group.team_id))
            db.execute(
                insert(scim_groups).values(
                    team_id=group.team_id,
                    external_id=group.external_id or None,
                    removed_at_us=group.removed_at_us,
                )
            )


def _tokens() -> Select[*tuple[Any, ...]]:
    return select(
        scim_tokens.c.secret_hash,
        scim_tokens.c.token_id,
        scim_tokens.c.name,
        scim_tokens.c.created_at_us,
        scim_tokens.c.created_by,
        scim_tokens.c.revoked_at_us,
    )


def _token(db: Connection, token_id: str) -> KeptToken | None:
    row = db.execute(_tokens().where(scim_tokens.c.token_id == token_id)).first()
    return None if row is None else _kept(row)


def _kept(row: Sequence[Any]) -> KeptToken:
    secret_hash, *rest = row
    return KeptToken(ScimToken(*rest), bytes(secret_hash))


def _users() -> Select[*tuple[Any, ...]]:
    return select(
        scim_users.c.user_id,
        func.coalesce(scim_users.c.user_name, ""),
        func.coalesce(scim_users.c.external_id, ""),
        scim_users.c.removed_at_us,
    )


def _named(user_name: str) -> Select[*tuple[Any, ...]]:
    return _users().where(scim_users.c.user_name_folded == user_name.casefold())


def _listed(db: Connection, wanted: Select[*tuple[Any, ...]]) -> list[ScimUser]:
    return [ScimUser(*row) for row in db.execute(wanted)]


def _first(db: Connection, wanted: Select[*tuple[Any, ...]]) -> ScimUser | None:
    row = db.execute(wanted).first()
    return None if row is None else ScimUser(*row)


def _groups() -> Select[*tuple[Any, ...]]:
    return select(
        scim_groups.c.team_id,
        func.coalesce(scim_groups.c.external_id, ""),
        scim_groups.c.removed_at_us,
    )
