"""What the audit log says of SCIM: tokens, and what providers call people and teams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tollkeeper.domain.audit import Action, Target, changed
from tollkeeper.domain.scim import ScimGroup, ScimUser
from tollkeeper.storage.store.audit_lines import Said, Told

if TYPE_CHECKING:
    from tollkeeper.storage.store.store import SqlStore


def token_made(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which token was made."""
    token = said["token"]
    yield Told(Action.SCIM_TOKEN_MAKE, Target("scim token", token.token_id), {"name": token.name})


def scim_token(store: SqlStore, said: Said) -> Any:
    """Give a token as it was."""
    return store.scim_token(said["token_id"])


def token_revoked(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which token was revoked."""
    if before.token.revoked_at_us is None:
        target = Target("scim token", said["token_id"])
        yield Told(Action.SCIM_TOKEN_REVOKE, target, {"name": before.token.name})


def scim_user(store: SqlStore, said: Said) -> Any:
    """Give what a person was called."""
    return store.scim_user(said["user"].user_id)


def user_called(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say what a provider calls a person from now on; names are nobody's business here."""
    now = said["user"]
    was = ScimUser(now.user_id) if before is None else before
    detail = changed(
        {"external_id": was.external_id, "removed": was.removed_at_us is not None},
        {"external_id": now.external_id, "removed": now.removed_at_us is not None},
    )
    if detail or before is None or was.user_name != now.user_name:
        yield Told(Action.USER_PROVISION, Target("user", now.user_id), detail)


def scim_group(store: SqlStore, said: Said) -> Any:
    """Give what a team was called."""
    return store.scim_group(said["group"].team_id)


def group_called(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say what a provider calls a team from now on."""
    now = said["group"]
    was = ScimGroup(now.team_id) if before is None else before
    detail = changed(
        {"external_id": was.external_id, "removed": was.removed_at_us is not None},
        {"external_id": now.external_id, "removed": now.removed_at_us is not None},
    )
    if detail or before is None:
        yield Told(Action.TEAM_PROVISION, Target("team", now.team_id), detail)
