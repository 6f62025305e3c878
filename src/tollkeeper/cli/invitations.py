"""``tollkeeper users invite`` and the like: links by which people join."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import moments, output
from tollkeeper.cli.context import ConfigOption, DataOption, JsonOption, UrlOption, opened
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain.access import Role
from tollkeeper.domain.invitations import Invitation
from tollkeeper.services import invitation_mails, invitations
from tollkeeper.services.invitations import OPERATOR

InvitationArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The invitation's id: tollkeeper users invitations.")
]


def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address to invite.")],
    role: Annotated[Role, typer.Option("--role", help="What they may do.")] = Role.MEMBER,
    team: Annotated[str, typer.Option("--team", help="Their team.")] = "",
    mail: Annotated[
        bool, typer.Option("--mail", help="Send the link through the configured mail server.")
    ] = False,
    url: UrlOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Invite somebody: a link by which they join, once, within seven days."""
    address = (url or bootstrap.dashboard_url(config)).rstrip("/")
    with opened(data, create=True) as (store, vault):
        made = invitations.invite(store, vault, OPERATOR, email, role, team, now_us())
        org = bootstrap.organisation_of(store)
    why_not = ""
    if mail:
        mailer = bootstrap.configured_mailer(config)
        why_not = invitation_mails.send(mailer, made, org, address)
    mailed = mail and not why_not
    if as_json:
        link = None if mailed else address + made.path
        output.print_json(_row(made.invitation) | {"mailed": mailed, "url": link})
        return
    if mailed:
        output.print_line(f"Mailed to {made.invitation.email}.")
    else:
        if why_not:
            output.print_line(f"Not mailed: {why_not}.")
        output.print_line(address + made.path)
    output.print_line(f"Works once, until {moments.local(made.invitation.expires_at_us)}.")


def list_invitations(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the invitations and what has become of them, the newest first."""
    with opened(data) as (store, _):
        found = store.invitations()
    if as_json:
        output.print_json([_row(each) for each in found])
        return
    now = now_us()
    output.print_table(
        (
            output.Column("ID", whole=True),
            output.Column("E-mail"),
            output.Column("Role", whole=True),
            output.Column("Team"),
            output.Column("State", whole=True),
            output.Column("Invited by"),
            output.Column("Until", whole=True),
        ),
        [
            (
                each.invitation_id,
                each.email,
                each.role.value,
                each.team,
                each.state(now).value,
                each.invited_by,
                moments.local(each.expires_at_us),
            )
            for each in found
        ],
        "Nobody is invited. Invite somebody with: tollkeeper users invite EMAIL",
    )


def uninvite(
    invitation_id: InvitationArgument, as_json: JsonOption = False, data: DataOption = None
) -> None:
    """Revoke an invitation: its link opens nothing more."""
    with opened(data) as (store, _):
        found = invitations.revoke(store, OPERATOR, invitation_id, now_us())
    if as_json:
        output.print_json(_row(found))
    else:
        output.print_line(f"The invitation of {found.email} is {found.state(now_us()).value}.")


def _row(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.invitation_id,
        "email": invitation.email,
        "role": invitation.role.value,
        "team": invitation.team or None,
        "state": invitation.state(now_us()).value,
        "invited_by": invitation.invited_by,
        "created_at": second_text(invitation.created_at_us),
        "expires_at": second_text(invitation.expires_at_us),
    }
