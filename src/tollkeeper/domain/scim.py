"""SCIM: what an identity provider calls our people and teams, and the tokens it comes with."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.errors import BadRequest

USER_NAME_CHARS_MAX: Final = 254
EXTERNAL_ID_CHARS_MAX: Final = 255


class Fault(enum.StrEnum):
    """What is wrong with a request, in the words of RFC 7644, table 9."""

    FILTER = "invalidFilter"
    PATH = "invalidPath"
    SYNTAX = "invalidSyntax"
    VALUE = "invalidValue"
    MUTABILITY = "mutability"
    NO_TARGET = "noTarget"

    __hash__ = str.__hash__


class ScimRefused(BadRequest):
    """A request that a SCIM client has to make otherwise; ``fault`` says what is wrong with it."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message, code="scim_refused")
        self.fault = fault


class ScimToken(NamedTuple):
    """A token that manages people and groups by SCIM, and nothing else. The text is not kept.

    Times are microseconds since the epoch, UTC.
    """

    token_id: str
    name: str
    created_at_us: int
    created_by: str
    revoked_at_us: int | None = None


class KeptToken(NamedTuple):
    """A token with the keyed hash of its secret."""

    token: ScimToken
    secret_hash: bytes


class ScimUser(NamedTuple):
    """What a provider calls a person of ours. ``user_name`` and ``external_id`` may be "".

    ``removed_at_us`` is set while the person is deleted, as far as the provider is concerned.
    """

    user_id: str
    user_name: str = ""
    external_id: str = ""
    removed_at_us: int | None = None


class ScimGroup(NamedTuple):
    """What a provider calls a team of ours, as above."""

    team_id: str
    external_id: str = ""
    removed_at_us: int | None = None


class ScimBook(Protocol):
    """Where it is kept what providers call our people and teams. Unknown ids raise LookupError.

    Whoever no provider has said anything of has no line here.
    """

    def add_scim_token(self, token: ScimToken, secret_hash: bytes) -> None: ...
    def scim_tokens(self) -> list[ScimToken]:
        """List all, the newest first."""

    def scim_token(self, token_id: str) -> KeptToken | None: ...
    def revoke_scim_token(self, token_id: str, now_us: int) -> None:
        """Revoke a token for good. One that is revoked keeps its date."""

    def scim_users(self) -> list[ScimUser]: ...
    def scim_user(self, user_id: str) -> ScimUser | None: ...
    def scim_user_named(self, user_name: str) -> ScimUser | None:
        """Find whom a provider calls so, whatever the case."""

    def scim_users_with_external_id(self, external_id: str) -> list[ScimUser]: ...
    def set_scim_user(self, user: ScimUser) -> None:
        """Keep what a person is called. Raises ValueError for a name that is somebody else's."""

    def scim_groups(self) -> list[ScimGroup]: ...
    def scim_group(self, team_id: str) -> ScimGroup | None: ...
    def set_scim_group(self, group: ScimGroup) -> None: ...
