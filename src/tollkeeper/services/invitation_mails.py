"""What an invitation says, and sending it where there is a mail server."""

from __future__ import annotations

import logging

from tollkeeper.clock import second_text
from tollkeeper.domain.invitations import Invitation, Mailer
from tollkeeper.services.invitations import Made

logger = logging.getLogger("tollkeeper")


def send(mailer: Mailer | None, made: Made, org: str, public_url: str) -> str:
    """Mail an invitation. Give "" when it was sent, otherwise why not: then show the link."""
    if mailer is None:
        return "no mail server is configured"
    invitation = made.invitation
    try:
        text = text_of(invitation, org, public_url + made.path)
        mailer.send(invitation.email, subject_of(org), text)
    except (OSError, ValueError) as error:
        logger.warning("invitation not mailed", extra={"reason": str(error)})
        return str(error)
    return ""


def subject_of(org: str) -> str:
    """Give the subject, of one line whatever the organisation is called."""
    return f"You are invited to {_line(org)} on Tollkeeper"


def text_of(invitation: Invitation, org: str, link: str) -> str:
    """Give the text."""
    place = f", in team {_line(invitation.team)}" if invitation.team else ""
    return (
        f"{_line(invitation.invited_by)} invites you to {_line(org)} on Tollkeeper, which counts "
        f"what calls to language models cost, as {invitation.role}{place}.\n\n"
        f"Open this link to join. It works once, until {second_text(invitation.expires_at_us)}:\n\n"
        f"{link}\n\n"
        "If you did not expect this, ignore it: nothing happens without the link.\n"
    )


def _line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
