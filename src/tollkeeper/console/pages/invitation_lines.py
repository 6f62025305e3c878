"""The invitations on the page People: those that are still to be accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tollkeeper.console.shared import Console
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.invitations import InvitationState
from tollkeeper.ports import Team
from tollkeeper.reports import formatting, zones
from tollkeeper.services import invitations as service
from tollkeeper.services import people_changes

LINES_MAX: Final = 500
ROLES: Final = (
    (Role.MEMBER, "Member"),
    (Role.LEAD, "Lead"),
    (Role.FINANCE, "Finance"),
    (Role.AUDITOR, "Auditor"),
    (Role.ADMIN, "Admin"),
)
ROLE_NAMES: Final = dict(ROLES)


class InvitationLine(NamedTuple):
    """One invitation that is not accepted yet. ``ends`` is a day."""

    invitation_id: str
    email: str
    role_name: str
    team: str
    state: str
    invited_by: str
    ends: str


def invitation_lines(console: Console, viewer: Viewer, zone: str) -> tuple[InvitationLine, ...]:
    """List the invitations that are still to be accepted, the newest first."""
    if viewer.role not in service.INVITERS or viewer.scope.user_id is not None:
        return ()
    by, now_us = service.inviter_of(viewer), console.now_us()
    info, listed = zones.zone_info(zone), []
    for each in service.seen_invitations(console.store, by):
        state = each.state(now_us)
        if state in {InvitationState.OPEN, InvitationState.EXPIRED}:
            ends = formatting.day(zones.local_time(each.expires_at_us, info).date())
            listed.append(
                InvitationLine(
                    *(each.invitation_id, each.email, ROLE_NAMES[each.role], each.team),
                    *(state.value, each.invited_by, ends),
                )
            )
    return tuple(listed[:LINES_MAX])


def inviting(viewer: Viewer, teams: Sequence[Team]) -> tuple[str, ...] | None:
    """Name the teams into which a viewer may invite; None for who invites nobody."""
    if viewer.role not in service.INVITERS or viewer.scope.user_id is not None:
        return None
    return tuple(
        team.name
        for team in teams
        if team.active and people_changes.in_scope(viewer.scope, team.name)
    )
