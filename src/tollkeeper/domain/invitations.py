"""Invitations: who may join, as what, until when, and what has become of it."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.access import Role

LIFETIME_US: Final = 7 * 24 * 3600 * 1_000_000


class InvitationState(enum.StrEnum):
    """What has become of an invitation."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"

    __hash__ = str.__hash__


class Invitation(NamedTuple):
    """One address that may join, once, in a role and a team ("" for none).

    ``invited_by_id`` is "" for the command line and for admin keys. Times are microseconds since
    the epoch, UTC. The link's token is nowhere but in the link.
    """

    invitation_id: str
    email: str
    role: Role
    team: str
    invited_by: str
    invited_by_id: str
    created_at_us: int
    expires_at_us: int
    accepted_at_us: int | None = None
    revoked_at_us: int | None = None

    def state(self, now_us: int) -> InvitationState:
        """Say what has become of it by now."""
        if self.accepted_at_us is not None:
            return InvitationState.ACCEPTED
        if self.revoked_at_us is not None:
            return InvitationState.REVOKED
        return InvitationState.EXPIRED if now_us >= self.expires_at_us else InvitationState.OPEN


class Invitations(Protocol):
    """Where invitations are kept. Unknown ids raise LookupError."""

    def add_invitation(
        self, invitation: Invitation, team_id: str | None, token_hash: bytes
    ) -> None: ...
    def invitations(self) -> list[Invitation]:
        """List all, the newest first, each with its team's name of now."""

    def invitation_with(self, token_hash: bytes) -> Invitation | None: ...
    def renew_invitation(self, invitation_id: str, token_hash: bytes, expires_at_us: int) -> None:
        """Give an invitation another token, which ends the one before, and more time."""

    def revoke_invitation(self, invitation_id: str, now_us: int) -> None:
        """Revoke an invitation. One that was accepted or revoked stays as it is."""

    def accept_invitation(self, token_hash: bytes, now_us: int) -> Invitation | None:
        """Spend an invitation's token, in one step; None if it is no good."""


class Mailer(Protocol):
    """Sends mails in plain text."""

    def send(self, to: str, subject: str, text: str) -> None:
        """Send one mail. Raises OSError, in words that show nothing of the mail or a password."""
