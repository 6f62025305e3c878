"""The store's memberships: who was in which team when. What is over is never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from tollkeeper.domain.people import Membership, NewUser
from tollkeeper.storage.store.people_schema import memberships
from tollkeeper.storage.store.schema import teams, users


def note(db: Connection, user_id: str, at_us: int) -> None:
    """Begin a new stretch if a person's state is another than that of the stretch now open.

    It begins at ``at_us``, or where the last one ended if the clock has gone back since.
    """
    now = _state(db, user_id)
    last = db.execute(
        select(memberships.c.from_us, memberships.c.until_us, *_PLACE)
        .where(memberships.c.user_id == user_id)
        .order_by(memberships.c.from_us.desc())
        .limit(1)
    ).first()
    if last is not None:
        from_us, until_us, *place = last
        if (tuple(place) if until_us is None else None) == now:
            return
        at_us = max(at_us, from_us if until_us is None else until_us)
        if until_us is None:
            _end(db, user_id, from_us, at_us)
    if now is not None:
        team_id, team = now
        db.execute(
            insert(memberships).values(user_id=user_id, from_us=at_us, team_id=team_id, team=team)
        )


def note_new(db: Connection, ids: Sequence[str], new: Sequence[NewUser], at_us: int) -> None:
    """Begin the first stretch of people who were just added."""
    names = {row.team_id: row.name for row in db.execute(select(teams.c.team_id, teams.c.name))}
    rows = [
        {
            "user_id": user_id,
            "from_us": at_us,
            "team_id": each.team_id,
            "team": names[each.team_id] if each.team_id else "",
        }
        for user_id, each in zip(ids, new, strict=True)
    ]
    if rows:
        db.execute(insert(memberships), rows)


def note_team(db: Connection, team_id: str, at_us: int) -> None:
    """Begin new stretches for all who are in a team, whose name has changed."""
    members = select(memberships.c.user_id).where(
        memberships.c.team_id == team_id, memberships.c.until_us.is_(None)
    )
    for user_id in list(db.scalars(members)):
        note(db, user_id, at_us)


def all_memberships(db: Connection) -> list[Membership]:
    """List every stretch of everybody, each person's oldest first."""
    rows = db.execute(
        select(
            memberships.c.user_id,
            memberships.c.team,
            memberships.c.from_us,
            memberships.c.until_us,
        ).order_by(memberships.c.user_id, memberships.c.from_us)
    )
    return [Membership(*row) for row in rows]


_PLACE = (memberships.c.team_id, memberships.c.team)


def _state(db: Connection, user_id: str) -> tuple[str | None, str] | None:
    """Give a person's team, its id and its name; None while they are switched off."""
    row: Sequence[Any] = db.execute(
        select(users.c.active, users.c.team_id, func.coalesce(teams.c.name, ""))
        .select_from(users.outerjoin(teams, teams.c.team_id == users.c.team_id))
        .where(users.c.user_id == user_id)
    ).one()
    active, team_id, team = row
    return (team_id, team) if active else None


def _end(db: Connection, user_id: str, from_us: int, at_us: int) -> None:
    one = and_(memberships.c.user_id == user_id, memberships.c.from_us == from_us)
    if at_us == from_us:  # it never was
        db.execute(delete(memberships).where(one))
    else:
        db.execute(update(memberships).where(one).values(until_us=at_us))
