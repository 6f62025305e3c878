"""``/key/generate``, ``/key/info`` and ``/key/delete``: virtual keys of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import check_names, issuer_of, viewer_of
from tollkeeper.console.litellm.bounds import (
    BoundBook,
    Bounds,
    copy_template,
    drop_bounds,
    keep_bounds,
    read_bounds,
)
from tollkeeper.console.litellm.fields import Fields
from tollkeeper.console.litellm.owners import add_user, find_user, key_owner, team_with_id
from tollkeeper.console.litellm.spending import spent_usd
from tollkeeper.console.shared import Console
from tollkeeper.domain import key_tokens
from tollkeeper.domain.access import KeyKind
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.litellm_keys import LITELLM, MARK
from tollkeeper.domain.litellm_terms import span_us
from tollkeeper.ports import KeyRecord, Team, User
from tollkeeper.services import keys as service
from tollkeeper.services import people
from tollkeeper.telemetry import logger

NAMELESS: Final = "LiteLLM key"
"""What a key without an alias is called."""
HOUSE_TEAM: Final = "LiteLLM"
"""Owns keys for which no person and no team is named."""
_NO_OWNER: Final = (
    f"no user_id or team_id was given, and a key needs an owner: it is the team {HOUSE_TEAM!r}"
)
_BEGINNINGS: Final = {KeyKind.VIRTUAL: "tk_live_", KeyKind.ADMIN: "tk_admin_"}
_NO_KEY: Final = "there is no such key, or it is deleted already"


class WantedKey(NamedTuple):
    """What a body says of a key, besides whose it is."""

    alias: str
    models: tuple[str, ...]
    tags: Mapping[str, str]
    duration: str
    bounds: Bounds
    budget_id: str


class Issued(NamedTuple):
    """A new key, and the answer's part about it."""

    record: KeyRecord
    document: dict[str, Any]


def read_key(fields: Fields, bounds: Bounds) -> WantedKey:
    """Take what a body says of a key."""
    return WantedKey(
        fields.text("key_alias"),
        fields.models("models"),
        fields.tags("metadata"),
        fields.text("duration"),
        bounds,
        fields.text("budget_id"),
    )


def generate(console: Console, access: Access, question: Question) -> Answer:
    """Make a key, with its budget and rate limit. Its text is in this answer and nowhere else."""
    check_names(question.query, ())
    fields, now_us = Fields(question.body), console.now_us()
    user_id, team_id = fields.text("user_id"), fields.text("team_id")
    if fields.text("key_type") not in {"", "default", "llm_api"}:
        raise BadRequest("key_type: a key made here calls models", code="bad_field")
    wanted = read_key(fields, read_bounds(fields))
    fields.done()
    with console.store.together():
        team = team_with_id(console.store, team_id) if team_id else None
        user = _user(console, user_id, team, now_us)
        if user is None and team is None:
            user, team = _fallback(console, access, fields, now_us)
        issued = issue(console, access, wanted, user, team)
    return Document({**issued.document, "tollkeeper_notes": fields.notes})


def issue(
    console: Console, access: Access, wanted: WantedKey, user: User | None, team: Team | None
) -> Issued:
    """Make a key for somebody. Part of a larger transaction."""
    store, now_us, by = console.store, console.now_us(), viewer_of(access).name
    if wanted.alias and any(it.key.name == wanted.alias for it in _standing_keys(console)):
        raise BadRequest(f"there is a key {wanted.alias[:60]!r} already", code="key_alias_taken")
    expires_us = now_us + span_us(wanted.duration, "duration") if wanted.duration else None
    request = service.KeyRequest(
        wanted.alias or NAMELESS,
        email="" if user is None else user.email,
        team="" if team is None else team.name,
        expires_at_us=expires_us,
        models=wanted.models,
        tags={**wanted.tags, MARK: LITELLM},
    )
    issued = service.issue(store, console.vault, request, issuer_of(access), now_us)
    owner = key_owner(issued.record)
    if wanted.budget_id and wanted.bounds.max_nanos is not None:
        raise BadRequest("budget_id and max_budget: give one of them", code="two_budgets")
    if wanted.budget_id:
        copy_template(console, wanted.budget_id, owner, by, now_us)
    keep_bounds(console, wanted.bounds, owner, by, now_us)
    logger.info(
        "key made by a call of LiteLLM's", extra={"key": issued.record.key.key_id, "by": by}
    )
    document = key_document(issued.record, _team_ids(console), BoundBook(console, now_us))
    said = {"budget_duration": wanted.bounds.duration} if wanted.bounds.duration else {}
    return Issued(issued.record, {"key": issued.token, **document, "spend": 0.0, **said})


