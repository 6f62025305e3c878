"""The first start: an organisation, an admin, a team and a key, so that a call can be made."""

from __future__ import annotations

from typing import Final, NamedTuple

from tollkeeper.domain.access import Role
from tollkeeper.ports import Store, User, Vault
from tollkeeper.services import keys, people, sign_in

ORG: Final = "default"
TEAM: Final = "default"
ADMIN_EMAIL: Final = "admin@localhost"
KEY_NAME: Final = "first key"


class FirstRun(NamedTuple):
    """What the first start made, to be printed once."""

    admin: User
    sign_in_path: str
    key_token: str

    def __repr__(self) -> str:
        return f"FirstRun({self.admin.email}, …)"


def first_run(store: Store, vault: Vault, now_us: int, *, org: str = "") -> FirstRun | None:
    """Fill an empty store; None when it is not empty.

    All of it happens or none, so a start that is killed halfway is simply repeated, and of
    two processes that start at once one does it. ``org`` names the organisation.
    """
    with store.together():
        if not is_first_run(store):
            return None
        store.set_org_name(org or ORG)
        admin = _admin(store, now_us)
        request = keys.KeyRequest(KEY_NAME, email=admin.email)
        issued = keys.issue(store, vault, request, keys.OPERATOR, now_us)
        link = sign_in.make_link(store, vault, admin, now_us)
        return FirstRun(admin, link.path, issued.token)


def _admin(store: Store, now_us: int) -> User:
    """Give an admin: one whom the command line has added already, or a new one."""
    for user in store.users():
        if user.active and user.role is Role.ADMIN:
            return user
    people.ensure_team(store, TEAM, now_us)
    admin = people.ensure_user(store, ADMIN_EMAIL, TEAM, now_us)
    people.activate_user(store, admin.email, now_us)
    return people.change_role(store, admin.email, Role.ADMIN, now_us)


def is_first_run(store: Store) -> bool:
    """Tell whether nobody has started with this store yet."""
    try:
        store.org_name()
    except LookupError:
        return True
    return False
