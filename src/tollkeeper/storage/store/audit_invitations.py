"""What the audit log says of invitations. Their links are in none of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tollkeeper.domain.audit import Action, Target
from tollkeeper.storage.store.audit_lines import Said, Told

if TYPE_CHECKING:
    from tollkeeper.storage.store.store import SqlStore


def invited(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say who was invited as what."""
    invitation = said["invitation"]
    detail = {
        "role": str(invitation.role),
        "team": invitation.team,
        "expires_at_us": invitation.expires_at_us,
    }
    yield Told(Action.INVITE, Target("invitation", invitation.invitation_id), detail)


def invited_again(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which invitation has another link."""
    until = {"expires_at_us": said["expires_at_us"]}
    yield Told(Action.INVITE_AGAIN, Target("invitation", said["invitation_id"]), until)


def open_invitation(store: SqlStore, said: Said) -> bool:
    """Tell whether an invitation was neither accepted nor revoked before."""
    return any(
        each.accepted_at_us is None and each.revoked_at_us is None
        for each in store.invitations()
        if each.invitation_id == said["invitation_id"]
    )


def invitation_revoked(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which invitation was revoked; revoking it twice changes nothing."""
    if before:
        yield Told(Action.INVITE_REVOKE, Target("invitation", said["invitation_id"]))


def invitation_accepted(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which invitation was accepted."""
    if result is not None:
        yield Told(Action.INVITE_ACCEPT, Target("invitation", result.invitation_id))
