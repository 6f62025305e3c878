"""``/team/new`` and ``/team/info``: teams of ours."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, viewer_of
from tollkeeper.console.litellm.bounds import BoundBook, keep_bounds, read_bounds
from tollkeeper.console.litellm.fields import Fields, require_no_models
from tollkeeper.console.litellm.keys import key_document
from tollkeeper.console.litellm.owners import (
    add_user,
    find_user,
    shown_email,
    team_owner,
    team_with_id,
)
from tollkeeper.console.litellm.spending import spent_usd, with_spend
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest, Conflict
from tollkeeper.ports import Team, User
from tollkeeper.services import people
from tollkeeper.telemetry import logger

_ROLES: Final = {"admin": Role.LEAD, "user": Role.MEMBER}


def new(console: Console, access: Access, question: Question) -> Answer:
    """Make a team, with its members, its budget and its rate limit."""
    check_names(question.query, ())
    fields, now_us, by = Fields(question.body), console.now_us(), viewer_of(access).name
    team_id = fields.text("team_id") or str(uuid.uuid4())
    alias = fields.text("team_alias")
    bounds, members = read_bounds(fields), _members(fields)
    require_no_models(fields, "team")
    fields.note("metadata", "teams carry none; give it to the keys")
    fields.done()
    with console.store.together():
        team = people.add_team(console.store, alias or team_id, now_us, team_id)
        for user_id, email, role in members:
            _join(console, team, user_id, email, role, now_us)
        keep_bounds(console, bounds, team_owner(team), by, now_us)
    logger.info("team made by a call of LiteLLM's", extra={"team": team.team_id, "by": by})
    said = {"budget_duration": bounds.duration} if bounds.duration else {}
    document = team_document(console, team, BoundBook(console, now_us))
    return Document({**document, "spend": 0.0, **said, "tollkeeper_notes": fields.notes})


def info(console: Console, access: Access, question: Question) -> Answer:
    """Say who is in a team, what it may spend and has spent, and list its keys."""
    check_names(question.query, ("team_id",))
    team_id = question.query.get("team_id", "")
    if not team_id:
        raise BadRequest("say which team: /team/info?team_id=…", code="bad_field")
    team = team_with_id(console.store, team_id)
    book = BoundBook(console, console.now_us())
    document = team_with_spend(console, team, book)
    ids = {team.name: team.team_id}
    keys = [
        key_document(record, ids, book)
        for record in list(console.store.keys())
        if record.key.team == team.name and record.revoked_at_us is None
    ]
    return Document(
        {
            "team_id": team.team_id,
            "team_info": document,
            "keys": with_spend(console, keys, "team", team.name),
            "team_memberships": [],
        }
    )


def team_document(console: Console, team: Team, book: BoundBook) -> dict[str, Any]:
    """Give a team in LiteLLM's words."""
    members = [user for user in console.store.users() if user.team == team.name]
    return {
        "team_id": team.team_id,
        "team_alias": team.name,
        "members_with_roles": [_member(user) for user in members],
        "models": [],
        "metadata": {},
        "blocked": not team.active,
        "created_at": second_text(team.created_at_us),
        **book.of(team_owner(team)),
    }


def team_with_spend(console: Console, team: Team, book: BoundBook) -> dict[str, Any]:
    """Give a team as above, with what it has spent where no budget counts that."""
    document = team_document(console, team, book)
    if document["spend"] is None:
        document["spend"] = spent_usd(console, "team", team.name, team.created_at_us)
    return document


def _member(user: User) -> Mapping[str, Any]:
    role = "user" if user.role is Role.MEMBER else "admin"
    return {"user_id": user.user_id, "user_email": shown_email(user), "role": role}


def _members(fields: Fields) -> Sequence[tuple[str, str, Role]]:
    found = []
    for each in fields.objects("members_with_roles"):
        inner = Fields(each)
        user_id, email = inner.text("user_id"), inner.text("user_email")
        role = _ROLES.get(inner.text("role") or "user")
        if role is None:
            raise BadRequest("members_with_roles: a role is admin or user", code="bad_role")
        inner.done()
        found.append((user_id, email, role))
    found += [(user_id, "", Role.MEMBER) for user_id in fields.texts("members")]
    found += [(user_id, "", Role.LEAD) for user_id in fields.texts("admins")]
    return found


def _join(console: Console, team: Team, user_id: str, email: str, role: Role, now_us: int) -> None:
    """Put somebody into a new team; who is in another one stays there. Raises Conflict."""
    store = console.store
    user = find_user(store, user_id or email)
    if user is None:
        add_user(store, user_id, now_us, email=email, role=role, team=team)
        return
    if user.team:
        raise Conflict(
            f"{user.user_id!r} is in a team already, and somebody belongs to one team here",
            code="one_team",
        )
    people.move_user(store, user.email, team.name, now_us)
    if role is Role.LEAD and user.role is Role.MEMBER:
        people.change_role(store, user.email, Role.LEAD, now_us)
