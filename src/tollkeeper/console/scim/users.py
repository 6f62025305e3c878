"""``/Users``: people of ours, as an identity provider keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.scim.documents import (
    USER_NAMES,
    read_patched_user,
    read_user,
    user_document,
)
from tollkeeper.console.scim.listing import page_of, sought, told, wanted_filter
from tollkeeper.console.shared import Console
from tollkeeper.domain.errors import NotFound
from tollkeeper.domain.scim_filters import Filter
from tollkeeper.domain.scim_patches import patched, read_operations
from tollkeeper.ports import Store, Team
from tollkeeper.services import scim_users
from tollkeeper.services.scim_users import Person
from tollkeeper.telemetry import logger


def list_users(console: Console, access: Access, question: Question) -> Answer:
    """List people, all or those that a filter names."""
    found = wanted_filter(question.query, USER_NAMES)
    teams = _teams(console.store)
    return page_of(
        question.query,
        found,
        _candidates(console.store, found),
        lambda person: user_document(console.public_url, person, teams),
    )


def get_user(console: Console, access: Access, question: Question) -> Answer:
    """Give a person."""
    person = scim_users.with_id(console.store, question.path["user_id"])
    return _told(console, question, person, 200)


def make_user(console: Console, access: Access, question: Question) -> Answer:
    """Add a person, as a member of no team."""
    person = scim_users.add(console.store, read_user(question.body), console.now_us())
    logger.info("person added by SCIM", extra={"user_id": person.user.user_id})
    return _told(console, question, person, 201)


def replace_user(console: Console, access: Access, question: Question) -> Answer:
    """Change a person to what was sent; what was left out stays."""
    user_id = question.path["user_id"]
    with console.store.together():
        before = _document(console, scim_users.with_id(console.store, user_id))
        wish = read_user(question.body, before)
        person = scim_users.change(console.store, user_id, wish, console.now_us())
    return _told(console, question, person, 200)


def patch_user(console: Console, access: Access, question: Question) -> Answer:
    """Change parts of a person: all that is asked for, or nothing."""
    operations = read_operations(question.body)
    user_id = question.path["user_id"]
    with console.store.together():
        before = _document(console, scim_users.with_id(console.store, user_id))
        after = patched(before, operations, USER_NAMES)
        wish = read_patched_user(after, before)
        person = scim_users.change(console.store, user_id, wish, console.now_us())
    return _told(console, question, person, 200)


def delete_user(console: Console, access: Access, question: Question) -> Answer:
    """Switch a person off for good: sessions end, keys are revoked, and they are not found here."""
    user_id = question.path["user_id"]
    scim_users.remove(console.store, user_id, console.now_us())
    logger.info("person removed by SCIM", extra={"user_id": user_id})
    return Document({}, 204)


def _candidates(store: Store, found: Filter | None) -> Sequence[Person]:
    """Give all people among whom those are that fit; few, where a filter names one."""
    user_name, user_id = sought(found, "username"), sought(found, "id")
    external_id = sought(found, "externalid")
    if user_id is not None:
        try:
            return [scim_users.with_id(store, user_id)]
        except NotFound:
            return []
    if user_name is not None:
        person = scim_users.with_user_name(store, user_name)
        return [] if person is None else [person]
    if external_id:
        return scim_users.with_external_id(store, external_id)
    return scim_users.everybody(store)


def _teams(store: Store) -> Mapping[str, Team]:
    removed = {each.team_id for each in store.scim_groups() if each.removed_at_us is not None}
    return {team.name: team for team in store.teams() if team.team_id not in removed}


def _document(console: Console, person: Person) -> dict[str, Any]:
    return user_document(console.public_url, person, _teams(console.store))


def _told(console: Console, question: Question, person: Person, status: int) -> Document:
    return told(question.query, _document(console, person), status)
