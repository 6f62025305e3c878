"""Teams and people: add, list, rename, move, give a role, switch off."""

from __future__ import annotations

from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.errors import BadRequest, Conflict, NotFound
from tollkeeper.domain.invitations import Invitation
from tollkeeper.ports import Store, Team, User
from tollkeeper.services import names
from tollkeeper.services.former_names import former_names, require_unused

TEAM = "the team's name"


def add_team(
    store: Store,
    name: str,
    now_us: int,
    team_id: str = "",
    *,
    parent: str = "",
    take_over: bool = False,
) -> Team:
    """Add a team, under an id of its own where one is given, and as a part of ``parent``.

    Raises Conflict when there is one of this name, whatever its case, or of this id; and where
    another team was called so before, unless its past is to be taken over.
    """
    cleaned = names.clean_name(name, TEAM)
    if team_id:
        names.require_id(team_id, "the team's id")
    with store.together():
        if team_id and any(team.team_id == team_id for team in store.teams()):
            raise Conflict(f"there is a team with id {team_id!r} already", code="team_exists")
        if store.team_named(cleaned) is not None:
            raise Conflict(f"there is a team {cleaned!r} already", code="team_exists")
        if not take_over:
            require_unused(former_names(store), cleaned)
        added = store.add_team(cleaned, now_us, team_id)
        return nest_team(store, added.name, parent) if parent else added


def find_team(store: Store, name: str) -> Team:
    """Give a team by name. Raises NotFound."""
    team = store.team_named(names.clean_name(name, TEAM))
    if team is None:
        raise NotFound(f"there is no team {name!r}", code="team_not_found")
    return team


def nest_team(store: Store, name: str, parent: str) -> Team:
    """Make a team part of another one, or of none with "".

    Teams are nested one level: raises BadRequest where the parent is part of a team itself, or
    the team has parts.
    """
    with store.together():
        team = find_team(store, name)
        above = find_team(store, parent) if parent else None
        if above is not None:
            _require_one_level(store, team, above)
        store.set_team_parent(team.team_id, None if above is None else above.team_id)
        return find_team(store, name)


def rename_team(
    store: Store, name: str, new_name: str, now_us: int, *, take_over: bool = False
) -> Team:
    """Rename a team. Entries and memberships of the past keep the old name, which no other team
    gets by accident: see ``add_team``."""
    cleaned = names.clean_name(new_name, TEAM)
    with store.together():
        team = find_team(store, name)
        holder = store.team_named(cleaned)
        if holder is not None and holder.team_id != team.team_id:
            raise Conflict(f"there is a team {cleaned!r} already", code="team_exists")
        if not take_over:
            require_unused(former_names(store), cleaned, team.team_id)
        store.rename_team(team.team_id, cleaned, now_us)
        return find_team(store, cleaned)


def set_team_active(store: Store, name: str, active: bool) -> Team:
    """Switch a team off or on. While it is off, no key that pays from it works."""
    with store.together():
        team = find_team(store, name)
        store.set_team_active(team.team_id, active)
        return find_team(store, name)


def add_user(
    store: Store,
    email: str,
    now_us: int,
    *,
    name: str = "",
    role: Role = Role.MEMBER,
    team: str = "",
    user_id: str = "",
) -> User:
    """Add a person, under an id of their own where one is given. Without a name they are called
    by their e-mail address.

    Raises Conflict when the address or the id is taken, NotFound when there is no such team.
    """
    if user_id:
        names.require_id(user_id, "the user's id")
    address = names.clean_email(email)
    called = names.clean_name(name or address[: names.NAME_CHARS_MAX], "the name")
    with store.together():
        if store.user_with_email(address) is not None:
            raise Conflict(f"there is a user {address!r} already", code="user_exists")
        if user_id and store.user(user_id) is not None:
            raise Conflict(f"there is a user with id {user_id!r} already", code="user_exists")
        team_id = _active_team_id(store, team) if team else None
        return store.add_user(address, called, role, team_id, now_us, user_id)


def find_user(store: Store, email: str) -> User:
    """Give a person by e-mail. Raises NotFound."""
    user = store.user_with_email(names.clean_email(email))
    if user is None:
        raise NotFound(f"there is no user {email!r}", code="user_not_found")
    return user


