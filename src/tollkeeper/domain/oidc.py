"""Single sign-on by OpenID Connect: the providers that people sign in at, and what a group gives.

Who somebody is, is said by the issuer and the subject together, and by nothing else: addresses
and names change hands.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.access import Role
from tollkeeper.domain.errors import NotAllowed, UpstreamFailed

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
ISSUER_CHARS_MAX: Final = 500
SUBJECT_CHARS_MAX: Final = 255
SESSION_H: Final = 24
"""How long a session from a provider lasts unless the configuration says otherwise, in hours."""

EVERYBODY: Final = "*"
"""A group that everybody is in."""


class GroupRule(NamedTuple):
    """What a group gives. ``role`` None and ``team`` "" leave that as it is."""

    group: str
    role: Role | None = None
    team: str = ""


class Granted(NamedTuple):
    """What somebody's groups give together. ``role`` is None where no group gives one."""

    role: Role | None
    team: str


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """One provider. ``label`` is on its button.

    ``groups_claim``, ``email_claim`` and ``name_claim`` say where a claim stands. Without
    ``rules`` roles are ours alone to give. ``domains`` are those that addresses must be of, all
    if there are none. ``trusts_emails`` takes addresses for verified of which nothing is said.
    ``private_hosts`` may be inside. After ``session_h`` hours people are sent there again, so that
    what they lost there ends here too.
    """

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = "groups"
    email_claim: str = "email"
    name_claim: str = "name"
    rules: tuple[GroupRule, ...] = ()
    create_users: bool = False
    domains: frozenset[str] = frozenset()
    trusts_emails: bool = False
    signs_out: bool = False
    private_hosts: frozenset[str] = frozenset()
    session_h: int = SESSION_H

    @property
    def gives_roles(self) -> bool:
        """Tell whether groups decide who may come in, and as what."""
        return any(rule.role is not None for rule in self.rules)

    @property
    def names_groups(self) -> bool:
        """Tell whether groups go on deciding. A rule for everybody alone is for new people."""
        return any(rule.group != EVERYBODY for rule in self.rules)

    @property
    def path(self) -> str:
        """Give the path of ours that leads to it."""
        return f"/login/oidc/{self.name}"

    def granted(self, groups: Collection[str]) -> Granted:
        """Say what somebody's groups give: of each kind, what the first rule gives that fits."""
        fitting = [rule for rule in self.rules if rule.group in groups or rule.group == EVERYBODY]
        role = next((rule.role for rule in fitting if rule.role is not None), None)
        return Granted(role, next((rule.team for rule in fitting if rule.team), ""))

    def takes(self, email: str) -> bool:
        """Tell whether an address is of a domain that may come in."""
        return not self.domains or email.rpartition("@")[2].lower() in self.domains


class Arrival(NamedTuple):
    """Somebody who has signed in at a provider, as its signed and checked words say.

    ``email`` may be "". ``is_verified`` tells that the provider vouches for the address.
    """

    issuer: str
    subject: str
    email: str
    is_verified: bool
    name: str
    groups: tuple[str, ...]


class Identity(NamedTuple):
    """That a subject of an issuer is one of our people. Times are epoch microseconds."""

    issuer: str
    subject: str
    user_id: str
    provider: str
    created_at_us: int
    used_at_us: int


class Request(NamedTuple):
    """What one sign-in is bound to: sent along, or kept from the browser until it is over."""

    state: str
    nonce: str
    verifier: str


class Returned(NamedTuple):
    """What a provider sent somebody back with. Each is "" where it was not there."""

    code: str = ""
    error: str = ""
    issuer: str = ""


class SignInRefused(NotAllowed):
    """Nobody is signed in by this. ``reason`` is for the log: a page would tell too much."""

    code = "sign_in_refused"

    def __init__(self, message: str, *, code: str | None = None, reason: str = "") -> None:
        super().__init__(message, code=code)
        self.reason = reason or message


class ProviderFailed(UpstreamFailed):
    """A provider cannot be reached or used. ``what`` and ``reason`` are for operators."""

    code = "sign_in_unreachable"

    def __init__(self, label: str, what: str, reason: str) -> None:
        super().__init__(f"{label} cannot be reached or does not answer as it should")
        self.what = what
        self.reason = reason


class OidcClient(Protocol):
    """Our side of one provider. What asks the provider blocks, for seconds at worst.

    Raises ProviderFailed when the provider cannot be reached or used, SignInRefused for what
    does not stand its checks.
    """

    @property
    def provider(self) -> OidcProvider: ...
    @property
    def redirect_uri(self) -> str:
        """Give the one address that the provider may send people back to."""

    def address(self, request: Request) -> str:
        """Say where to send the browser."""

    def arrival(self, request: Request, returned: Returned, now_us: int) -> Arrival:
        """Turn what somebody came back with into who they are, checking all of it."""

    def farewell(self) -> str:
        """Say where to send a browser to sign out at the provider too, "" for nowhere."""

    def examine(self) -> None:
        """Look whether a sign-in could work."""


class Identities(Protocol):
    """Where it is kept who is whom at the providers, and which sign-ins are over.

    Unknown ids raise LookupError, an identity that is taken ValueError.
    """

    def identity(self, issuer: str, subject: str) -> Identity | None: ...
    def identities(self) -> list[Identity]:
        """List all, those of one person together, the oldest first."""

    def identities_of(self, user_id: str) -> list[Identity]: ...
    def add_identity(self, identity: Identity) -> None: ...
    def remove_identities_of(self, user_id: str) -> int:
        """Forget all identities of a person; say how many there were."""

    def use_identity(self, issuer: str, subject: str, now_us: int) -> None: ...
    def spend_state(self, state_hash: bytes, now_us: int, expires_at_us: int) -> bool:
        """Tell whether this is the first time that a state is spent, and forget expired ones."""
