"""Who may do what: people, keys and the scope of what a viewer may see."""

from __future__ import annotations

import enum
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from tollkeeper.domain.errors import KeyRejected, NotAllowed
from tollkeeper.domain.networks import Address, Networks

NO_TAGS: Final[Mapping[str, str]] = {}


class Role(enum.StrEnum):
    """What a person may do in the console. Rights grow by the table in ``docs/access.md``."""

    ADMIN = "admin"
    FINANCE = "finance"
    LEAD = "lead"
    MEMBER = "member"
    AUDITOR = "auditor"


class KeyKind(enum.StrEnum):
    """A virtual key calls models; an admin key manages, and never calls a model."""

    VIRTUAL = "virtual"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """One key as the gateway knows it. The secret itself is never stored.

    ``key_id`` is the public eight-character part of the token. Times are microseconds
    since the epoch, UTC. ``models`` and ``providers`` are globs; empty means all.
    ``active`` is false when the key is revoked or its user, team or organisation is
    switched off. Names are as of now; a ledger entry copies them.
    ``networks`` are those from which it may be used, None for all.

    A key that was rotated has a new secret and is otherwise the same key: its budgets, rights
    and history go on. ``earlier_hmac`` is of the secret before, which is good until
    ``earlier_until_us``; it is kept later too, to tell its holder what happened.
    """

    key_id: str
    name: str
    kind: KeyKind
    secret_hmac: bytes = field(repr=False)
    org: str
    team: str = ""
    user_id: str = ""
    user_name: str = ""
    active: bool = True
    expires_at_us: int | None = None
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    networks: Networks | None = None
    earlier_hmac: bytes = field(default=b"", repr=False)
    earlier_until_us: int = 0

    def is_secret(self, secret_hmac: bytes) -> bool:
        """Tell whether this is the hash of the key's secret, in a time that tells nothing."""
        return hmac.compare_digest(secret_hmac, self.secret_hmac)

    def is_earlier_secret(self, secret_hmac: bytes) -> bool:
        """Tell whether this is the hash of the secret before the last rotation."""
        return bool(self.earlier_hmac) and hmac.compare_digest(secret_hmac, self.earlier_hmac)

    def require_usable(self, now_us: int) -> None:
        """Raise KeyRejected unless the key is valid at this moment."""
        if not self.active:
            raise KeyRejected(f"key {self.key_id} is revoked", code="key_revoked")
        if self.expires_at_us is not None and now_us >= self.expires_at_us:
            raise KeyRejected(f"key {self.key_id} has expired", code="key_expired")

    def require_earlier_usable(self, now_us: int) -> None:
        """Raise KeyRejected where the secret before the last rotation is over."""
        if now_us >= self.earlier_until_us:
            raise KeyRejected(
                f"key {self.key_id} was rotated, and this secret of it is over; use the new one",
                code="key_rotated",
            )

    def require_from(self, address: Address | None) -> None:
        """Raise NotAllowed unless the key may be used from this address; None is unknown."""
        if self.networks is not None and address not in self.networks:
            raise NotAllowed(
                f"key {self.key_id} may not be used from this address", code="address_not_allowed"
            )

    def require_model(self, provider: str, model: str) -> None:
        """Raise NotAllowed unless this key may use this model of this provider."""
        if self.providers and not any(fnmatchcase(provider, glob) for glob in self.providers):
            raise NotAllowed(
                f"key {self.key_id} may not use provider {provider!r}", code="provider_not_allowed"
            )
        if self.models and not any(fnmatchcase(model, glob) for glob in self.models):
            raise NotAllowed(
                f"key {self.key_id} may not use model {model!r}", code="model_not_allowed"
            )


@dataclass(frozen=True, slots=True)
class Scope:
    """Which entries a viewer may see. Required by every report, so no page can forget it.

    ``teams`` is None for the whole organisation; otherwise exactly these teams.
    ``user_id`` narrows to one person's own entries.
    """

    org: str
    teams: frozenset[str] | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person, or an admin key, as the console sees it.

    ``sees_names`` tells whether reports name other people to them, or show pseudonyms.
    """

    user_id: str
    name: str
    role: Role
    scope: Scope
    sees_names: bool = True
