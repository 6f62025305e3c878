"""``/user/new`` and ``/user/info``: people of ours."""

from __future__ import annotations

import uuid
from typing import Any

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, issuer_of, viewer_of
from tollkeeper.console.litellm import keys
from tollkeeper.console.litellm.bounds import BoundBook, Bounds, keep_bounds, read_bounds
from tollkeeper.console.litellm.fields import Fields, one_of, require_no_models
from tollkeeper.console.litellm.owners import (
    add_user,
    role_of,
    shown_email,
    team_with_id,
    user_owner,
    user_with_id,
)
from tollkeeper.console.litellm.spending import spent_usd, with_spend
from tollkeeper.console.litellm.teams import team_with_spend
from tollkeeper.console.masking import require_names
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest
from tollkeeper.ports import User
from tollkeeper.services import people
from tollkeeper.services.role_bounds import require_may_give
from tollkeeper.telemetry import logger

_NO_BOUNDS = Bounds(None, "", None, None, None)
_ROLE_WORDS = {Role.ADMIN: "proxy_admin", Role.AUDITOR: "proxy_admin_viewer"}


def new(console: Console, access: Access, question: Question) -> Answer:
    """Make a person with budget and rate limit, and, unless told otherwise, a key of theirs."""
    check_names(question.query, ())
    fields, now_us, by = Fields(question.body), console.now_us(), viewer_of(access).name
    with_key = question.body.get("auto_create_key") is not False
    fields.flag("auto_create_key")
    user_id, email = fields.text("user_id"), fields.text("user_email")
    role, name = role_of(fields.text("user_role")), fields.text("user_alias")
    require_may_give(issuer_of(access), role)
    team_id = _team_id(fields)
    bounds = read_bounds(fields)
    require_no_models(fields, "user")
    if not with_key:
        fields.note("metadata", "people carry none; give it to a key")
    wanted = keys.read_key(fields, _NO_BOUNDS)
    fields.done()
    with console.store.together():
        team = team_with_id(console.store, team_id) if team_id else None
        user = add_user(
            console.store,
            user_id or ("" if email else str(uuid.uuid4())),
            now_us,
            email=email,
            name=name,
            role=role,
            team=team,
        )
        keep_bounds(console, bounds, user_owner(user), by, now_us)
        made = keys.issue(console, access, wanted, user, None).document if with_key else {}
    logger.info("user made by a call of LiteLLM's", extra={"user": user.user_id, "by": by})
    said = {"budget_duration": bounds.duration} if bounds.duration else {}
    document = user_document(console, user, BoundBook(console, now_us))
    return Document({**made, **document, "spend": 0.0, **said, "tollkeeper_notes": fields.notes})


def info(console: Console, access: Access, question: Question) -> Answer:
    """Say what a person may spend and has spent, and list their keys and their team."""
    check_names(question.query, ("user_id",))
    store = console.store
    user_id = question.query.get("user_id", "") or viewer_of(access).user_id
    if not user_id:
        raise BadRequest("say whom: /user/info?user_id=…", code="bad_field")
    user = user_with_id(store, user_id)
    if user.user_id != viewer_of(access).user_id:
        require_names(console, access)
    book = BoundBook(console, console.now_us())
    document = user_document(console, user, book)
    if document["spend"] is None:
        document["spend"] = spent_usd(console, "user", user.user_id, user.created_at_us)
    team_ids = {team.name: team.team_id for team in store.teams()}
    found = [
        keys.key_document(record, team_ids, book)
        for record in store.keys_of(user.user_id)
        if record.revoked_at_us is None
    ]
    team = people.find_team(store, user.team) if user.team else None
    teams = [] if team is None else [team_with_spend(console, team, book)]
    spent = with_spend(console, found, "user", user.user_id)
    return Document({"user_id": user.user_id, "user_info": document, "keys": spent, "teams": teams})


def user_document(console: Console, user: User, book: BoundBook) -> dict[str, Any]:
    """Give a person in LiteLLM's words."""
    teams = [team.team_id for team in console.store.teams() if team.name == user.team]
    return {
        "user_id": user.user_id,
        "user_email": shown_email(user),
        "user_alias": user.name,
        "user_role": _ROLE_WORDS.get(user.role, "internal_user"),
        "teams": teams,
        "created_at": second_text(user.created_at_us),
        **book.of(user_owner(user)),
    }


def _team_id(fields: Fields) -> str:
    """Give the one team that is named, in any of the ways in which it may be."""
    named = fields.text("team_id")
    said = fields.texts_or_objects("teams", "team_id")
    return one_of([*({named} - {""}), *(each for each in said if each != named)], "teams")
