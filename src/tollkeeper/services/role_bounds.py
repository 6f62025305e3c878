"""Roles that a bounded management key gives: none that has more rights than the key itself."""

from __future__ import annotations

from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import NotAllowed
from tollkeeper.services.keys import Issuer


def require_may_give(issuer: Issuer, role: Role) -> None:
    """Refuse to make somebody more than a member by a key that has bounds.

    People have none: as an admin, whoever has such a key would reach further and longer than it
    does, from everywhere. Raises NotAllowed.
    """
    bounded = (
        issuer.models or issuer.providers or issuer.networks or issuer.expires_at_us is not None
    )
    if role is not Role.MEMBER and bounded:
        raise NotAllowed(
            f"this admin key is bounded, and somebody who is {role.value} would not be",
            code="rights_exceeded",
        )
