"""Teams, people, keys and sessions as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tollkeeper.domain.access import KeyKind, Role, VirtualKey


@dataclass(frozen=True, slots=True)
class Team:
    """``parent`` names the team that this one is part of; teams are nested one level."""

    team_id: str
    name: str
    active: bool
    created_at_us: int
    parent: str = ""


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    email: str
    name: str
    role: Role
    team: str
    active: bool
    created_at_us: int


class NewUser(NamedTuple):
    """Somebody to be added, with the address in lower case."""

    email: str
    name: str
    role: Role
    team_id: str | None


class Membership(NamedTuple):
    """A stretch of time in which an account was active, in one team or in none ("").

    ``team`` is the name as of then. ``until_us`` is None while it lasts.
    """

    user_id: str
    team: str
    from_us: int
    until_us: int | None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A virtual key as people manage it; the part the gateway needs is ``key``."""

    key: VirtualKey
    created_at_us: int
    created_by: str
    revoked_at_us: int | None
    rotated_at_us: int | None = None
    rotated_by: str = ""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is needed to store a key. ``secret_hmac`` comes from the key service."""

    key_id: str
    secret_hmac: bytes
    pepper_version: int
    kind: KeyKind
    name: str
    team_id: str | None
    user_id: str | None
    expires_at_us: int | None
    models: tuple[str, ...]
    providers: tuple[str, ...]
    tags: Mapping[str, str]
    created_by: str
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a rotation changes of a key: its secret, and its end.

    The secret before is good until ``earlier_until_us``.
    """

    key_id: str
    secret_hmac: bytes
    pepper_version: int
    earlier_until_us: int
    expires_at_us: int | None
    rotated_by: str


@dataclass(frozen=True, slots=True)
class ChangedKey:
    """What a key is to be from now on. Its owner, kind and secret stay as they are."""

    key_id: str
    name: str
    expires_at_us: int | None
    models: tuple[str, ...]
    providers: tuple[str, ...]
    tags: Mapping[str, str]
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """A console session. The cookie holds a secret of which only the hash is stored.

    ``began_with`` says how the person proved who they are: a link, a password, or the like.
    """

    session_hash: bytes
    user_id: str
    created_at_us: int
    last_seen_at_us: int
    expires_at_us: int
    began_with: str = "link"


class Keys(Protocol):
    """Where keys are kept. Unknown ids raise LookupError."""

    def add_key(self, new: NewKey, now_us: int) -> KeyRecord: ...
    def keys(self) -> list[KeyRecord]: ...
    def keys_of(self, user_id: str) -> list[KeyRecord]: ...
    def key(self, key_id: str) -> KeyRecord | None: ...
    def change_key(self, new: ChangedKey) -> None:
        """Change what a key is called, may do and until when."""

    def rotate_key(self, new: NewSecret, now_us: int) -> None:
        """Give a key a new secret; the one that it has becomes the earlier one."""

    def revoke_key(self, key_id: str, now_us: int) -> None:
        """Revoke a key for good. One that is revoked already keeps its date."""

    def revoke_keys_of(self, user_id: str, now_us: int) -> int:
        """Revoke all keys of a person; say how many were not revoked before."""


class People(Protocol):
    """Where teams and people are kept.

    Unknown ids raise LookupError, a name that is taken ValueError. E-mails and team names are
    found whatever their case. What changes where somebody belongs is told when (``now_us``), and
    changes nothing of the memberships before.
    """

    def add_team(self, name: str, now_us: int, team_id: str = "") -> Team:
        """Add a team. Its id is minted where none is given; one that is given must be free."""

    def teams(self) -> list[Team]: ...
    def team_named(self, name: str) -> Team | None: ...
    def set_team_active(self, team_id: str, active: bool) -> None: ...
    def rename_team(self, team_id: str, name: str, now_us: int) -> None: ...
    def set_team_parent(self, team_id: str, parent_id: str | None) -> None:
        """Make a team part of another one, or of none. Who asks sees to it that they nest."""

    def add_user(
        self,
        email: str,
        name: str,
        role: Role,
        team_id: str | None,
        now_us: int,
        user_id: str = "",
    ) -> User:
        """Add a person. Their id is minted where none is given; one that is given must be free."""

    def add_users(self, new: Sequence[NewUser], now_us: int) -> list[str]:
        """Add many people at once, with ids that are minted; give these, in their order."""

    def users(self) -> list[User]: ...
    def user(self, user_id: str) -> User | None: ...
    def user_with_email(self, email: str) -> User | None: ...
    def set_user_active(self, user_id: str, active: bool, now_us: int) -> None: ...
    def set_user_role(self, user_id: str, role: Role) -> None: ...
    def set_user_name(self, user_id: str, name: str) -> None: ...
    def set_user_team(self, user_id: str, team_id: str | None, now_us: int) -> None: ...

    def memberships(self) -> list[Membership]:
        """List when everybody was in which team, each person's oldest stretch first."""
