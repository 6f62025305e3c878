"""The store's people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from tollkeeper.domain.access import Role
from tollkeeper.domain.people import NewUser
from tollkeeper.ports import User
from tollkeeper.storage.store.schema import teams, users
from tollkeeper.storage.store.teams import require_team


def add_user(
    db: Connection,
    mint_id: Callable[[], str],
    email: str,
    name: str,
    role: Role,
    team_id: str | None,
    now_us: int,
) -> User:
    """Add a person. ``email`` must be free and ``team_id`` known."""
    email = email.lower()
    if user_with_email(db, email) is not None:
        raise ValueError(f"there is a user {email!r} already")
    if team_id is not None:
        require_team(db, team_id)
    user_id = mint_id()
    db.execute(
        insert(users).values(
            user_id=user_id,
            email=email,
            name=name,
            role=role.value,
            team_id=team_id,
            active=True,
            created_at_us=now_us,
        )
    )
    return require_user(db, user_id)


def add_users(
    db: Connection, mint_id: Callable[[], str], new: Sequence[NewUser], now_us: int
) -> list[str]:
    """Add many people; whoever is taken or of no team makes the database refuse all."""
    ids = [mint_id() for _ in new]
    rows = [
        {
            "user_id": user_id,
            **each._asdict(),
            "role": each.role.value,
            "active": True,
            "created_at_us": now_us,
        }
        for user_id, each in zip(ids, new, strict=True)
    ]
    if rows:
        db.execute(insert(users), rows)
    return ids


def all_users(db: Connection) -> list[User]:
    """List the people by e-mail."""
    return [_user(row) for row in db.execute(_select().order_by(users.c.email))]


def user(db: Connection, user_id: str) -> User | None:
    """Find a person by id."""
    row = db.execute(_select().where(users.c.user_id == user_id)).first()
    return None if row is None else _user(row)


def user_with_email(db: Connection, email: str) -> User | None:
    """Find a person by e-mail, whatever the case."""
    row = db.execute(_select().where(users.c.email == email.lower())).first()
    return None if row is None else _user(row)


def require_user(db: Connection, user_id: str) -> User:
    """Give a person. Raises LookupError unless there is one with this id."""
    found = user(db, user_id)
    if found is None:
        raise LookupError(f"no user with id {user_id!r}")
    return found


def change_user(db: Connection, user_id: str, **changed: Any) -> None:
    """Change columns of a person."""
    require_user(db, user_id)
    db.execute(update(users).where(users.c.user_id == user_id).values(changed))


def _select() -> Select[*tuple[Any, ...]]:
    return select(
        users.c.user_id,
        users.c.email,
        users.c.name,
        users.c.role,
        func.coalesce(teams.c.name, ""),
        users.c.active,
        users.c.created_at_us,
    ).select_from(users.outerjoin(teams, teams.c.team_id == users.c.team_id))


def _user(row: Sequence[Any]) -> User:
    user_id, email, name, role, team, active, created_at_us = row
    return User(user_id, email, name, Role(role), team, active, created_at_us)
