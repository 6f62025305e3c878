"""People as an identity provider keeps them by SCIM: found, added, changed, removed.

A person is known by the address that they came with, which stays. A provider may call them by
any user name. Whoever is removed is switched off here, and gone as far as the provider knows.
"""

from __future__ import annotations

from typing import NamedTuple

from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.domain.scim import (
    EXTERNAL_ID_CHARS_MAX,
    USER_NAME_CHARS_MAX,
    Fault,
    ScimRefused,
    ScimUser,
)
from tollkeeper.ports import Store, User
from tollkeeper.services import names, people, people_changes


class Person(NamedTuple):
    """A person, and what a provider calls them. ``external_id`` may be ""."""

    user: User
    user_name: str
    external_id: str


class Wish(NamedTuple):
    """How a provider wants a person to be. What is None, and a name of "", stays as it is.

    ``email`` counts for new people only.
    """

    user_name: str
    email: str
    name: str
    external_id: str | None
    active: bool | None


def everybody(store: Store) -> list[Person]:
    """List the people that were not removed, the oldest first."""
    known = {each.user_id: each for each in store.scim_users()}
    found = (_person(user, known.get(user.user_id)) for user in store.users())
    there = [person for person in found if person is not None]
    return sorted(there, key=lambda each: (each.user.created_at_us, each.user.user_id))


def with_id(store: Store, user_id: str) -> Person:
    """Give a person. Raises NotFound, also for one that was removed."""
    user = store.user(user_id) if names.is_id(user_id) else None
    person = None if user is None else _person(user, store.scim_user(user_id))
    if person is None:
        raise NotFound("there is no such user", code="user_not_found")
    return person


def with_user_name(store: Store, user_name: str) -> Person | None:
    """Give whom a provider calls so: by the name that was sent, or by the address."""
    said = store.scim_user_named(user_name)
    user = store.user_with_email(user_name) if said is None else store.user(said.user_id)
    person = None if user is None else _person(user, store.scim_user(user.user_id))
    if person is None or person.user_name.casefold() != user_name.casefold():
        return None
    return person


def with_external_id(store: Store, external_id: str) -> list[Person]:
    """Give whom a provider has under an id of its own."""
    found = []
    for said in store.scim_users_with_external_id(external_id):
        user = store.user(said.user_id)
        person = None if user is None else _person(user, said)
        if person is not None:
            found.append(person)
    return found


def add(store: Store, wish: Wish, now_us: int) -> Person:
    """Add a person as a member of no team; whoever was removed comes back, as a member.

    Raises Conflict where somebody has the name or the address.
    """
    user_name = _clean_user_name(wish.user_name)
    email = names.clean_email(wish.email)
    with store.together():
        _require_free(store, user_name, "")
        user = store.user_with_email(email)
        if user is None:
            user = people.add_user(store, email, now_us, name=wish.name)
        else:
            user = _back(store, user, wish, now_us)
        _keep(store, ScimUser(user.user_id, user_name, _clean_external_id(wish.external_id or "")))
        if wish.active is False:
            people.deactivate_user(store, email, now_us)
        return with_id(store, user.user_id)


def change(store: Store, user_id: str, wish: Wish, now_us: int) -> Person:
    """Change a person. Raises NotFound, or Conflict for a name that is taken and the last admin."""
    user_name = _clean_user_name(wish.user_name)
    with store.together():
        before = with_id(store, user_id)
        if user_name.casefold() != before.user_name.casefold():
            _require_free(store, user_name, user_id)
        people_changes.change_user(
            store, user_id, now_us, name=wish.name or None, active=wish.active
        )
        external_id = before.external_id
        if wish.external_id is not None:
            external_id = _clean_external_id(wish.external_id)
        _keep(store, ScimUser(user_id, user_name, external_id))
        return with_id(store, user_id)


def remove(store: Store, user_id: str, now_us: int) -> None:
    """Switch a person off and be done with them: sessions and keys end, and they leave their team.

    Raises NotFound, or Conflict for the last admin.
    """
    with store.together():
        with_id(store, user_id)
        people_changes.change_user(store, user_id, now_us, team="", active=False)
        store.set_scim_user(ScimUser(user_id, removed_at_us=now_us))


def _person(user: User, said: ScimUser | None) -> Person | None:
    if said is None:
        return Person(user, user.email, "")
    if said.removed_at_us is not None:
        return None
    return Person(user, said.user_name or user.email, said.external_id)


def _back(store: Store, user: User, wish: Wish, now_us: int) -> User:
    said = store.scim_user(user.user_id)
    if said is None or said.removed_at_us is None:
        raise Conflict(f"there is a user with the address {user.email!r}", code="user_exists")
    if not user.active:  # rights of long ago do not come back by themselves
        user = people.change_role(store, user.email, Role.MEMBER, now_us)
    return people_changes.change_user(
        store, user.user_id, now_us, name=wish.name or None, active=True
    )


def _keep(store: Store, said: ScimUser) -> None:
    if store.scim_user(said.user_id) != said:
        store.set_scim_user(said)


def _require_free(store: Store, user_name: str, user_id: str) -> None:
    holder = with_user_name(store, user_name)
    if holder is not None and holder.user.user_id != user_id:
        raise Conflict(f"there is a user {user_name!r} already", code="user_exists")


def _clean_user_name(text: str) -> str:
    cleaned = names.clean_text(text, "userName", USER_NAME_CHARS_MAX)
    if not cleaned:
        raise ScimRefused(Fault.VALUE, "userName is missing")
    return cleaned


def _clean_external_id(text: str) -> str:
    return names.clean_text(text, "externalId", EXTERNAL_ID_CHARS_MAX)
