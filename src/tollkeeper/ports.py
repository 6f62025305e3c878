"""What we need from outside, as protocols. Adapters live in ``storage``, ``providers``, ``notify``.

Rules and apps name only these; ``bootstrap.py`` decides who stands behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tollkeeper.domain.access import KeyKind, Role, VirtualKey
from tollkeeper.domain.calls import Held
from tollkeeper.domain.ledger import LedgerEntry

if TYPE_CHECKING:
    import ibis.expr.types as ir

# ----------------------------------------------------------------------------- journal


class Journal(Protocol):
    """The append-only journal of one gateway process.

    Records are buffered and written together once per turn of the event loop; the
    callback of a record runs right after the write that contains it, with None, or with
    the OSError that stopped it. Only the loop's own thread may call these.
    """

    def hold(self, held: Held, on_written: Callable[[OSError | None], None]) -> None:
        """Record a call before its first upstream byte."""

    def sent(self, entry_id: str, on_written: Callable[[OSError | None], None]) -> None:
        """Record that a held call's connection stands and its bytes follow."""

    def post(
        self,
        entry_id: str,
        entries: Sequence[LedgerEntry],
        on_written: Callable[[OSError | None], None] | None,
    ) -> None:
        """Resolve a call with its ledger entries. Space for it was reserved when it was held."""

    def void(self, entry_id: str) -> None:
        """Resolve a held call that never reached the provider and leaves no entry."""


class SegmentInfo(NamedTuple):
    """One journal file. ``closed`` files never grow again and hold no unresolved call."""

    name: str
    closed: bool


class SegmentChunk(NamedTuple):
    """What one read of a segment gave.

    ``offset`` is where the next read starts. ``at_end`` tells that nothing more is there
    at the moment. ``damaged`` counts records that failed their checksum and were skipped.
    """

    entries: list[LedgerEntry]
    offset: int
    at_end: bool
    damaged: int


class JournalTail(Protocol):
    """The journal folder as the loader sees it: segments of all gateway processes."""

    def segments(self) -> list[SegmentInfo]:
        """List the segments, oldest first."""

    def read(self, name: str, offset: int, entries_max: int) -> SegmentChunk:
        """Read the ledger entries that follow an offset. Raises LookupError if it is gone."""

    def remove(self, name: str) -> None:
        """Delete a closed segment that has been loaded to its end."""


# ----------------------------------------------------------------------------- ledger


class Position(NamedTuple):
    """How far a journal segment has been loaded: bytes from its start."""

    segment: str
    offset: int


class Ledger(Protocol):
    """The one table of entries, in some engine. Only the process that opened it uses it."""

    engine: str

    def positions(self) -> Mapping[str, int]:
        """Give the loaded offset of every segment that the ledger remembers."""

    def append(self, entries: Sequence[LedgerEntry], position: Position) -> int:
        """Add a batch and move its segment's position, in one transaction.

        Entries that are already present are skipped. Returns how many were added.
        """

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that no longer exist."""

    def entries(self) -> ir.Table:
        """Give the entries table as an Ibis expression."""

    def tag(self, table: ir.Table, key: str) -> ir.StringValue:
        """Give the value of one tag (NULL where absent). The key is checked here."""

    def run(self, expression: ir.Table) -> list[dict[str, Any]]:
        """Run a query. Money columns come back as Decimal USD, times as aware datetimes."""

    def close(self) -> None:
        """Write everything out and release the engine."""


# ----------------------------------------------------------------------------- store


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


class Store(Protocol):
    """Who may do what: organisation, teams, people, keys, sessions, provider secrets.

    Every write raises the store's revision, which gateways watch.
    Unknown ids raise LookupError; a name that is taken raises ValueError.
    """

    def org_name(self) -> str: ...
    def set_org_name(self, name: str) -> None: ...
    def revision(self) -> int: ...

    def add_team(self, name: str, now_us: int) -> Team: ...
    def teams(self) -> list[Team]: ...
    def team_named(self, name: str) -> Team | None: ...
    def set_team_active(self, team_id: str, active: bool) -> None: ...
    def rename_team(self, team_id: str, name: str) -> None: ...

    def add_user(
        self, email: str, name: str, role: Role, team_id: str | None, now_us: int
    ) -> User: ...
    def users(self) -> list[User]: ...
    def user(self, user_id: str) -> User | None: ...
    def user_with_email(self, email: str) -> User | None: ...
    def set_user_active(self, user_id: str, active: bool) -> None: ...
    def set_user_role(self, user_id: str, role: Role) -> None: ...
    def set_user_team(self, user_id: str, team_id: str | None) -> None: ...

    def add_key(self, new: NewKey, now_us: int) -> KeyRecord: ...
    def keys(self) -> list[KeyRecord]: ...
    def key(self, key_id: str) -> KeyRecord | None: ...
    def revoke_key(self, key_id: str, now_us: int) -> None: ...

    def add_login_link(
        self, token_hash: bytes, user_id: str, created_at_us: int, expires_at_us: int
    ) -> None: ...
    def use_login_link(self, token_hash: bytes, now_us: int) -> User | None:
        """Give the link's user and spend the link, in one step; None if it is no good."""

    def add_session(self, session: Session) -> None: ...
    def session(self, session_hash: bytes) -> Session | None: ...
    def touch_session(self, session_hash: bytes, now_us: int) -> None: ...
    def end_session(self, session_hash: bytes) -> None: ...
    def end_sessions_of(self, user_id: str) -> None: ...

    def set_provider_secret(self, provider: str, sealed: bytes, now_us: int) -> None: ...
    def provider_secrets(self) -> dict[str, bytes]: ...
    def remove_provider_secret(self, provider: str) -> None: ...

    def probe(self) -> None:
        """Make a real write and a real read. Raises OSError when the store is unusable."""

    def close(self) -> None: ...


class KeyDirectory(Protocol):
    """The gateway's view of the store: keys by id, remembered and refreshed.

    ``known`` answers at once from memory; ``fetch`` asks the store in a thread and
    remembers the answer, also that an id does not exist. ``refresh`` is called every
    fraction of a second and forgets whatever changed since the last time.
    """

    def known(self, key_id: str) -> VirtualKey | None: ...
    def is_known_missing(self, key_id: str) -> bool: ...
    async def fetch(self, key_id: str) -> VirtualKey | None: ...
    async def refresh(self) -> bool:
        """Look for changes. Returns whether provider secrets changed."""

    def provider_secrets(self) -> Mapping[str, bytes]: ...
    def close(self) -> None: ...


class Vault(Protocol):
    """Keeps secrets: derives keys from the key file, seals and opens provider secrets."""

    def key_hmac(self, secret: bytes) -> bytes:
        """Give the keyed hash under which a virtual key's secret is stored."""

    def seal(self, plain: str, *, name: str) -> bytes:
        """Encrypt one named secret."""

    def open(self, sealed: bytes, *, name: str) -> str:
        """Decrypt it. Raises ValueError if it was sealed under another name or key."""


class DataFolder(NamedTuple):
    """Where a deployment keeps its files."""

    root: Path

    @property
    def store(self) -> Path:
        return self.root / "store.sqlite3"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.duckdb"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def run(self) -> Path:
        """Sockets, locks and tokens of the running processes."""
        return self.root / "run"

    @property
    def secret_key(self) -> Path:
        return self.root / "secret.key"
