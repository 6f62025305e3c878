"""Teams as an identity provider keeps them by SCIM: groups with members.

A person belongs to one team here: whoever is put into a group leaves the one before.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tollkeeper.domain.errors import Conflict, NotFound
from tollkeeper.domain.scim import EXTERNAL_ID_CHARS_MAX, Fault, ScimGroup, ScimRefused
from tollkeeper.ports import Store, Team
from tollkeeper.services import names, people, people_changes, scim_users
from tollkeeper.services.scim_users import Person


class Group(NamedTuple):
    """A team with its people, the oldest first. ``external_id`` may be ""."""

    team: Team
    external_id: str
    members: tuple[Person, ...]


class Wish(NamedTuple):
    """How a provider wants a group to be. What is None stays as it is."""

    name: str
    external_id: str | None
    members: Collection[str] | None


def all_groups(store: Store) -> list[Group]:
    """List the groups that were not removed, the oldest first."""
    known = {each.team_id: each for each in store.scim_groups()}
    members: dict[str, list[Person]] = {}
    for person in scim_users.everybody(store):
        members.setdefault(person.user.team, []).append(person)
    found = [
        Group(team, said.external_id, tuple(members.get(team.name, ())))
        for team in store.teams()
        if (said := known.get(team.team_id, ScimGroup(team.team_id))).removed_at_us is None
    ]
    return sorted(found, key=lambda each: (each.team.created_at_us, each.team.team_id))


def with_id(store: Store, team_id: str) -> Group:
    """Give a group. Raises NotFound, also for one that was removed."""
    team = next((each for each in store.teams() if each.team_id == team_id), None)
    said = None if team is None else store.scim_group(team_id)
    if team is None or (said is not None and said.removed_at_us is not None):
        raise NotFound("there is no such group", code="team_not_found")
    members = tuple(each for each in scim_users.everybody(store) if each.user.team == team.name)
    return Group(team, "" if said is None else said.external_id, members)


def add(store: Store, wish: Wish, now_us: int) -> Group:
    """Add a group; one that was removed comes back. Raises Conflict for a name that is taken."""
    with store.together():
        team = store.team_named(names.clean_name(wish.name, "displayName"))
        if team is None:
            team = people.add_team(store, wish.name, now_us)
        else:
            said = store.scim_group(team.team_id)
            if said is None or said.removed_at_us is None:
                raise Conflict(f"there is a group {team.name!r} already", code="team_exists")
            team = people.set_team_active(store, team.name, active=True)
        _keep(store, team.team_id, wish.external_id or "")
        _fill(store, with_id(store, team.team_id), wish.members, now_us)
        return with_id(store, team.team_id)


def change(store: Store, team_id: str, wish: Wish, now_us: int) -> Group:
    """Rename a group, or change who is in it. Raises NotFound, Conflict or ScimRefused."""
    with store.together():
        before = with_id(store, team_id)
        people_changes.change_team(store, team_id, now_us, name=wish.name)
        if wish.external_id is not None:
            _keep(store, team_id, wish.external_id)
        _fill(store, before, wish.members, now_us)
        return with_id(store, team_id)


def remove(store: Store, team_id: str, now_us: int) -> None:
    """Switch a team off, with nobody in it: no key of the team itself works any more."""
    with store.together():
        _fill(store, with_id(store, team_id), (), now_us)
        people_changes.change_team(store, team_id, now_us, active=False)
        store.set_scim_group(ScimGroup(team_id, removed_at_us=now_us))


def _fill(store: Store, before: Group, members: Collection[str] | None, now_us: int) -> None:
    """Put into a team who is not in it, and out of it who is not wanted there."""
    if members is None:
        return
    there = {each.user.user_id for each in before.members}
    wanted = dict.fromkeys(members)
    team = people_changes.team_with_id(store, before.team.team_id).name
    for user_id in wanted:
        if user_id not in there:
            _require_known(store, user_id)
            people_changes.change_user(store, user_id, now_us, team=team)
    for user_id in there - wanted.keys():
        people_changes.change_user(store, user_id, now_us, team="")


def _require_known(store: Store, user_id: str) -> None:
    try:
        scim_users.with_id(store, user_id)
    except NotFound:
        raise ScimRefused(Fault.VALUE, "a member is no user here; groups have no groups") from None


def _keep(store: Store, team_id: str, external_id: str) -> None:
    said = ScimGroup(team_id, names.clean_text(external_id, "externalId", EXTERNAL_ID_CHARS_MAX))
    if store.scim_group(team_id) != said:
        store.set_scim_group(said)
