"""The store's organisation and teams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from tollkeeper.ports import Team
from tollkeeper.storage.store.schema import orgs, team_parents, teams

_ORG = 1
_PARENTS = teams.alias("parents")


def org_name(db: Connection) -> str:
    """Give the organisation's name. Raises LookupError before there is one."""
    name = db.scalar(select(orgs.c.name))
    if name is None:
        raise LookupError("the store has no organisation yet")
    return str(name)


def set_org_name(db: Connection, name: str) -> None:
    """Name the organisation; the first time creates it."""
    if not db.execute(update(orgs).values(name=name)).rowcount:
        db.execute(insert(orgs).values(org_number=_ORG, name=name))


def add_team(db: Connection, mint_id: Callable[[], str], name: str, now_us: int) -> Team:
    """Add a team."""
    _require_free(db, name, None)
    team = Team(mint_id(), name, True, now_us)
    db.execute(
        insert(teams).values(
            team_id=team.team_id,
            name=name,
            name_folded=name.casefold(),
            active=True,
            created_at_us=now_us,
        )
    )
    return team


def all_teams(db: Connection) -> list[Team]:
    """List the teams by name."""
    return [_team(row) for row in db.execute(_select().order_by(teams.c.name_folded))]


def team_named(db: Connection, name: str) -> Team | None:
    """Find a team by its name, whatever the case."""
    row = db.execute(_select().where(teams.c.name_folded == name.casefold())).first()
    return None if row is None else _team(row)


def set_team_active(db: Connection, team_id: str, active: bool) -> None:
    """Switch a team on or off."""
    require_team(db, team_id)
    db.execute(update(teams).where(teams.c.team_id == team_id).values(active=active))


def rename_team(db: Connection, team_id: str, name: str) -> None:
    """Give a team another name."""
    require_team(db, team_id)
    _require_free(db, name, team_id)
    changed = {"name": name, "name_folded": name.casefold()}
    db.execute(update(teams).where(teams.c.team_id == team_id).values(changed))


def set_team_parent(db: Connection, team_id: str, parent_id: str | None) -> None:
    """Make a team part of another one, or of none."""
    require_team(db, team_id)
    db.execute(delete(team_parents).where(team_parents.c.team_id == team_id))
    if parent_id is not None:
        require_team(db, parent_id)
        db.execute(insert(team_parents).values(team_id=team_id, parent_id=parent_id))


def require_team(db: Connection, team_id: str) -> None:
    """Raise LookupError unless there is such a team."""
    if db.execute(select(teams.c.team_id).where(teams.c.team_id == team_id)).first() is None:
        raise LookupError(f"no team with id {team_id!r}")


def _require_free(db: Connection, name: str, except_team_id: str | None) -> None:
    holder = db.scalar(select(teams.c.team_id).where(teams.c.name_folded == name.casefold()))
    if holder is not None and holder != except_team_id:
        raise ValueError(f"there is a team named {name!r} already")


def _select() -> Select[*tuple[Any, ...]]:
    return select(
        teams.c.team_id,
        teams.c.name,
        teams.c.active,
        teams.c.created_at_us,
        func.coalesce(_PARENTS.c.name, ""),
    ).select_from(
        teams.outerjoin(team_parents, team_parents.c.team_id == teams.c.team_id).outerjoin(
            _PARENTS, _PARENTS.c.team_id == team_parents.c.parent_id
        )
    )


def _team(row: Sequence[Any]) -> Team:
    team_id, name, active, created_at_us, parent = row
    return Team(team_id, name, active, created_at_us, parent)
