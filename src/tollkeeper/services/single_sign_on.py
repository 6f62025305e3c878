"""Signing in at a provider: what a browser carries meanwhile, and who comes in as whom.

Between the way there and the way back everything that binds the two travels in the browser,
sealed. So whoever only knocks makes us keep nothing; what is kept is that a state was spent.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final, NamedTuple

from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import BadRequest, Conflict
from tollkeeper.domain.oidc import (
    Arrival,
    Granted,
    Identity,
    OidcClient,
    OidcProvider,
    Request,
    Returned,
    SignInRefused,
)
from tollkeeper.ports import Store, User, Vault
from tollkeeper.services import names, people, sign_in
from tollkeeper.telemetry import logger

FLOW_LIFETIME_US: Final = 10 * 60 * 1_000_000
FLOW_CHARS_MAX: Final = 3_900
"""What a browser keeps in one cookie, with its name and attributes."""

BEGAN_WITH: Final = "oidc"
_HOUR_US: Final = 3600 * 1_000_000
_TOKEN_BYTES: Final = 32
_SEALED: Final = "sign-in at a provider"
_STATE: Final = "sign-in state"


class Flow(NamedTuple):
    """One sign-in on its way. ``next`` is the path of ours to go to afterwards."""

    provider: str
    request: Request
    next: str
    expires_at_us: int


class Begun(NamedTuple):
    """``address`` is where to send the browser, ``carried`` what it has to bring back."""

    address: str
    carried: str


class Arrived(NamedTuple):
    """A sign-in that is done. ``next`` is the path of ours to go to."""

    signed_in: sign_in.SignedIn
    next: str


def begin(client: OidcClient, vault: Vault, next_path: str, now_us: int) -> Begun:
    """Send somebody to a provider. Blocks, and raises ProviderFailed, as the client does."""
    request = Request(*(secrets.token_urlsafe(_TOKEN_BYTES) for _ in range(3)))
    address = client.address(request)
    flow = Flow(client.provider.name, request, next_path, now_us + FLOW_LIFETIME_US)
    carried = _carried(vault, flow)
    if len(carried) > FLOW_CHARS_MAX:
        carried = _carried(vault, flow._replace(next="/"))
    return Begun(address, carried)


def finish(
    client: OidcClient,
    store: Store,
    vault: Vault,
    carried: str,
    query: Mapping[str, str],
    now_us: int,
) -> Arrived:
    """Take somebody back from a provider and begin a session.

    ``query`` is what the provider sent along. Raises SignInRefused, or ProviderFailed.
    """
    flow = _flow(vault, carried)
    state = query.get("state", "")
    if flow is None or flow.provider != client.provider.name or now_us >= flow.expires_at_us:
        raise _over("no sign-in of this browser is on its way")
    if not hmac.compare_digest(state.encode(), flow.request.state.encode()):
        raise _over("the state is of another sign-in")
    state_hash = vault.mac(state.encode(), purpose=_STATE)
    if not store.spend_state(state_hash, now_us, flow.expires_at_us):
        raise _over("the state was used before")
    returned = Returned(query.get("code", ""), query.get("error", ""), query.get("iss", ""))
    arrival = client.arrival(flow.request, returned, now_us)
    user = admit(store, client.provider, arrival, now_us)
    ends_us = now_us + client.provider.session_h * _HOUR_US
    begun = sign_in.begin(store, vault, user, now_us, BEGAN_WITH, expires_at_us=ends_us)
    return Arrived(begun, flow.next)


def admit(store: Store, provider: OidcProvider, arrival: Arrival, now_us: int) -> User:
    """Say which of our people has arrived, adding them or binding them where that is allowed.

    Raises SignInRefused for everybody else.
    """
    with store.together():
        known = store.identity(arrival.issuer, arrival.subject)
        user = None if known is None else store.user(known.user_id)
        granted = provider.granted(arrival.groups)
        may_not = _fault(provider, arrival, granted)
        if may_not is None:
            if user is None:
                user = _newcomer(store, provider, arrival, granted, now_us)
            if user.active:
                store.use_identity(arrival.issuer, arrival.subject, now_us)
                if provider.names_groups:
                    user = _as_granted(store, user, granted, now_us)
                return user
            may_not = _switched_off()
        if user is not None:  # what a provider took back ends now, and not in a week
            store.end_sessions_of(user.user_id)
    raise may_not


def unbind(store: Store, email: str) -> tuple[User, int]:
    """Forget who a person is at the providers, and end their sessions.

    Gives the person, and how many identities that were. The next subject that comes with their
    verified address is theirs. Raises NotFound.
    """
    with store.together():
        user = people.find_user(store, email)
        removed = store.remove_identities_of(user.user_id)
        store.end_sessions_of(user.user_id)
        return user, removed


def _fault(provider: OidcProvider, arrival: Arrival, granted: Granted) -> SignInRefused | None:
    """Say why nobody with these words may come in, None if they may."""
    if provider.domains and not (arrival.is_verified and provider.takes(arrival.email)):
        return SignInRefused(
            "your e-mail address is not of a domain that may sign in here",
            code="sign_in_domain",
        )
    if provider.gives_roles and granted.role is None:
        return SignInRefused(
            "none of your groups has a role here",
            code="sign_in_no_role",
            reason=f"no group with a role among {len(arrival.groups)}",
        )
    return None


def _newcomer(
    store: Store, provider: OidcProvider, arrival: Arrival, granted: Granted, now_us: int
) -> User:
    """Give the person that a new subject is bound to. Raises SignInRefused."""
    email = _email(arrival)
    if not arrival.is_verified or not email:
        raise SignInRefused(
            f"{provider.label} does not vouch for your e-mail address",
            code="sign_in_email_unverified",
        )
    user = store.user_with_email(email)
    if user is not None and not user.active:
        raise _switched_off()
    if user is not None and store.identities_of(user.user_id):
        raise SignInRefused(
            "the account with your e-mail address belongs to another sign-in",
            code="sign_in_account_bound",
        )
    if user is None:
        if not provider.create_users or granted.role is None:
            raise SignInRefused("there is no account for you here", code="sign_in_no_account")
        user = people.add_user(store, email, now_us, name=_name(arrival), role=granted.role)
        user = _as_granted(store, user, granted, now_us)
        logger.info("person added by single sign-on", extra={"user_id": user.user_id})
    else:
        _take_back(store, user)
    store.add_identity(
        Identity(arrival.issuer, arrival.subject, user.user_id, provider.name, now_us, now_us)
    )
    return user


def _take_back(store: Store, user: User) -> None:
    """End what a lead may have got of an account before the owner of its address came.

    A lead who invites may have the link in hand, and open it: with a password of theirs they
    would go on as the owner, in every role that the owner's groups give.
    """
    if any(
        each.email == user.email and each.accepted_at_us is not None and each.role is Role.MEMBER
        for each in store.invitations()
    ):
        store.remove_password(user.user_id)
        store.end_sessions_of(user.user_id)


def _as_granted(store: Store, user: User, granted: Granted, now_us: int) -> User:
    """Give a person the role and team that their groups give."""
    if granted.role is not None and granted.role is not user.role:
        user = _with_role(store, user, granted.role, now_us)
    if granted.team and granted.team.casefold() != user.team.casefold():
        try:
            people.ensure_team(store, granted.team, now_us)
            user = people.move_user(store, user.email, granted.team, now_us)
        except (BadRequest, Conflict) as error:  # it is switched off, or was another's name
            logger.warning("team not given by groups", extra={"reason": error.message})
    return user


def _with_role(store: Store, user: User, role: Role, now_us: int) -> User:
    try:
        return people.change_role(store, user.email, role, now_us)
    except Conflict:  # nobody would be left who can let others in
        logger.warning("the last admin keeps the role", extra={"user_id": user.user_id})
        return user


def _switched_off() -> SignInRefused:
    return SignInRefused("this account is switched off", code="user_inactive")


def _email(arrival: Arrival) -> str:
    try:
        return names.clean_email(arrival.email)
    except BadRequest:
        return ""


def _name(arrival: Arrival) -> str:
    try:
        return names.clean_name(arrival.name[: names.NAME_CHARS_MAX], "the name")
    except BadRequest:
        return ""


def _over(reason: str) -> SignInRefused:
    return SignInRefused(
        "this sign-in is over, or was begun in another browser",
        code="sign_in_over",
        reason=reason,
    )


def _carried(vault: Vault, flow: Flow) -> str:
    words = [flow.provider, *flow.request, flow.next, flow.expires_at_us]
    sealed = vault.seal(json.dumps(words), name=_SEALED)
    return urlsafe_b64encode(sealed).decode().rstrip("=")


def _flow(vault: Vault, carried: str) -> Flow | None:
    if not carried or len(carried) > FLOW_CHARS_MAX:
        return None
    try:
        sealed = urlsafe_b64decode(carried + "=" * (-len(carried) % 4))
        provider, state, nonce, verifier, next_path, expires_at_us = json.loads(
            vault.open(sealed, name=_SEALED)
        )
    except ValueError:
        return None
    return Flow(provider, Request(state, nonce, verifier), next_path, expires_at_us)
