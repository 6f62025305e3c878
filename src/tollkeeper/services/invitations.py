"""Invitations: made, sent again, revoked, accepted.

A link is a random text of 256 bits and works once, for seven days. The store keeps a keyed hash
of it, so that a copy of the store lets nobody in. Whoever has invited somebody must still be
allowed to when the link is used: what a lead was allowed yesterday opens nothing today.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from tollkeeper.acting import acting, actor
from tollkeeper.domain.access import Role, Viewer
from tollkeeper.domain.audit import Actor, ActorKind
from tollkeeper.domain.errors import BadRequest, Conflict, KeyRejected, NotAllowed, NotFound
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.invitations import LIFETIME_US, Invitation, InvitationState
from tollkeeper.ports import Store, User, Vault
from tollkeeper.services import names, people, people_changes, sign_in
from tollkeeper.services.sign_in import SignedIn

LINK_PATH: Final = "/join?token="
INVITERS: Final = frozenset({Role.ADMIN, Role.LEAD})
OPEN_MAX: Final = 10_000
LINKS_PER_HOUR_MAX: Final = 100
"""How many people a lead may invite, or send a link again, in an hour: each may be a mail."""

AGAIN_US: Final = 60 * 1_000_000
"""How long a lead waits before the same address gets another link."""

_HOUR_US: Final = 3600 * 1_000_000
_TOKEN_BYTES: Final = 32
_TOKEN_CHARS: Final = 43
_PURPOSE: Final = "invitation"
_MINT: Final = IdMint()


class Inviter(NamedTuple):
    """Who invites. ``teams`` is None for every team and role; otherwise members of these only."""

    name: str
    user_id: str
    teams: frozenset[str] | None


OPERATOR: Final = Inviter("command line", "", None)


class Made(NamedTuple):
    """An invitation with its link, which is shown or sent this once."""

    invitation: Invitation
    path: str

    def __repr__(self) -> str:
        return f"Made({self.invitation.email}, …)"


def inviter_of(viewer: Viewer) -> Inviter:
    """Say whom a viewer may invite. Raises NotAllowed for who invites nobody."""
    if viewer.role is Role.ADMIN:
        return Inviter(viewer.name, viewer.user_id, None)
    if viewer.role is Role.LEAD and viewer.scope.teams:
        return Inviter(viewer.name, viewer.user_id, viewer.scope.teams)
    raise NotAllowed("an admin invites, or a lead for their own team", code="role_too_low")


def invite(
    store: Store,
    vault: Vault,
    by: Inviter,
    email: str,
    role: Role,
    team: str,
    now_us: int,
) -> Made:
    """Invite an address. An invitation of it that is still open ends.

    Raises Conflict where somebody has this address or a lead is too fast, NotAllowed for a role
    or team that the inviter cannot give, NotFound and BadRequest as for a new person.
    """
    address = names.clean_email(email)
    with store.together():
        found = people.find_team(store, team) if team else None
        _require_may(by, role, "" if found is None else found.name)
        if found is not None and not found.active:
            raise BadRequest(f"team {found.name!r} is deactivated", code="team_inactive")
        _require_free(store, by, address)
        _require_pace(store, by, address, now_us)
        before = open_invitations(store, now_us)
        if len(before) >= OPEN_MAX:
            raise Conflict("too many invitations are open; revoke some", code="invitations_full")
        for each in before:
            if each.email == address:
                require_own(by, each)
                store.revoke_invitation(each.invitation_id, now_us)
        invitation = Invitation(
            *(_MINT.next(now_us // 1000), address, role, "" if found is None else found.name),
            *(by.name, by.user_id, now_us, now_us + LIFETIME_US),
        )
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        team_id = None if found is None else found.team_id
        store.add_invitation(invitation, team_id, _hashed(vault, token))
    return Made(invitation, LINK_PATH + token)


def resend(store: Store, vault: Vault, by: Inviter, invitation_id: str, now_us: int) -> Made:
    """Make another link for an invitation, for seven days; the one before opens nothing more.

    Raises NotFound, also for one that is not the inviter's to see, and Conflict for one that was
    accepted or revoked.
    """
    with store.together():
        found = _known(store, by, invitation_id)
        if found.state(now_us) in {InvitationState.ACCEPTED, InvitationState.REVOKED}:
            raise Conflict(
                f"this invitation is {found.state(now_us)}; invite again", code="invitation_over"
            )
        _require_free(store, by, found.email)
        _require_pace(store, by, found.email, now_us)
        token, until_us = secrets.token_urlsafe(_TOKEN_BYTES), now_us + LIFETIME_US
        store.renew_invitation(invitation_id, _hashed(vault, token), until_us)
    return Made(found._replace(expires_at_us=until_us), LINK_PATH + token)


def revoke(store: Store, by: Inviter, invitation_id: str, now_us: int) -> Invitation:
    """Revoke an invitation; doing it twice changes nothing. Raises NotFound."""
    with store.together():
        _known(store, by, invitation_id)
        store.revoke_invitation(invitation_id, now_us)
        return _known(store, by, invitation_id)


def seen_invitations(store: Store, by: Inviter) -> list[Invitation]:
    """List those that somebody may see, send again and revoke, the newest first."""
    return [each for each in store.invitations() if _is_own(by, each)]


def open_invitations(store: Store, now_us: int) -> Sequence[Invitation]:
    """List the invitations that can still be accepted."""
    return [each for each in store.invitations() if each.state(now_us) is InvitationState.OPEN]


def look(store: Store, vault: Vault, token: str, now_us: int) -> Invitation | None:
    """Give the invitation of a link that is still good, without spending it."""
    found = store.invitation_with(_hashed(vault, token)) if len(token) == _TOKEN_CHARS else None
    good = found is not None and found.state(now_us) is InvitationState.OPEN
    return found if good else None


def accept(store: Store, vault: Vault, token: str, name: str, now_us: int) -> SignedIn:
    """Spend a link: make the account, or switch it on again, and begin a session.

    Raises KeyRejected for a link that is unknown, used, revoked, expired, or no longer backed by
    who made it; it does not say which. It never opens an account that is in use.
    """
    with store.together():
        asked = store.invitation_with(_hashed(vault, token)) if len(token) == _TOKEN_CHARS else None
        if asked is None:
            raise _rejected()
        before = store.user_with_email(asked.email)
        user_id = _MINT.next(now_us // 1000) if before is None else before.user_id
        with acting(_by_the_invited(asked, user_id)):
            spent = store.accept_invitation(_hashed(vault, token), now_us)
            if spent is None or not _is_backed(store, spent):
                raise _rejected()
            user = store.user_with_email(spent.email)  # as it is now that others have to wait
            if user is not None and (user.active or not _is_of_an_admin(store, spent)):
                raise _rejected()
            called = name.strip()
            if user is None:
                user = people.add_user(
                    *(store, spent.email, now_us),
                    name=called,
                    role=spent.role,
                    team=spent.team,
                    user_id=user_id,
                )
            else:
                user = people_changes.change_user(
                    *(store, user.user_id, now_us),
                    name=called or None,
                    role=spent.role,
                    team=spent.team,
                    active=True,
                )
            return sign_in.begin(store, vault, user, now_us, sign_in.LINK)


def _by_the_invited(invitation: Invitation, user_id: str) -> Actor:
    """Say who acts while an invitation is accepted: whoever it is for, unless the browser is
    signed in as somebody already, who then is who does it."""
    by = actor()
    if by.kind is not ActorKind.ANYBODY and by.kind is not ActorKind.SYSTEM:
        return by
    return Actor(ActorKind.PERSON, invitation.email, user_id, by.address)


def require_own(by: Inviter, invitation: Invitation) -> None:
    """Raise Conflict where an address has an open invitation that is not the inviter's."""
    if not _is_own(by, invitation):
        raise Conflict(
            f"there is an invitation for {invitation.email!r} already", code="invitation_exists"
        )


