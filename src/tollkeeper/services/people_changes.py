"""Several changes of a team or a person at once, by id: all of them happen, or none."""

from __future__ import annotations

from tollkeeper.domain.access import Role, Scope
from tollkeeper.domain.errors import NotFound
from tollkeeper.ports import Store, Team, User
from tollkeeper.services import people


def change_team(
    store: Store,
    team_id: str,
    now_us: int,
    *,
    name: str | None = None,
    parent: str | None = None,
    active: bool | None = None,
    take_over: bool = False,
) -> Team:
    """Rename a team, make it part of another one ("" for none), switch it; None leaves as it is.

    ``take_over`` lets it have a name that another team had before, with what stands under it.
    Raises NotFound for no such team, and what ``people`` raises.
    """
    with store.together():
        team = team_with_id(store, team_id)
        if name is not None and name != team.name:
            team = people.rename_team(store, team.name, name, now_us, take_over=take_over)
        if parent is not None and parent != team.parent:
            team = people.nest_team(store, team.name, parent)
        if active is not None and active != team.active:
            team = people.set_team_active(store, team.name, active)
        return team


def change_user(
    store: Store,
    user_id: str,
    now_us: int,
    *,
    name: str | None = None,
    role: Role | None = None,
    team: str | None = None,
    active: bool | None = None,
) -> User:
    """Rename a person, give a role, move them ("" for no team), switch them; None leaves as it is.

    Raises NotFound for nobody of this id, and what ``people`` raises.
    """
    with store.together():
        user = user_with_id(store, user_id)
        if name is not None and name != user.name:
            user = people.rename_user(store, user.email, name)
        if team is not None and team != user.team:
            user = people.move_user(store, user.email, team, now_us)
        if active is True and not user.active:
            user = people.activate_user(store, user.email, now_us)
        if role is not None:
            user = people.change_role(store, user.email, role, now_us)
        if active is False and user.active:
            user, _ = people.deactivate_user(store, user.email, now_us)
        return user


def team_with_id(store: Store, team_id: str) -> Team:
    """Give a team by id. Raises NotFound."""
    found = next((team for team in store.teams() if team.team_id == team_id), None)
    if found is None:
        raise NotFound("there is no such team", code="team_not_found")
    return found


def user_with_id(store: Store, user_id: str) -> User:
    """Give a person by id. Raises NotFound."""
    user = store.user(user_id)
    if user is None:
        raise NotFound("there is no such user", code="user_not_found")
    return user


def led_teams(store: Store, user: User) -> frozenset[str]:
    """Name the team that a lead leads, and those that are part of it. None lead nothing."""
    if user.role is not Role.LEAD or not user.team:
        return frozenset()
    return frozenset(
        {user.team, *(team.name for team in store.teams() if team.parent == user.team)}
    )


def in_scope(scope: Scope, team: str) -> bool:
    """Tell whether a scope holds the people of a team. A single person's scope holds none."""
    return scope.user_id is None and (scope.teams is None or team in scope.teams)