def info(console: Console, access: Access, question: Question) -> Answer:
    """Say what a key may do and has spent; without ``key``, the one that asks."""
    check_names(question.query, ("key",))
    said = question.query.get("key", "")
    if not said and access.key is None:
        raise BadRequest("say which key: /key/info?key=…", code="bad_field")
    key_id = key_id_of(said) if said else (access.key.key_id if access.key else "")
    record = console.store.key(key_id) if key_id else None
    if record is None or record.revoked_at_us is not None:
        raise NotFound("there is no such key", code="key_not_found")
    book = BoundBook(console, console.now_us())
    document = key_document(record, _team_ids(console), book)
    if document["spend"] is None:
        document["spend"] = spent_usd(console, "key", key_id, record.created_at_us)
    return Document({"key": said or document["token"], "info": document})


def delete(console: Console, access: Access, question: Question) -> Answer:
    """Revoke keys for good, named by their texts, ids or aliases: all of them, or none."""
    check_names(question.query, ())
    fields, now_us, by = Fields(question.body), console.now_us(), viewer_of(access).name
    said, aliases = fields.texts("keys"), fields.texts("key_aliases")
    fields.done()
    if not said and not aliases:
        raise BadRequest("say which: keys or key_aliases", code="bad_field")
    with console.store.together():
        standing = _standing_keys(console)
        chosen = [_with_id(standing, key_id_of(each)) for each in said]
        chosen += [_called(standing, each) for each in aliases]
        for record in chosen:
            service.revoke(console.store, record.key.key_id, issuer_of(access), now_us)
            drop_bounds(console, key_owner(record), by, now_us)
    for record in chosen:
        logger.info(
            "key revoked by a call of LiteLLM's", extra={"key": record.key.key_id, "by": by}
        )
    return Document({"deleted_keys": [*said, *aliases]})


def key_document(record: KeyRecord, team_ids: Mapping[str, str], book: BoundBook) -> dict[str, Any]:
    """Give a key in LiteLLM's words. ``team_ids`` maps the names of teams to their ids."""
    key = record.key
    return {
        "token": key.key_id,
        "key_name": f"{_BEGINNINGS[key.kind]}{key.key_id}_...",
        "key_alias": None if key.name == NAMELESS else key.name,
        "user_id": key.user_id or None,
        "team_id": team_ids.get(key.team),
        "models": list(key.models),
        "metadata": {name: value for name, value in key.tags.items() if name != MARK},
        "expires": second_text(key.expires_at_us),
        "created_at": second_text(record.created_at_us),
        "created_by": record.created_by,
        "blocked": not key.active,
        **book.of(key_owner(record)),
    }


def key_id_of(said: str) -> str:
    """Give the id of a key that is named by its text or its id."""
    parts = key_tokens.parse(said)
    return said if parts is None else parts.key_id


def _team_ids(console: Console) -> dict[str, str]:
    return {team.name: team.team_id for team in console.store.teams()}


def _standing_keys(console: Console) -> list[KeyRecord]:
    return [it for it in list(console.store.keys()) if it.revoked_at_us is None]


def _with_id(standing: Sequence[KeyRecord], key_id: str) -> KeyRecord:
    for record in standing:
        if record.key.key_id == key_id:
            return record
    raise NotFound(_NO_KEY, code="key_not_found")


def _called(standing: Sequence[KeyRecord], alias: str) -> KeyRecord:
    """Give the key of a name, which others than LiteLLM's calls may have given twice."""
    named = [it for it in standing if it.key.name == alias and it.key.kind is KeyKind.VIRTUAL]
    if len(named) > 1:
        raise Conflict(
            f"{len(named)} keys are called {alias[:60]!r}: name them by their token",
            code="key_alias_ambiguous",
        )
    if not named:
        raise NotFound(_NO_KEY, code="key_not_found")
    return named[0]


def _user(console: Console, user_id: str, team: Team | None, now_us: int) -> User | None:
    """Give the person, who is made where nobody has the id, as LiteLLM does it."""
    if not user_id:
        return None
    return find_user(console.store, user_id) or add_user(console.store, user_id, now_us, team=team)


def _fallback(
    console: Console, access: Access, fields: Fields, now_us: int
) -> tuple[User | None, Team | None]:
    """Give whoever asks as the owner, or a team where that is nobody."""
    user = console.store.user(viewer_of(access).user_id)
    if user is not None:
        return user, None
    fields.notes.append(_NO_OWNER)
    return None, people.ensure_team(console.store, HOUSE_TEAM, now_us)
