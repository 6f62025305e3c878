"""What the audit log says of invitations. Their links are in none of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tollkeeper.domain.audit import Action, Target
from tollkeeper.storage.store.audit_lines import Said, Told


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


def invitation_revoked(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which invitation was revoked."""
    yield Told(Action.INVITE_REVOKE, Target("invitation", said["invitation_id"]))


def invitation_accepted(said: Said, before: Any, result: Any) -> Iterable[Told]:
    """Say which invitation was accepted."""
    if result is not None:
        yield Told(Action.INVITE_ACCEPT, Target("invitation", result.invitation_id))
