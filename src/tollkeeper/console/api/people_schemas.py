"""Shapes of the API's answers about teams, people and invitations."""

from __future__ import annotations

from tollkeeper.console.api.schemas import TEXT, TIME, Schema, exactly, or_null, state
from tollkeeper.domain.access import Role
from tollkeeper.domain.invitations import InvitationState


def people_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    role: Schema = {"enum": list(Role)}
    team = {"id": TEXT, "name": TEXT, "parent": or_null(TEXT), "state": state()}
    user = {"id": TEXT, "email": TEXT, "name": TEXT, "role": role, "team": or_null(TEXT)}
    invitation: dict[str, Schema] = {
        "id": TEXT,
        "email": TEXT,
        "role": role,
        "team": or_null(TEXT),
        "state": {"enum": list(InvitationState)},
        "invited_by": TEXT,
        "created_at": TIME,
        "expires_at": TIME,
    }
    made = {"mailed": {"type": "boolean"}, "url": or_null(TEXT), "why_not_mailed": or_null(TEXT)}
    return {
        "Team": exactly({**team, "created_at": TIME}),
        "User": exactly({**user, "state": state(), "created_at": TIME}),
        "Invitation": exactly(invitation),
        "MadeInvitation": exactly({**invitation, **made}),
    }
