"""Who LiteLLM's ids stand for. Its ``team_id`` and ``user_id`` are the ids of our teams and people.

A person needs an e-mail address here. One who came with an id alone has an address made of it,
below a domain that leads nowhere.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.console.litellm.bounds import Owner
from tollkeeper.domain.access import Role
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.errors import BadRequest, NotFound
from tollkeeper.ports import KeyRecord, Store, Team, User
from tollkeeper.services import people

NOWHERE: Final = "@litellm.invalid"
"""No mail is ever delivered below ``.invalid`` (RFC 2606)."""

_ROLES: Final = {
    "": Role.MEMBER,
    "internal_user": Role.MEMBER,
    "proxy_admin": Role.ADMIN,
    "proxy_admin_viewer": Role.AUDITOR,
}


def role_of(word: str) -> Role:
    """Give our role for a ``user_role``. Raises BadRequest where there is none like it."""
    found = _ROLES.get(word)
    if found is None:
        known = ", ".join(filter(None, _ROLES))
        raise BadRequest(f"user_role {word[:40]!r}: one of {known}", code="bad_role")
    return found


def team_with_id(store: Store, team_id: str) -> Team:
    """Give a team. Raises NotFound."""
    for team in store.teams():
        if team.team_id == team_id:
            return team
    raise NotFound(f"there is no team with team_id {team_id[:60]!r}", code="team_not_found")


def user_with_id(store: Store, user_id: str) -> User:
    """Give a person by id, or by an e-mail address in its place. Raises NotFound."""
    found = find_user(store, user_id)
    if found is None:
        raise NotFound(f"there is no user with user_id {user_id[:60]!r}", code="user_not_found")
    return found


def find_user(store: Store, user_id: str) -> User | None:
    """Give a person as above, None where there is none."""
    found = store.user(user_id)
    return store.user_with_email(user_id) if found is None and "@" in user_id else found


def add_user(
    store: Store,
    user_id: str,
    now_us: int,
    *,
    email: str = "",
    name: str = "",
    role: Role = Role.MEMBER,
    team: Team | None = None,
) -> User:
    """Add a person under LiteLLM's id, or a new one where that is "". Raises Conflict."""
    address = email or (user_id if "@" in user_id else f"{user_id}{NOWHERE}")
    if address == NOWHERE:
        raise BadRequest("say user_id or user_email: people have an address here", code="no_user")
    return people.add_user(
        store,
        address,
        now_us,
        name=name or user_id,
        role=role,
        team="" if team is None else team.name,
        user_id=user_id,
    )


def shown_email(user: User) -> str | None:
    """Give a person's address, None for one that was made of an id."""
    return None if user.email.endswith(NOWHERE) else user.email


def team_owner(team: Team) -> Owner:
    """Give a team as whom limits are for."""
    return Owner(BudgetScope.TEAM, team.name, team.name, team.name)


def user_owner(user: User) -> Owner:
    """Give a person as whom limits are for."""
    return Owner(BudgetScope.USER, user.user_id, user.email, shown_email(user) or user.user_id)


def key_owner(record: KeyRecord) -> Owner:
    """Give a key as whom limits are for."""
    key = record.key
    return Owner(BudgetScope.KEY, key.key_id, key.key_id, f"{key.name} {key.key_id}")
