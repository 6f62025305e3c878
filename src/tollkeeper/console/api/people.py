"""``GET /api/v1/teams`` and ``GET /api/v1/users``: who belongs where."""

from __future__ import annotations

from typing import Any

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import PAGING, check_names, list_page, viewer_of
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Viewer
from tollkeeper.ports import Store, Team, User


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