def rename_user(store: Store, email: str, name: str) -> User:
    """Call a person by another name. Entries of the past keep the old one."""
    cleaned = names.clean_name(name, "the name")
    with store.together():
        store.set_user_name(find_user(store, email).user_id, cleaned)
        return find_user(store, email)


def move_user(store: Store, email: str, team: str, now_us: int) -> User:
    """Move a person to a team, or out of all teams with ""; their keys go with them.

    Where they were before stays as it is, in the ledger and in the count of members.
    """
    with store.together():
        user = find_user(store, email)
        team_id = _active_team_id(store, team) if team else None
        store.set_user_team(user.user_id, team_id, now_us)
        return find_user(store, email)


def change_role(store: Store, email: str, role: Role, now_us: int) -> User:
    """Give a person another role. They must sign in again; who stops being an admin also
    loses their management keys. Raises Conflict for the last active admin.
    """
    with store.together():
        user = find_user(store, email)
        if user.role is role:
            return user
        if user.role is Role.ADMIN:
            _require_another_admin(store, user)
            _revoke_management_keys(store, user, now_us)
        store.set_user_role(user.user_id, role)
        store.end_sessions_of(user.user_id)
        return find_user(store, email)


def deactivate_user(store: Store, email: str, now_us: int) -> tuple[User, int]:
    """Switch a person off: sessions end, all keys are revoked for good, and so are invitations
    of their address that are not accepted yet, which would switch them on again.

    Gives the person, and how many keys that were. Raises Conflict for the last active admin.
    """
    with store.together():
        user = find_user(store, email)
        if user.active and user.role is Role.ADMIN:
            _require_another_admin(store, user)
        store.set_user_active(user.user_id, False, now_us)
        store.end_sessions_of(user.user_id)
        revoked = store.revoke_keys_of(user.user_id, now_us)
        for invitation in store.invitations():
            if invitation.email == user.email and not _is_over(invitation):
                store.revoke_invitation(invitation.invitation_id, now_us)
        return find_user(store, email), revoked


def activate_user(store: Store, email: str, now_us: int) -> User:
    """Switch a person on again. Keys that were revoked stay revoked."""
    with store.together():
        user = find_user(store, email)
        store.set_user_active(user.user_id, True, now_us)
        return find_user(store, email)


def ensure_team(store: Store, name: str, now_us: int) -> Team:
    """Give the team of this name, adding it where there is none."""
    with store.together():
        return store.team_named(names.clean_name(name, TEAM)) or add_team(store, name, now_us)


def ensure_user(store: Store, email: str, team: str, now_us: int) -> User:
    """Give the person with this address, adding them to ``team`` where there is nobody."""
    with store.together():
        found = store.user_with_email(names.clean_email(email))
        return found or add_user(store, email, now_us, team=team)


def _active_team_id(store: Store, name: str) -> str:
    team = find_team(store, name)
    if not team.active:
        raise BadRequest(f"team {team.name!r} is deactivated", code="team_inactive")
    return team.team_id


def _require_one_level(store: Store, team: Team, above: Team) -> None:
    if above.team_id == team.team_id:
        raise BadRequest("a team cannot be part of itself", code="team_nesting")
    if above.parent:
        raise BadRequest(
            f"team {above.name!r} is part of {above.parent!r}: teams are nested one level",
            code="team_nesting",
        )
    parts = [each.name for each in store.teams() if each.parent == team.name]
    if parts:
        raise BadRequest(
            f"team {team.name!r} has parts of its own ({parts[0]!r}): teams are nested one level",
            code="team_nesting",
        )


def _require_another_admin(store: Store, user: User) -> None:
    others = (other for other in store.users() if other.user_id != user.user_id)
    if not any(other.active and other.role is Role.ADMIN for other in others):
        raise Conflict(
            f"{user.email!r} is the last active admin; make somebody else an admin first",
            code="last_admin",
        )


def _is_over(invitation: Invitation) -> bool:
    return invitation.accepted_at_us is not None or invitation.revoked_at_us is not None


def _revoke_management_keys(store: Store, user: User, now_us: int) -> None:
    for record in store.keys_of(user.user_id):
        if record.key.kind is KeyKind.ADMIN:
            store.revoke_key(record.key.key_id, now_us)
