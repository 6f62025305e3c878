"""People and teams as SCIM's resources, and what is read from those that are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.clock import second_text
from tollkeeper.console.scim_words import GROUP, ROOT, USER
from tollkeeper.domain.scim import Fault, ScimRefused
from tollkeeper.domain.scim_filters import member
from tollkeeper.ports import Team
from tollkeeper.services import names, scim_groups, scim_users
from tollkeeper.services.scim_groups import Group
from tollkeeper.services.scim_users import Person

USER_NAMES: Final = frozenset(
    [
        *("id", "schemas", "meta", "externalid", "username", "name", "displayname", "nickname"),
        *("profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "active"),
        *("password", "emails", "phonenumbers", "ims", "photos", "addresses", "groups"),
        *("entitlements", "roles", "x509certificates"),
    ]
)
"""The attributes of the standard's users. Those that mean nothing here are taken and forgotten."""

GROUP_NAMES: Final = frozenset(["id", "schemas", "meta", "externalid", "displayname", "members"])

_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}
Resource = Mapping[str, Any]


# --------------------------------------------------------------------- people


def user_document(url: str, person: Person, teams: Mapping[str, Team]) -> dict[str, Any]:
    """Give a person. ``teams`` has the teams by name, ``url`` is where we are reached."""
    user = person.user
    team = teams.get(user.team)
    groups = [] if team is None else [_group_of(url, team)]
    return {
        "schemas": [USER],
        "id": user.user_id,
        **({"externalId": person.external_id} if person.external_id else {}),
        "userName": person.user_name,
        "name": {"formatted": user.name},
        "displayName": user.name,
        "emails": [{"value": user.email, "type": "work", "primary": True}],
        "active": user.active,
        "groups": groups,
        "meta": {
            "resourceType": "User",
            "created": second_text(user.created_at_us),
            "location": f"{url}{ROOT}/Users/{user.user_id}",
        },
    }


def read_user(sent: Resource, before: Resource | None = None) -> scim_users.Wish:
    """Read what a person is to be from a whole resource; ``before`` is what they are.

    What it leaves out stays as it is. Raises ScimRefused.
    """
    user_name = _text(sent, "userName")
    if user_name is None:
        if before is None or member(sent, "userName") is not None:
            raise ScimRefused(Fault.VALUE, "userName is missing")
        user_name = str(before["userName"])
    external_id = _text(sent, "externalId")
    if external_id is None and member(sent, "externalId") is not None:
        external_id = ""  # null takes it away
    email = "" if before is not None else _email(sent) or user_name
    name = next((each for each in _names(sent) if each), "")
    return scim_users.Wish(user_name, email, name, external_id, _flag(sent, "active"))


def read_patched_user(after: Resource, before: Resource) -> scim_users.Wish:
    """Read what a person is to be after a PATCH: one name of theirs may have changed."""
    if member(after, "userName") is None:
        raise ScimRefused(Fault.VALUE, "userName cannot be removed")
    wish = read_user(after, before)
    was = before["displayName"]
    name = next((each for each in _names(after) if each not in {"", was}), was)
    given = member(after, "externalId") is not None
    return wish._replace(name=name, external_id=wish.external_id if given else "")


def _names(sent: Resource) -> tuple[str, str, str]:
    """Give the names in the order in which they count. We keep one where SCIM has several."""
    inner = _value(sent, "name")
    if inner is not None and not isinstance(inner, Mapping):
        raise ScimRefused(Fault.VALUE, "name must be an object")
    parts = inner or {}
    shown, whole = _text(sent, "displayName") or "", _text(parts, "formatted") or ""
    given, family = _text(parts, "givenName") or "", _text(parts, "familyName") or ""
    both = f"{given} {family}" if given and family else "" if whole else given or family
    first, second, third = (
        each.strip()[: names.NAME_CHARS_MAX].strip() for each in (shown, whole, both)
    )
    return first, second, third


def _group_of(url: str, team: Team) -> dict[str, Any]:
    return {
        "value": team.team_id,
        "display": team.name,
        "type": "direct",
        "$ref": f"{url}{ROOT}/Groups/{team.team_id}",
    }


def _email(sent: Resource) -> str:
    """Give the first address that is the primary one, else of work, else of all."""
    given = _value(sent, "emails")
    if given is None:
        return ""
    if not isinstance(given, list):
        raise ScimRefused(Fault.VALUE, "emails must be a list")
    there = [each for each in given if isinstance(each, Mapping) and _text(each, "value")]
    ordered = sorted(there, key=lambda each: (not _flag(each, "primary"), not _is_work(each)))
    return _text(ordered[0], "value") or "" if ordered else ""


def _is_work(email: Resource) -> bool:
    return (_text(email, "type") or "").lower() == "work"


# --------------------------------------------------------------------- teams


def group_document(url: str, group: Group) -> dict[str, Any]:
    """Give a team with its people."""
    team = group.team
    return {
        "schemas": [GROUP],
        "id": team.team_id,
        **({"externalId": group.external_id} if group.external_id else {}),
        "displayName": team.name,
        "members": [
            {
                "value": each.user.user_id,
                "display": each.user_name,
                "type": "User",
                "$ref": f"{url}{ROOT}/Users/{each.user.user_id}",
            }
            for each in group.members
        ],
        "meta": {
            "resourceType": "Group",
            "created": second_text(team.created_at_us),
            "location": f"{url}{ROOT}/Groups/{team.team_id}",
        },
    }


def read_group(sent: Resource) -> scim_groups.Wish:
    """Read what a group is to be: a name, and exactly the members that are named."""
    name = _text(sent, "displayName")
    if not name:
        raise ScimRefused(Fault.VALUE, "displayName is missing")
    external_id = _text(sent, "externalId")
    if external_id is None and member(sent, "externalId") is not None:
        external_id = ""
    return scim_groups.Wish(name, external_id, _members(sent))


def _members(sent: Resource) -> tuple[str, ...]:
    given = _value(sent, "members")
    if given is None:
        return ()
    if not isinstance(given, list):
        raise ScimRefused(Fault.VALUE, "members must be a list")
    found = []
    for each in given:
        user_id = _text(each, "value") if isinstance(each, Mapping) else each
        if not isinstance(user_id, str) or not user_id:
            raise ScimRefused(Fault.VALUE, 'a member is {"value": "the id of a user"}')
        found.append(user_id)
    return tuple(found)


# --------------------------------------------------------------------- values


def _value(sent: Resource, name: str) -> Any:
    spelt = member(sent, name)
    return None if spelt is None else sent[spelt]


def _text(sent: Resource, name: str) -> str | None:
    value = _value(sent, name)
    if value is not None and not isinstance(value, str):
        raise ScimRefused(Fault.VALUE, f"{name} must be a text")
    return value


def _flag(sent: Resource, name: str) -> bool | None:
    """Give a boolean, also one that is written as a text, as Entra ID does."""
    value = _value(sent, name)
    if isinstance(value, str):
        value = _BOOLEANS.get(value.lower(), value)
    if value is not None and not isinstance(value, bool):
        raise ScimRefused(Fault.VALUE, f"{name} must be true or false")
    return value
