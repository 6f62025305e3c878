"""``/api/v1/invitations``: invite, send again, revoke, list."""

from __future__ import annotations

from typing import Any

import msgspec

from tollkeeper.clock import second_text
from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import (
    PAGING,
    check_names,
    issuer_of,
    list_page,
    read_body,
    viewer_of,
)
from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role
from tollkeeper.domain.invitations import Invitation
from tollkeeper.services import invitation_mails
from tollkeeper.services import invitations as service
from tollkeeper.services.invitations import Made
from tollkeeper.services.role_bounds import require_may_give


class InvitationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/invitations``. ``mail: false`` gives the link to hand on."""

    email: str
    role: Role = Role.MEMBER
    team: str = ""
    mail: bool = True


def list_invitations(console: Console, access: Access, question: Question) -> Answer:
    """List the invitations that whoever asks may see, the newest first."""
    check_names(question.query, PAGING)
    now_us = console.now_us()
    found = service.seen_invitations(console.store, service.inviter_of(viewer_of(access)))
    page = list_page([_document(each, now_us) for each in found], question.query)
    return Document({"invitations": list(page.rows), "next_cursor": page.next_cursor})


def invite(console: Console, access: Access, question: Question) -> Answer:
    """Invite an address. The link is mailed, or given this once where it was not."""
    check_names(question.query, ())
    body = read_body(question.body, InvitationBody)
    require_may_give(issuer_of(access), body.role)
    by = service.inviter_of(viewer_of(access))
    made = service.invite(
        *(console.store, console.vault, by, body.email, body.role, body.team, console.now_us())
    )
    return Document(_made(console, made, mail=body.mail), 201)


def resend(console: Console, access: Access, question: Question) -> Answer:
    """Make another link for an invitation; the one before opens nothing more."""
    check_names(question.query, ())
    by, invitation_id = service.inviter_of(viewer_of(access)), question.path["invitation_id"]
    for each in service.seen_invitations(console.store, by):
        if each.invitation_id == invitation_id:
            require_may_give(issuer_of(access), each.role)
    made = service.resend(console.store, console.vault, by, invitation_id, console.now_us())
    return Document(_made(console, made, mail=True))


def revoke(console: Console, access: Access, question: Question) -> Answer:
    """Revoke an invitation."""
    check_names(question.query, ())
    by, now_us = service.inviter_of(viewer_of(access)), console.now_us()
    found = service.revoke(console.store, by, question.path["invitation_id"], now_us)
    return Document(_document(found, now_us))


def _made(console: Console, made: Made, *, mail: bool) -> dict[str, Any]:
    mailer = console.mailer if mail else None
    why_not = invitation_mails.send(mailer, made, console.org, console.public_url)
    url = console.public_url + made.path if why_not else None
    return {
        **_document(made.invitation, console.now_us()),
        "mailed": not why_not,
        "url": url,
        "why_not_mailed": (why_not or None) if mail else None,
    }


def _document(invitation: Invitation, now_us: int) -> dict[str, Any]:
    return {
        "id": invitation.invitation_id,
        "email": invitation.email,
        "role": invitation.role.value,
        "team": invitation.team or None,
        "state": invitation.state(now_us).value,
        "invited_by": invitation.invited_by,
        "created_at": second_text(invitation.created_at_us),
        "expires_at": second_text(invitation.expires_at_us),
    }
