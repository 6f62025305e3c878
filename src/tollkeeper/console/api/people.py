"""``/api/v1/teams`` and ``/api/v1/users``: who belongs where; add and change them."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import (
    PAGING,
    check_names,
    issuer_of,
    list_page,
    read_body,
    viewer_of,
)
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.ports import Store, Team, User
from tollkeeper.services import passwords, people, people_changes
from tollkeeper.services.role_bounds import require_may_give


class NewTeamBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/teams``. ``parent`` names the team that it is part of.

    ``take_over`` gives it a name that another team had before, with the calls under that name.
    """

    name: str
    parent: str = ""
    take_over: bool = False


class TeamBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/teams/{team_id}``: what is to change.

    ``take_over`` gives it a name that another team had before, with the calls under that name.
    """

    name: str | None = None
    parent: str | None = None
    active: bool | None = None
    take_over: bool = False


class NewUserBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/users``."""

    email: str
    name: str = ""
    role: Role = Role.MEMBER
    team: str = ""


class UserBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/users/{user_id}``: what is to change."""

    name: str | None = None
    role: Role | None = None
    team: str | None = None
    active: bool | None = None


BODIES = (NewTeamBody, TeamBody, NewUserBody, UserBody)


def add_team(console: Console, access: Access, question: Question) -> Answer:
    """Add a team, as a part of another one where ``parent`` names it."""
    check_names(question.query, ())
    body = read_body(question.body, NewTeamBody)
    added = people.add_team(
        *(console.store, body.name, console.now_us()),
        parent=body.parent,
        take_over=body.take_over,
    )
    return Document(_team(added), 201)


def change_team(console: Console, access: Access, question: Question) -> Answer:
    """Rename a team, make it part of another one, or switch it off or on."""
    check_names(question.query, ())
    body = read_body(question.body, TeamBody)
    changed = people_changes.change_team(
        *(console.store, question.path["team_id"], console.now_us()),
        **msgspec.structs.asdict(body),
    )
    return Document(_team(changed))


def add_user(console: Console, access: Access, question: Question) -> Answer:
    """Add a person."""
    check_names(question.query, ())
    body = read_body(question.body, NewUserBody)
    require_may_give(issuer_of(access), body.role)
    added = people.add_user(
        *(console.store, body.email, console.now_us()),
        name=body.name,
        role=body.role,
        team=body.team,
    )
    return Document(_user(added), 201)


def change_user(console: Console, access: Access, question: Question) -> Answer:
    """Rename a person, give a role, move them to a team, or switch them off or on.

    Who is switched off loses sessions and keys for good.
    """
    check_names(question.query, ())
    body = read_body(question.body, UserBody)
    if body.role is not None:
        require_may_give(issuer_of(access), body.role)
    changed = people_changes.change_user(
        *(console.store, question.path["user_id"], console.now_us()),
        **msgspec.structs.asdict(body),
    )
    return Document(_user(changed))


def end_password(console: Console, access: Access, question: Question) -> Answer:
    """End a person's password and all their sessions. They can set another one after a link."""
    check_names(question.query, ())
    user = people_changes.user_with_id(console.store, question.path["user_id"])
    passwords.end_of(console.store, user)
    return Document(_user(user))


def teams(console: Console, access: Access, question: Question) -> Answer:
    """List the teams that whoever asks may see, by name."""
    check_names(question.query, PAGING)
    viewer = viewer_of(access)
    rows = [
        _team(team) for team in console.store.teams() if _sees_team(console.store, viewer, team)
    ]
    page = list_page(rows, question.query)
    return Document({"teams": list(page.rows), "next_cursor": page.next_cursor})


def users(console: Console, access: Access, question: Question) -> Answer:
    """List the people whom whoever asks may see."""
    check_names(question.query, PAGING)
    viewer = viewer_of(access)
    rows = [_user(user) for user in console.store.users() if _sees_user(viewer, user)]
    page = list_page(rows, question.query)
    return Document({"users": list(page.rows), "next_cursor": page.next_cursor})


def _sees_team(store: Store, viewer: Viewer, team: Team) -> bool:
    """A team is seen by who sees its entries, and by its own members."""
    scope = viewer.scope
    if scope.teams is not None:
        return team.name in scope.teams
    if scope.user_id is None:
        return True
    own = store.user(scope.user_id)
    return own is not None and own.team == team.name


def _sees_user(viewer: Viewer, user: User) -> bool:
    scope = viewer.scope
    if user.user_id == viewer.user_id and viewer.user_id:
        return True
    if scope.user_id is not None:
        return user.user_id == scope.user_id
    return scope.teams is None or user.team in scope.teams


def _team(team: Team) -> dict[str, Any]:
    return {
        "id": team.team_id,
        "name": team.name,
        "parent": team.parent or None,
        "state": "active" if team.active else "off",
        "created_at": second_text(team.created_at_us),
    }


def _user(user: User) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "team": user.team or None,
        "state": "active" if user.active else "off",
        "created_at": second_text(user.created_at_us),
    }