def _known(store: Store, by: Inviter, invitation_id: str) -> Invitation:
    for each in seen_invitations(store, by):
        if each.invitation_id == invitation_id:
            return each
    raise NotFound("there is no such invitation", code="invitation_not_found")


def _is_own(by: Inviter, invitation: Invitation) -> bool:
    return by.teams is None or (invitation.role is Role.MEMBER and invitation.team in by.teams)


def _require_may(by: Inviter, role: Role, team: str) -> None:
    if by.teams is None:
        return
    if role is not Role.MEMBER:
        raise NotAllowed("a lead invites members; an admin gives other roles", code="role_too_low")
    if team not in by.teams:
        raise NotAllowed("a lead invites people into their own team", code="other_team")


def _require_free(store: Store, by: Inviter, address: str) -> None:
    """Raise Conflict for an address in use. One that is switched off is an admin's to invite."""
    user = store.user_with_email(address)
    if user is not None and (user.active or by.teams is not None):
        raise Conflict(f"there is a user {address!r} already", code="user_exists")


def _require_pace(store: Store, by: Inviter, address: str, now_us: int) -> None:
    """Raise Conflict where a lead would have mails sent faster than people are invited."""
    if by.teams is None:
        return
    lately = 0
    for each in store.invitations():
        age_us = now_us - (each.expires_at_us - LIFETIME_US)  # of its newest link
        if each.email == address and age_us < AGAIN_US:
            raise Conflict(
                f"{address!r} was sent a link a moment ago; wait a minute", code="invited_just_now"
            )
        lately += age_us < _HOUR_US and each.invited_by_id == by.user_id
    if lately >= LINKS_PER_HOUR_MAX:
        raise Conflict(
            f"a lead invites {LINKS_PER_HOUR_MAX} people in an hour at most; ask an admin",
            code="invitations_full",
        )


def _is_backed(store: Store, invitation: Invitation) -> bool:
    """Tell whether who made an invitation could make it now."""
    if _is_of_an_admin(store, invitation):
        return True
    user = store.user(invitation.invited_by_id)
    if user is None or not user.active:
        return False
    return _is_own(Inviter(user.email, user.user_id, _led(store, user)), invitation)


def _is_of_an_admin(store: Store, invitation: Invitation) -> bool:
    """Tell whether an invitation is an admin's: they alone switch somebody on again."""
    if not invitation.invited_by_id:
        return True
    user = store.user(invitation.invited_by_id)
    return user is not None and user.active and user.role is Role.ADMIN


def _led(store: Store, user: User) -> frozenset[str]:
    return people_changes.led_teams(store, user)


def _rejected() -> KeyRejected:
    return KeyRejected(
        "this invitation is used, revoked or has expired; ask for a new one",
        code="link_rejected",
    )


def _hashed(vault: Vault, token: str) -> bytes:
    return vault.mac(token.encode("utf-8", "surrogatepass"), purpose=_PURPOSE)
