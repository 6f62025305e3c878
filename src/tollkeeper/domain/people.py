"""Teams, people, keys and sessions as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tollkeeper.domain.access import KeyKind, Role, VirtualKey


@dataclass(frozen=True, slots=True)
class Team:
    team_id: str
    name: str
    active: bool
    created_at_us: int


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    email: str
    name: str
    role: Role
    team: str
    active: bool
    created_at_us: int


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A virtual key as people manage it; the part the gateway needs is ``key``."""

    key: VirtualKey
    created_at_us: int
    created_by: str
    revoked_at_us: int | None


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


@dataclass(frozen=True, slots=True)
class Session:
    """A console session. The cookie holds a secret of which only the hash is stored."""

    session_hash: bytes
    user_id: str
    created_at_us: int
    last_seen_at_us: int
    expires_at_us: int
